//! Quiet hours: a span of the day, in the person's own time zone, in which nothing is sent.

use jiff::{civil::Time, tz::TimeZone};
use parley_domain::Timestamp;

/// From a time of day up to, but not including, another one; over midnight if that is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
}

impl QuietHours {
    /// From two times like `22:00`; `None` if one is not, or both are the same.
    pub fn parse(from: &str, to: &str) -> Option<Self> {
        let hours = Self { from: time_of_day(from)?, to: time_of_day(to)? };
        (hours.from != hours.to).then_some(hours)
    }

    /// When the quiet hours that it is in end; `None` if it is in none. A zone that is not known
    /// counts as UTC.
    pub fn end(&self, at: Timestamp, time_zone: &str) -> Option<Timestamp> {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let here = jiff::Timestamp::from_millisecond(at.unix_millis()).ok()?.to_zoned(zone.clone());
        let time = here.time();
        let over_midnight = self.to < self.from;
        let is_quiet = if over_midnight {
            time >= self.from || time < self.to
        } else {
            time >= self.from && time < self.to
        };
        if !is_quiet {
            return None;
        }
        let ends_tomorrow = over_midnight && time >= self.from;
        let day = if ends_tomorrow { here.date().tomorrow().ok()? } else { here.date() };
        // A time that a change of the clocks leaves out or has twice is taken as people do: later,
        // or first.
        let end = day.to_datetime(self.to).to_zoned(zone).ok()?.timestamp().as_millisecond();
        // At the second one of a doubled hour its end may be behind: it is over then.
        (end > at.unix_millis()).then(|| Timestamp::from_unix_millis(end))
    }
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
    Time::new(number(hours)?, number(minutes)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn over_midnight_in_the_persons_zone() {
        let night = QuietHours::parse("22:00", "07:00").unwrap();
        let berlin = "Europe/Berlin";
        let cases = [
            ("2026-11-21T20:59:59Z", None),
            ("2026-11-21T21:00:00Z", Some("2026-11-22T06:00:00Z")),
            ("2026-11-21T23:30:00Z", Some("2026-11-22T06:00:00Z")),
            ("2026-11-22T05:59:59.999Z", Some("2026-11-22T06:00:00Z")),
            ("2026-11-22T06:00:00Z", None),
        ];
        for (moment, end) in cases {
            assert_eq!(night.end(at(moment), berlin), end.map(at), "{moment}");
        }
        // The same moments are day in another place.
        assert_eq!(night.end(at("2026-11-21T21:00:00Z"), "America/New_York"), None);
        let unknown = night.end(at("2026-11-21T22:00:00Z"), "Nowhere/Else");
        assert_eq!(unknown, Some(at("2026-11-22T07:00:00Z")));
    }

    #[test]
    fn within_a_day() {
        let noon = QuietHours::parse("12:00", "13:30").unwrap();
        assert_eq!(noon.end(at("2026-11-21T11:59:00Z"), "UTC"), None);
        let end = noon.end(at("2026-11-21T12:00:00Z"), "UTC");
        assert_eq!(end, Some(at("2026-11-21T13:30:00Z")));
        assert_eq!(noon.end(at("2026-11-21T13:30:00Z"), "UTC"), None);
    }

    #[test]
    fn a_change_of_the_clocks_is_respected() {
        let night = QuietHours::parse("22:00", "02:30").unwrap();
        // Berlin has no 02:30 on 2026-03-29, and two of them on 2026-10-25.
        let spring = night.end(at("2026-03-29T00:30:00Z"), "Europe/Berlin");
        assert_eq!(spring, Some(at("2026-03-29T01:30:00Z")));
        let autumn = night.end(at("2026-10-24T23:00:00Z"), "Europe/Berlin");
        assert_eq!(autumn, Some(at("2026-10-25T00:30:00Z")));
    }

    #[test]
    fn what_is_no_time_of_day_is_no_quiet_hour() {
        for (from, to) in [("22:00", "22:00"), ("24:00", "07:00"), ("2200", "07:00"), ("", "7")] {
            assert_eq!(QuietHours::parse(from, to), None, "{from} {to}");
        }
    }
}
