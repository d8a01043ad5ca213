//! Moments on the command line.

use jiff::{Timestamp, civil, tz::TimeZone};

/// A moment as people write it: seconds since 1970, a date, or a date and a time; without an offset, in UTC.
pub fn moment(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.is_finite() {
            Ok(seconds)
        } else {
            Err("not a moment".to_owned())
        };
    }
    let timestamp = text.parse::<Timestamp>().or_else(|error| {
        let civil = text.parse::<civil::DateTime>();
        let civil = civil.or_else(|_| text.parse::<civil::Date>().map(civil::DateTime::from));
        match civil {
            Ok(civil) => civil.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()),
            Err(_) => Err(error),
        }
    });
    match timestamp {
        Ok(timestamp) => Ok(timestamp.as_nanosecond() as f64 / 1e9),
        Err(_) => Err("write seconds since 1970, 2026-11-24, or 2026-11-24T12:30:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood_as_people_write_them() {
        for (text, seconds) in [
            ("0", 0.0),
            ("1780000000.5", 1_780_000_000.5),
            ("-5", -5.0),
            ("1970-01-02", 86400.0),
            ("1970-01-01T00:01", 60.0),
            ("1970-01-01T01:00:00+01:00", 0.0),
            ("1970-01-01T00:00:00.25Z", 0.25),
        ] {
            assert_eq!(moment(text), Ok(seconds), "{text}");
        }
        for odd in ["", "yesterday", "NaN", "inf", "2026-13-01"] {
            assert!(moment(odd).is_err(), "{odd}");
        }
    }
}
