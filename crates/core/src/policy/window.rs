//! Maintenance windows: the hours of a week in which a rollback may begin.
//!
//! A window is what a clock on the wall shows in its zone. So one from 22:00 to 06:00 is an hour shorter in the
//! night in which the clock is put forward, and in the night in which it is put back an hour that comes twice
//! is in it twice. A window that passes midnight belongs to the day on which it opens.

use std::fmt;

use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, Zoned};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Windows, all in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    all: Vec<Window>,
    zone: TimeZone,
    /// The zone as it was written.
    zone_name: String,
}

/// One window, as it was written and as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    text: String,
    /// The days on which it opens, Monday first.
    days: [bool; 7],
    /// In minutes of the day.
    opens: u16,
    /// In minutes of the day, not after it; at most [`DAY`].
    closes: u16,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// It has another form.
    #[error("{0:?} is no window such as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun 00:00-24:00\"")]
    Form(String),
    /// There is no such day.
    #[error("{0:?} is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun")]
    Day(String),
    /// There is no such time.
    #[error("{0:?} is no time from 00:00 to 24:00")]
    Time(String),
    /// It is never open.
    #[error("{0:?} opens and closes at the same time; a whole day is 00:00-24:00")]
    Nothing(String),
}

impl Windows {
    /// Reads them. `zone_name` is what the zone is called where people read of it.
    pub fn parse(texts: &[String], zone: TimeZone, zone_name: &str) -> Result<Self, WindowError> {
        Ok(Self {
            all: texts
                .iter()
                .map(|text| Window::parse(text))
                .collect::<Result<_, _>>()?,
            zone,
            zone_name: zone_name.to_owned(),
        })
    }

    /// Whether one of them is open.
    pub fn are_open(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let minute = minute_of(&local);
        let today = local.weekday();
        self.all.iter().any(|window| window.holds(today, minute))
    }

    /// When the next one opens; now, if one is open.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        if self.are_open(now) {
            return Some(now);
        }
        let today = now.to_zoned(self.zone.clone()).date();
        // A week, and a day more where today's is over. An hour that the clock leaves out is taken as the one
        // after it, which may be past the window.
        let openings = (0..=8).flat_map(|ahead| {
            let date = today.checked_add(Span::new().days(ahead)).ok();
            self.all.iter().filter_map(move |window| {
                let date = date?;
                if !window.days[day_index(date.weekday())] {
                    return None;
                }
                let hour = i8::try_from(window.opens / 60).ok()?;
                let minute = i8::try_from(window.opens % 60).ok()?;
                let at = date
                    .at(hour, minute, 0, 0)
                    .to_zoned(self.zone.clone())
                    .ok()?;
                Some(at.timestamp())
            })
        });
        openings
            .filter(|opening| *opening > now && self.are_open(*opening))
            .min()
    }

    /// A moment as it is told beside them: `Tue 2026-11-24 22:00`.
    pub fn told(&self, moment: Timestamp) -> String {
        moment
            .to_zoned(self.zone.clone())
            .strftime("%a %Y-%m-%d %H:%M")
            .to_string()
    }

    /// The name of the zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.all.iter().map(|window| window.text.as_str()).collect();
        write!(formatter, "{} ({})", texts.join("; "), self.zone_name)
    }
}

impl Window {
    fn parse(text: &str) -> Result<Self, WindowError> {
        let form = || WindowError::Form(text.to_owned());
        let mut words = text.split_whitespace();
        let (days, hours) = match (words.next(), words.next(), words.next()) {
            (Some(hours), None, None) => ([true; 7], hours),
            (Some(days), Some(hours), None) => (days_of(days)?, hours),
            _ => return Err(form()),
        };
        let (opens, closes) = hours.split_once('-').ok_or_else(form)?;
        let (opens, closes) = (minutes_of(opens)?, minutes_of(closes)?);
        if opens % DAY == closes % DAY && (opens, closes) != (0, DAY) {
            return Err(WindowError::Nothing(text.to_owned()));
        }
        if opens == DAY {
            return Err(WindowError::Time("24:00".to_owned()));
        }
        Ok(Self {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            days,
            opens,
            closes,
        })
    }

    fn holds(&self, today: Weekday, minute: u16) -> bool {
        let opened_on = |day: Weekday| self.days[day_index(day)];
        if self.opens < self.closes {
            return opened_on(today) && (self.opens..self.closes).contains(&minute);
        }
        (opened_on(today) && minute >= self.opens)
            || (opened_on(today.previous()) && minute < self.closes)
    }
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon`.
fn days_of(text: &str) -> Result<[bool; 7], WindowError> {
    let day = |name: &str| {
        NAMES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
            .ok_or_else(|| WindowError::Day(name.to_owned()))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        days[at] = true;
        while at != last {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Ok(days)
}

/// `22:00`.
fn minutes_of(text: &str) -> Result<u16, WindowError> {
    let bad = || WindowError::Time(text.to_owned());
    let (hours, minutes) = text.split_once(':').ok_or_else(bad)?;
    let number = |digits: &str| match digits.as_bytes() {
        [one, two] if one.is_ascii_digit() && two.is_ascii_digit() => {
            Ok(u16::from(one - b'0') * 10 + u16::from(two - b'0'))
        }
        _ => Err(bad()),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let whole = hours * 60 + minutes;
    if minutes > 59 || whole > DAY {
        return Err(bad());
    }
    Ok(whole)
}

fn minute_of(local: &Zoned) -> u16 {
    let part = |number: i8| u16::try_from(number).unwrap_or_default();
    part(local.hour()) * 60 + part(local.minute())
}

fn day_index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// A zone that needs no table: `UTC`, `+01:00`; `None` for a name that has to be looked up.
pub fn fixed_zone(text: &str) -> Option<TimeZone> {
    if ["UTC", "Z"]
        .iter()
        .any(|utc| utc.eq_ignore_ascii_case(text))
    {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let minutes = i32::from(minutes_of(rest).ok()?);
    let offset = Offset::from_seconds(sign * minutes * 60).ok()?;
    Some(TimeZone::fixed(offset))
}

#[cfg(test)]
mod tests;
