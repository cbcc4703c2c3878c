//! Positions, numbers and hashes: `u64` here, `bigint` there.

use crate::Failure;

/// For storing.
///
/// # Errors
/// With [`Failure::TooLarge`], rather than storing another number.
pub fn to_sql(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::TooLarge(number))
}

/// For comparing: nothing stored is beyond `i64::MAX`, so it stands for everything beyond.
pub(crate) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// As it was stored.
///
/// # Errors
/// If it is negative, which [`to_sql`] never makes.
pub fn from_sql(number: i64) -> Result<u64, Failure> {
    u64::try_from(number).map_err(|_| Failure::corrupt("number", "it is negative"))
}

pub(crate) fn all_from_sql(numbers: Vec<i64>) -> Result<Vec<u64>, Failure> {
    numbers.into_iter().map(from_sql).collect()
}

/// A hash uses all 64 bits; the sign means nothing.
pub(crate) fn hash_to_sql(hash: u64) -> i64 {
    hash.cast_signed()
}

pub(crate) fn hash_from_sql(hash: i64) -> u64 {
    hash.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_or_refused_and_hashes_keep_every_bit() {
        for number in [0, 1, i64::MAX as u64] {
            assert_eq!(from_sql(to_sql(number).unwrap()).unwrap(), number);
            assert_eq!(from_sql(bound(number)).unwrap(), number);
        }
        assert!(matches!(to_sql(u64::MAX), Err(Failure::TooLarge(u64::MAX))));
        assert_eq!(bound(u64::MAX), i64::MAX);
        assert!(matches!(from_sql(-1), Err(Failure::Corrupt { .. })));
        for hash in [0, 1, u64::MAX, 0x8000_0000_0000_0000, 0x765b_82ac_f5c7_a422] {
            assert_eq!(hash_from_sql(hash_to_sql(hash)), hash);
        }
    }
}
