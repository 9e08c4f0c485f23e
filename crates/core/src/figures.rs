//! Numbers, sizes and durations as people write them.

use std::time::Duration;

/// `1,204,331`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `1,204,331 rows`, of a noun whose plural ends with an s.
pub fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    counted(number, true, noun, &format!("{noun}s"))
}

/// `1 row`, `88 rows`, `about 1,204,331 rows`.
pub fn counted(count: u64, exact: bool, one: &str, many: &str) -> String {
    let about = if exact { "" } else { "about " };
    let noun = if count == 1 { one } else { many };
    format!("{about}{} {noun}", thousands(count))
}

/// `1.2 GB`, in powers of 1,000.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} bytes");
    }
    let mut tenths = number / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    if tenths >= 100 {
        format!("{} {}", thousands(tenths / 10), UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// `0.8 s`, `2 min 15 s`: how long something took. What is shorter than a tenth of a second counts as one.
pub fn seconds(elapsed: Duration) -> String {
    let tenths = ((elapsed.as_millis() + 50) / 100).max(1);
    let whole = elapsed.as_secs();
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        format!("{} min {} s", whole.max(60) / 60, whole.max(60) % 60)
    }
}

/// The same of the seconds in a journal, a manifest or a report.
pub fn recorded_seconds(elapsed: f64) -> String {
    seconds(Duration::try_from_secs_f64(elapsed).unwrap_or_default())
}

/// `40 s`, `3 min`, `5 h`, `4 days`: how old something is, in its largest unit.
pub fn age(elapsed: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match elapsed.as_secs() {
        seconds @ ..MINUTE => format!("{seconds} s"),
        seconds @ MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        seconds @ HOUR..DAY => format!("{} h", seconds / HOUR),
        seconds @ DAY.. => count(seconds / DAY, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_204_331].map(thousands),
            ["0", "999", "1,000", "1,204,331"]
        );
        assert_eq!(counted(1, true, "row", "rows"), "1 row");
        assert_eq!(counted(2000, false, "row", "rows"), "about 2,000 rows");
        assert_eq!(count(1_usize, "step"), "1 step");
        assert_eq!(count(2000_u64, "step"), "2,000 steps");
    }

    #[test]
    fn sizes_have_two_digits_that_count() {
        assert_eq!(
            [999, 1500, 16_384, 1_240_000_000, 2_000_000_000_000_000].map(bytes),
            ["999 bytes", "1.5 kB", "16 kB", "1.2 GB", "2,000 TB"]
        );
    }

    #[test]
    fn nothing_takes_no_time() {
        let shown = [0.0, 0.04, 0.16, 59.94, 59.96, 61.9, -1.0].map(recorded_seconds);
        let expected = [
            "0.1 s",
            "0.1 s",
            "0.2 s",
            "59.9 s",
            "1 min 0 s",
            "1 min 1 s",
            "0.1 s",
        ];
        assert_eq!(shown, expected);
    }
}
