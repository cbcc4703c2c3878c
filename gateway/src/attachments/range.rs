//! A part of a file, as a request's `Range` asks for it (RFC 9110, 14.2).

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    All,
    /// From the first to the last byte, both included.
    Bytes(u64, u64),
    /// There is no such part.
    None,
}

/// Of a file of `size` bytes. What is not one range of bytes is answered with all of it.
pub fn part(range: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = range.and_then(one) else { return Part::All };
    match (first, last) {
        (Some(first), last) if last.is_none_or(|last| last >= first) => {
            let last = last.unwrap_or(u64::MAX).min(size.saturating_sub(1));
            if first < size { Part::Bytes(first, last) } else { Part::None }
        }
        (None, Some(0)) => Part::None,
        (None, Some(suffix)) if size > 0 => Part::Bytes(size.saturating_sub(suffix), size - 1),
        (Some(_) | None, _) => Part::All,
    }
}

/// `bytes=first-`, `bytes=first-last` or `bytes=-count`.
fn one(range: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => Some((Some(first), None)),
        (None, Some(count)) if first.is_empty() => Some((None, Some(count))),
        (Some(first), Some(last)) => Some((Some(first), Some(last))),
        (Some(_) | None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_a_part_and_anything_else_all() {
        for (range, expected) in [
            ("bytes=0-", Part::Bytes(0, 9)),
            ("bytes=2-4", Part::Bytes(2, 4)),
            ("bytes=2-2", Part::Bytes(2, 2)),
            ("bytes=2-99", Part::Bytes(2, 9)),
            ("bytes=-3", Part::Bytes(7, 9)),
            ("bytes=-99", Part::Bytes(0, 9)),
            ("bytes=2-99999999999999999999999", Part::Bytes(2, 9)),
            ("bytes=10-", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=4-2", Part::All),
            ("bytes=1-2,4-5", Part::All),
            ("bytes=-", Part::All),
            ("bytes=a-b", Part::All),
            ("bytes=+1-2", Part::All),
            ("items=1-2", Part::All),
            ("", Part::All),
        ] {
            assert_eq!(part(Some(range), 10), expected, "{range}");
        }
        assert_eq!(part(None, 10), Part::All);
    }
}
