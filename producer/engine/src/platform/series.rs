//! High-frequency series as all engines have them: points of one measurement, in lines of bounded length.

use crate::platform::iso;
use crate::platform::json::{self, Fields, Object};
use crate::platform::texts::string;

/// Points per line, and bytes of points after which it ends: what a reader has to hold at once.
pub const POINTS_PER_LINE: usize = 50_000;
/// See [`POINTS_PER_LINE`].
pub const BYTES_PER_LINE: usize = 4 * 1024 * 1024;

/// Points of one measurement that become a line of an archive.
#[derive(Default)]
pub struct PointsLine {
    points: Vec<u8>,
    count: usize,
}

impl PointsLine {
    /// Whether the next point belongs to another line.
    pub fn is_full(&self) -> bool {
        self.count == POINTS_PER_LINE || self.points.len() >= BYTES_PER_LINE
    }

    /// Adds a point, which is a JSON object.
    pub fn add(&mut self, point: &[u8]) {
        if self.count > 0 {
            self.points.push(b',');
        }
        self.points.extend_from_slice(point);
        self.count += 1;
    }

    /// The line, unless there is no point in it; it is empty again.
    pub fn take(&mut self, namespace: &str, measurement: &str) -> Option<Vec<u8>> {
        if self.count == 0 {
            return None;
        }
        let mut record = Vec::from(&b"{\"measurement\":"[..]);
        record.extend_from_slice(json::quote(measurement).as_bytes());
        record.extend_from_slice(b",\"namespace\":");
        record.extend_from_slice(json::quote(namespace).as_bytes());
        record.extend_from_slice(b",\"points\":[");
        record.append(&mut self.points);
        record.extend_from_slice(b"]}");
        self.count = 0;
        Some(record)
    }
}

/// The nearest whole number, unless there is none of that size.
pub fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let number = number.round();
    #[allow(clippy::cast_possible_truncation)]
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

/// Nanoseconds of the time of a point, exactly: milliseconds, whose decimal point is moved six places, or an ISO time, as
/// InfluxDB tells it.
pub fn nanoseconds(raw: &str) -> Option<i64> {
    if raw.starts_with('"') {
        return iso::nanoseconds(&string(raw));
    }
    let (sign, digits) = match raw.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", raw),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if all_digits(whole) && all_digits(fraction) && !whole.is_empty() {
        let exact = fraction.len() <= 6 || fraction[6..].bytes().all(|b| b == b'0');
        if exact {
            let fraction = &fraction[..fraction.len().min(6)];
            return format!("{sign}{whole}{fraction:0<6}").parse().ok();
        }
    }
    // A product of doubles, as Pryv's own tool makes: to the nearest.
    let nanoseconds = (raw.parse::<f64>().ok()? * 1e6).round();
    #[allow(clippy::cast_possible_truncation)]
    (nanoseconds.abs() < 9.2e18).then_some(nanoseconds as i64)
}

/// Members of a point of a series besides its time. InfluxDB names every column that some point has, with nothing in it.
pub fn point(fields: &Fields<'_>) -> String {
    let of_influx = fields.get("time").is_some_and(|time| time.starts_with('"'));
    let mut object = Object::new();
    for (key, value) in fields.iter().filter(|(key, _)| *key != "time") {
        if !(of_influx && value == "null") {
            object.raw(key, value);
        }
    }
    String::from_utf8_lossy(&object.finish()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        for (raw, expected) in [
            ("0", 0),
            ("1500", 1_500_000_000),
            ("4393911.305278", 4_393_911_305_278),
            ("-1.5", -1_500_000),
            ("-0.000001", -1),
            ("0.1", 100_000),
            ("1e3", 1_000_000_000),
            ("1.0000000", 1_000_000),
        ] {
            assert_eq!(nanoseconds(raw), Some(expected), "{raw}");
        }
        assert_eq!(
            nanoseconds("\"1970-01-01T00:00:01.5Z\""),
            Some(1_500_000_000)
        );
        assert_eq!(nanoseconds("x"), None);
        assert_eq!(nanoseconds("1e300"), None);
    }
}
