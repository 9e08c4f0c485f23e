//! Moments and durations as text.

use std::time::{Duration, SystemTime};

use jiff::fmt::friendly::{Designator, SpanPrinter};
use jiff::{SignedDuration, Span, Timestamp};

/// Decimals of a second that a moment is written with.
#[derive(Debug, Clone, Copy)]
pub enum Precision {
    /// None.
    Seconds,
    /// Three.
    Millis,
    /// Six.
    Micros,
}

/// A moment in RFC 3339 and UTC, cut to the precision; 1970 if it is after the year 9999.
pub fn rfc3339(moment: SystemTime, precision: Precision) -> String {
    let digits = match precision {
        Precision::Seconds => 0,
        Precision::Millis => 3,
        Precision::Micros => 6,
    };
    let moment = Timestamp::try_from(moment).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{moment:.digits$}")
}

/// Reads a moment in RFC 3339, with any offset.
pub fn moment(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

/// Reads a duration such as `90s`, `5m`, `2days` or `1h 30m`; `None` if it is none, or negative. A month and a year have
/// their mean length.
pub fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let hours = i64::from(span.get_hours()) + days * 24;
    let seconds = months * MONTH + hours * 3600 + span.get_minutes() * 60 + span.get_seconds();
    let whole = SignedDuration::from_secs(seconds)
        + SignedDuration::from_millis(span.get_milliseconds())
        + SignedDuration::from_micros(span.get_microseconds())
        + SignedDuration::from_nanos(span.get_nanoseconds());
    Duration::try_from(whole).ok()
}

/// Seconds of a twelfth of a year of 365.25 days.
const MONTH: i64 = 2_629_800;

/// `2d 4h 3m 12s`, without what is smaller than a second.
pub fn shown(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let span = Span::new()
        .days(days.min(7_000_000))
        .hours(rest / 3600)
        .minutes(rest / 60 % 60)
        .seconds(rest % 60);
    PRINTER.span_to_string(&span)
}

const PRINTER: SpanPrinter = SpanPrinter::new().designator(Designator::Compact);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_moment_is_cut_and_not_rounded() {
        let at = UNIX_EPOCH + Duration::new(1_795_000_000, 999_999_999);
        assert_eq!(rfc3339(at, Precision::Seconds), "2026-11-18T11:06:40Z");
        assert_eq!(rfc3339(at, Precision::Millis), "2026-11-18T11:06:40.999Z");
        assert_eq!(
            rfc3339(at, Precision::Micros),
            "2026-11-18T11:06:40.999999Z"
        );
        assert_eq!(
            moment("2026-11-18T13:06:40+02:00"),
            Some(UNIX_EPOCH + Duration::from_secs(1_795_000_000))
        );
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, seconds, back) in [
            ("90s", 90, "1m 30s"),
            ("5m", 300, "5m"),
            ("5min", 300, "5m"),
            ("1h 30m", 5400, "1h 30m"),
            ("2days 4h", 187_200, "2d 4h"),
            ("1 week", 604_800, "7d"),
            ("1month", 2_629_800, "30d 10h 30m"),
            ("0s", 0, "0s"),
        ] {
            let read = duration(text).unwrap();
            assert_eq!(
                (read.as_secs(), shown(read).as_str()),
                (seconds, back),
                "{text}"
            );
        }
        assert_eq!(duration("1500ms"), Some(Duration::from_millis(1500)));
        for text in ["", "5", "soon", "-5m", "5 m ago"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
