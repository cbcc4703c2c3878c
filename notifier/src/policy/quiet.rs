//! Quiet hours: a span of the day, in the person's own time zone, in which nothing is sent.

use jiff::{civil::Time, tz::TimeZone};
use parley_domain::{
    Timestamp,
    account::settings::{QuietHours, minute_of_day},
};

/// When the quiet hours that `at` is in end; `None` if it is in none. They go from a time of day up
/// to, but not including, another one; over midnight if that is earlier. A zone that is not known
/// counts as UTC.
pub fn end(hours: &QuietHours, at: Timestamp, time_zone: &str) -> Option<Timestamp> {
    let (from, to) = (time_of_day(&hours.from)?, time_of_day(&hours.to)?);
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let here = jiff::Timestamp::from_millisecond(at.unix_millis()).ok()?.to_zoned(zone.clone());
    let time = here.time();
    let over_midnight = to < from;
    let is_quiet =
        if over_midnight { time >= from || time < to } else { time >= from && time < to };
    if !is_quiet {
        return None;
    }
    let ends_tomorrow = over_midnight && time >= from;
    let day = if ends_tomorrow { here.date().tomorrow().ok()? } else { here.date() };
    // A time that a change of the clocks leaves out or has twice is taken as people do: later,
    // or first.
    let end = day.to_datetime(to).to_zoned(zone).ok()?.timestamp().as_millisecond();
    // At the second one of a doubled hour its end may be behind: it is over then.
    (end > at.unix_millis()).then(|| Timestamp::from_unix_millis(end))
}

fn time_of_day(text: &str) -> Option<Time> {
    let minute = minute_of_day(text)?;
    let part = |number: u16| i8::try_from(number).ok();
    Time::new(part(minute / 60)?, part(minute % 60)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn hours(from: &str, to: &str) -> QuietHours {
        QuietHours { from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn over_midnight_in_the_persons_zone() {
        let night = hours("22:00", "07:00");
        let berlin = "Europe/Berlin";
        let cases = [
            ("2026-11-21T20:59:59Z", None),
            ("2026-11-21T21:00:00Z", Some("2026-11-22T06:00:00Z")),
            ("2026-11-21T23:30:00Z", Some("2026-11-22T06:00:00Z")),
            ("2026-11-22T05:59:59.999Z", Some("2026-11-22T06:00:00Z")),
            ("2026-11-22T06:00:00Z", None),
        ];
        for (moment, expected) in cases {
            assert_eq!(end(&night, at(moment), berlin), expected.map(at), "{moment}");
        }
        // The same moments are day in another place.
        assert_eq!(end(&night, at("2026-11-21T21:00:00Z"), "America/New_York"), None);
        let unknown = end(&night, at("2026-11-21T22:00:00Z"), "Nowhere/Else");
        assert_eq!(unknown, Some(at("2026-11-22T07:00:00Z")));
    }

    #[test]
    fn within_a_day() {
        let noon = hours("12:00", "13:30");
        assert_eq!(end(&noon, at("2026-11-21T11:59:00Z"), "UTC"), None);
        let ends = end(&noon, at("2026-11-21T12:00:00Z"), "UTC");
        assert_eq!(ends, Some(at("2026-11-21T13:30:00Z")));
        assert_eq!(end(&noon, at("2026-11-21T13:30:00Z"), "UTC"), None);
    }

    #[test]
    fn a_change_of_the_clocks_is_respected() {
        let night = hours("22:00", "02:30");
        // Berlin has no 02:30 on 2026-03-29, and two of them on 2026-10-25.
        let spring = end(&night, at("2026-03-29T00:30:00Z"), "Europe/Berlin");
        assert_eq!(spring, Some(at("2026-03-29T01:30:00Z")));
        let autumn = end(&night, at("2026-10-24T23:00:00Z"), "Europe/Berlin");
        assert_eq!(autumn, Some(at("2026-10-25T00:30:00Z")));
    }

    #[test]
    fn what_are_no_hours_are_not_quiet() {
        for (from, to) in [("22:00", "22:00"), ("24:00", "07:00"), ("2200", "07:00"), ("", "7")] {
            let moment = at("2026-11-21T22:00:00Z");
            assert_eq!(end(&hours(from, to), moment, "UTC"), None, "{from} {to}");
        }
    }
}
