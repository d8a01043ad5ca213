//! Moments on the command line.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Numbers that are seconds of a time that events are of: from 1973, when they got nine digits, to 2286. Others, such as
/// milliseconds, are taken for seconds only when they are marked.
const PLAUSIBLE: std::ops::Range<f64> = 1e8..1e10;
const FORMS: &str = "write a year (2026), a date (2026-11-24), date and time (2026-11-24T12:30:00Z), or @ and seconds since 1970 (@1780000000)";

/// A moment as people write it: a year, a date, or a date and a time (in UTC unless it says otherwise), or seconds since 1970.
pub fn moment(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    if let Some(seconds) = text.strip_prefix('@') {
        return number(seconds).ok_or_else(|| FORMS.to_owned());
    }
    if is_year(text) {
        return moment(&format!("{text}-01-01"));
    }
    if text.parse::<f64>().is_ok() {
        let seconds = number(text).filter(|seconds| PLAUSIBLE.contains(seconds));
        return seconds.ok_or_else(|| format!("this number could mean several things: {FORMS}"));
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
        Err(_) => Err(FORMS.to_owned()),
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood_as_people_write_them() {
        for (text, seconds) in [
            ("@0", 0.0),
            ("@-5", -5.0),
            ("@1780000000.5", 1_780_000_000.5),
            ("1780000000.5", 1_780_000_000.5),
            ("1970", 0.0),
            ("2099", 4_070_908_800.0),
            ("1970-01-02", 86400.0),
            ("1970-01-01T00:01", 60.0),
            ("1970-01-01T01:00:00+01:00", 0.0),
            ("1970-01-01T00:00:00.25Z", 0.25),
        ] {
            assert_eq!(moment(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_could_mean_something_else_is_refused() {
        for odd in [
            "",
            "@",
            "@x",
            "@NaN",
            "yesterday",
            "NaN",
            "inf",
            "2026-13-01",
            "0",
            "-5",
            "12",
            "202611",
            "20990101",
            "1780000000000",
            "1780000000000000",
        ] {
            let error = moment(odd).expect_err(odd);
            for form in ["2026)", "2026-11-24)", "T12:30:00Z", "@1780000000"] {
                assert!(error.contains(form), "{odd}: {error}");
            }
        }
    }
}
