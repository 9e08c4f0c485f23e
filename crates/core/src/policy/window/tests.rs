use super::*;

/// Berlin's rule, which needs no table of the machine: forward at 02:00 on 2026-03-29, back at 03:00 on
/// 2026-10-25.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn windows(texts: &[&str], zone: TimeZone) -> Windows {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    Windows::parse(&texts, zone, "there").unwrap()
}

fn open(windows: &Windows, moment: &str) -> bool {
    windows.are_open(moment.parse().unwrap())
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_opens() {
    let nights = windows(&["Mon-Fri 22:00-06:00"], TimeZone::UTC);
    // 2026-11-23 is a Monday.
    for (moment, expected) in [
        ("2026-11-23T05:59:59Z", false), // Sunday's night is none
        ("2026-11-23T21:59:59Z", false),
        ("2026-11-23T22:00:00Z", true),
        ("2026-11-24T05:59:59Z", true),
        ("2026-11-24T06:00:00Z", false),
        ("2026-11-27T23:00:00Z", true),
        ("2026-11-28T05:00:00Z", true), // Friday's night, on Saturday
        ("2026-11-28T22:30:00Z", false),
    ] {
        assert_eq!(open(&nights, moment), expected, "{moment}");
    }
}

#[test]
fn days_are_listed_or_ranges_that_may_pass_sunday() {
    let ends = windows(&["Sat,Sun 00:00-24:00"], TimeZone::UTC);
    assert!(open(&ends, "2026-11-28T00:00:00Z"));
    assert!(open(&ends, "2026-11-29T23:59:59Z"));
    assert!(!open(&ends, "2026-11-30T00:00:00Z"));
    let around = windows(&["Sun-Mon 10:00-11:00"], TimeZone::UTC);
    assert!(open(&around, "2026-11-29T10:30:00Z"));
    assert!(open(&around, "2026-11-30T10:30:00Z"));
    assert!(!open(&around, "2026-12-01T10:30:00Z"));
    let daily = windows(&["04:00-04:30", "  sat   12:00-13:00 "], TimeZone::UTC);
    assert!(open(&daily, "2026-12-01T04:29:59Z"));
    assert!(open(&daily, "2026-11-28T12:00:00Z"));
    assert!(!open(&daily, "2026-11-27T12:00:00Z"));
    assert_eq!(daily.to_string(), "04:00-04:30; sat 12:00-13:00 (there)");
}

#[test]
fn a_window_is_what_the_clock_on_the_wall_shows() {
    // 21:30 in UTC is 22:30 in Berlin's winter and 23:30 in its summer.
    let nights = windows(&["22:00-23:00"], berlin());
    assert!(open(&nights, "2026-01-15T21:30:00Z"));
    assert!(!open(&nights, "2026-07-15T21:30:00Z"));
    assert!(open(&nights, "2026-07-15T20:30:00Z"));
}

#[test]
fn an_hour_that_is_left_out_is_in_no_window_and_one_that_comes_twice_twice() {
    let early = windows(&["02:00-03:00"], berlin());
    // The clock goes from 01:59:59 to 03:00:00 at 01:00 UTC.
    assert!(!open(&early, "2026-03-29T00:59:59Z"));
    assert!(!open(&early, "2026-03-29T01:00:00Z"));
    // It shows 02:30 at 00:30 and at 01:30 UTC.
    assert!(open(&early, "2026-10-25T00:30:00Z"));
    assert!(open(&early, "2026-10-25T01:30:00Z"));
    assert!(!open(&early, "2026-10-25T02:00:00Z"));
    // A night over the change is open at both ends of it.
    let nights = windows(&["Sat 22:00-06:00"], berlin());
    assert!(open(&nights, "2026-03-28T21:00:00Z"));
    assert!(open(&nights, "2026-03-29T03:59:59Z"));
    assert!(!open(&nights, "2026-03-29T04:00:00Z"));
    assert!(open(&nights, "2026-10-25T04:59:59Z"));
    assert!(!open(&nights, "2026-10-25T05:00:00Z"));
}

#[test]
fn the_next_opening_is_named() {
    let nights = windows(&["Mon-Fri 22:00-06:00"], berlin());
    let next = |moment: &str| {
        let next = nights.next_opening(moment.parse().unwrap()).unwrap();
        nights.told(next)
    };
    assert_eq!(next("2026-11-24T12:00:00Z"), "Tue 2026-11-24 22:00");
    assert_eq!(next("2026-11-28T06:00:00Z"), "Mon 2026-11-30 22:00");
    // Open already.
    assert_eq!(next("2026-11-24T21:30:00Z"), "Tue 2026-11-24 22:30");
    // Once a week, and just over: a week later.
    let weekly = windows(&["Sun 02:00-03:00"], TimeZone::UTC);
    let next = weekly.next_opening("2026-11-29T03:00:00Z".parse().unwrap());
    assert_eq!(next, "2026-12-06T02:00:00Z".parse().ok());
    // The night that has no such hour is passed over.
    let weekly = windows(&["Sun 02:00-03:00"], berlin());
    let next = weekly.next_opening("2026-03-28T12:00:00Z".parse().unwrap());
    assert_eq!(next, "2026-04-05T00:00:00Z".parse().ok());
    assert_eq!(
        windows(&[], berlin()).next_opening(Timestamp::UNIX_EPOCH),
        None
    );
}

#[test]
fn what_is_no_window_is_said() {
    for (text, reason) in [
        ("", "is no window such as"),
        ("Mon", "is no window such as"),
        ("Mon-Fri", "\"Mon\" is no time"),
        ("Mon Tue 10:00-11:00", "is no window such as"),
        ("Mo-Fr 22:00-06:00", "\"Mo\" is no day"),
        ("Mon- 22:00-06:00", "\"\" is no day"),
        ("Mon 22-06", "\"22\" is no time"),
        ("Mon 9:00-10:00", "\"9:00\" is no time"),
        ("Mon 22:60-23:00", "\"22:60\" is no time"),
        ("Mon 22:00-24:01", "\"24:01\" is no time"),
        ("Mon 24:00-06:00", "\"24:00\" is no time"),
        ("Mon 22:00-22:00", "opens and closes at the same time"),
        ("Mon 24:00-00:00", "opens and closes at the same time"),
        ("Mon é:00-10:00", "is no time"),
    ] {
        let error = Windows::parse(&[text.to_owned()], TimeZone::UTC, "UTC").unwrap_err();
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
}

#[test]
fn an_offset_needs_no_table() {
    for (text, hour) in [("UTC", 12), ("z", 12), ("+01:00", 13), ("-05:30", 6)] {
        let zone = fixed_zone(text).unwrap();
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(noon.to_zoned(zone).hour(), hour, "{text}");
    }
    for text in ["Europe/Berlin", "", "+1", "+ab:cd", "-99:00", "é"] {
        assert_eq!(fixed_zone(text), None, "{text}");
    }
}
