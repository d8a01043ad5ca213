//! ISO times, as InfluxDB tells them, to the nanosecond.

/// Nanoseconds since 1970 of a time like `1970-01-01T00:00:01.500000001Z`; none where it is no such time, or does not fit.
pub fn nanoseconds(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = zone(rest)?;
    let mut parts = date.splitn(3, '-').map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = seconds.splitn(3, ':').map(digits);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !valid || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More digits than that are exact only when they say nothing.
    let (kept, beyond) = fraction.split_at(fraction.len().min(9));
    if beyond.bytes().any(|b| b != b'0') {
        return None;
    }
    let nanoseconds: i128 = format!("{kept:0<9}").parse().ok()?;
    let clock = i128::from(hour * 3600 + minute * 60 + second - offset);
    let all = (i128::from(days(year, month, day)) * 86_400 + clock) * 1_000_000_000 + nanoseconds;
    i64::try_from(all).ok()
}

/// The clock, and by how many seconds it is ahead.
fn zone(rest: &str) -> Option<(&str, i64)> {
    if let Some(clock) = rest.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = rest.rfind(['+', '-'])?;
    let (hours, minutes) = rest[at + 1..].split_once(':')?;
    let ahead = digits(hours)? * 3600 + digits(minutes)? * 60;
    let sign = if rest[at..].starts_with('-') { -1 } else { 1 };
    Some((&rest[..at], sign * ahead))
}

fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

/// Days from 1970 to a date of the Gregorian calendar: years are counted from March, so that the leap day ends them.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_are_exact() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:01.500Z", 1_500_000_000),
            ("1970-01-01T00:00:00.000000001Z", 1),
            ("1970-01-01T00:00:00.1234567890Z", 123_456_789),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600_000_000_000),
            ("2026-11-24T23:45:49.000001Z", 1_795_563_949_000_001_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T19:30:00-04:30", 0),
        ] {
            assert_eq!(nanoseconds(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567891Z",
            "9999-01-01T00:00:00Z",
            "now",
        ] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }
}
