//! A moment, to the millisecond, as the contract writes it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{
    OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};

/// Milliseconds since 1970-01-01T00:00:00Z; written `2026-11-21T09:45:00.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The years that RFC 3339 can write, in milliseconds; anything outside is clamped.
    const MIN: i64 = -62_135_596_800_000;
    const MAX: i64 = 253_402_300_799_999;

    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN, Self::MAX))
    }

    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset; `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = moment.to_offset(UtcOffset::UTC).unix_timestamp_nanos().div_euclid(1_000_000);
        Some(Self::from_unix_millis(i64::try_from(millis).ok()?))
    }

    /// Whether more than `after` has passed since `earlier`.
    pub fn is_later_than(self, earlier: Self, after: std::time::Duration) -> bool {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        self.0.saturating_sub(earlier.0) > after
    }

    pub fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Self::from_unix_millis(i64::try_from(millis).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let text = self.to_date_time().format(format).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_utc_with_milliseconds() {
        let moment = Timestamp::from_unix_millis(1_795_254_300_123);
        assert_eq!(moment.to_string(), "2026-11-21T09:45:00.123Z");
        assert_eq!(Timestamp::parse("2026-11-21T10:45:00.123+01:00"), Some(moment));
        assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
        assert_eq!(Timestamp::parse("yesterday"), None);
        for extreme in [i64::MIN, i64::MAX, -1, 0] {
            let moment = Timestamp::from_unix_millis(extreme);
            assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
        }
    }
}
