//! Figures as people read them.

use super::{Answer, Evidence};

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

/// `1 row`, `88 rows`, `about 1,204,331 rows`.
pub fn counted(count: u64, exact: bool, one: &str, many: &str) -> String {
    let about = if exact { "" } else { "about " };
    let noun = if count == 1 { one } else { many };
    format!("{about}{} {noun}", thousands(count))
}

/// `1.2 GB`.
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

/// An answer with what it counts.
pub(super) fn evidence(answer: &Answer, one: &str, many: &str) -> Evidence {
    let mut sentence = counted(answer.count, answer.exact, one, many);
    if !answer.exact {
        sentence.push_str(", by the server's estimate");
    }
    Evidence {
        sentence,
        count: Some(answer.count),
        exact: answer.exact,
        query: Some(answer.query.clone()),
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
    }

    #[test]
    fn sizes_have_two_digits_that_count() {
        assert_eq!(
            [999, 1500, 16_384, 1_240_000_000, 2_000_000_000_000_000].map(bytes),
            ["999 bytes", "1.5 kB", "16 kB", "1.2 GB", "2,000 TB"]
        );
    }
}
