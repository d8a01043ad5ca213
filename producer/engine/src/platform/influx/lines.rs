//! Points as lines of InfluxDB's protocol.

use super::Influx;
use crate::limits::BLOCK;
use crate::platform::PlatformError;
use crate::platform::json::Fields;
use crate::platform::series::nanoseconds;
use crate::platform::texts::{Lost, storable};
use std::borrow::Cow;
use std::sync::Arc;

/// Points that are written at once, as InfluxDB's documentation advises.
const POINTS: usize = 5000;
/// Points of a user that the server may refuse, each of which is looked for and named; where there are more, something is wrong as a whole.
const REFUSED: usize = 1000;
/// Times that it can hold.
const TIMES: std::ops::RangeInclusive<i64> = -9_223_372_036_854_775_806..=9_223_372_036_854_775_806;

/// Writes points into databases, many at a time.
pub struct PointsWriter {
    server: Influx,
    /// Whether numbers say if they are integers; otherwise all are floats, as Pryv.io writes them.
    kinds: bool,
    database: String,
    lines: Vec<u8>,
    /// Where each point ends in them.
    ends: Vec<usize>,
    refused: usize,
}

/// Takes, in words, what InfluxDB has no place for.
type Lacks<'l> = dyn FnMut(String) + 'l;

impl PointsWriter {
    /// A way to the server. `kinds`: a number without a fraction or an exponent is an integer.
    pub fn new(server: &Influx, kinds: bool) -> Self {
        Self {
            server: server.clone(),
            kinds,
            database: String::new(),
            lines: Vec::new(),
            ends: Vec::new(),
            refused: 0,
        }
    }

    /// The points that come are of this database.
    ///
    /// # Errors
    /// As [`Self::flush`], of those before.
    pub fn of_database(
        &mut self,
        database: &str,
        lacks: &mut Lacks<'_>,
    ) -> Result<(), PlatformError> {
        if self.database != database {
            self.flush(lacks)?;
            database.clone_into(&mut self.database);
        }
        Ok(())
    }

    /// Adds a point.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn add(
        &mut self,
        measurement: &str,
        point: &Fields<'_>,
        lacks: &mut Lacks<'_>,
    ) -> Result<(), PlatformError> {
        if !line(measurement, point, self.kinds, &mut self.lines, lacks) {
            return Ok(());
        }
        self.ends.push(self.lines.len());
        match self.ends.len() >= POINTS || self.lines.len() >= BLOCK {
            true => self.flush(lacks),
            false => Ok(()),
        }
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// When the server does not answer, or refuses too much.
    pub fn flush(&mut self, lacks: &mut Lacks<'_>) -> Result<(), PlatformError> {
        let lines = std::mem::take(&mut self.lines);
        let ends = std::mem::take(&mut self.ends);
        self.write(&lines, 0, &ends, lacks)
    }

    /// Writes the points that end there, the first of which begins at `start`. Where the server does not take all of them, halves are
    /// written, until it is known which ones it refuses.
    fn write(
        &mut self,
        lines: &[u8],
        start: usize,
        ends: &[usize],
        lacks: &mut Lacks<'_>,
    ) -> Result<(), PlatformError> {
        let Some(end) = ends.last() else {
            return Ok(());
        };
        let body = Arc::from(lines.get(start..*end).unwrap_or_default());
        let Err(said) = self.server.write(&self.database, &body)? else {
            return Ok(());
        };
        if ends.len() > 1 {
            let (first, second) = ends.split_at(ends.len() / 2);
            self.write(lines, start, first, lacks)?;
            return self.write(lines, first.last().copied().unwrap_or(start), second, lacks);
        }
        self.refused += 1;
        if self.refused > REFUSED {
            return Err(self.server.error(format!(
                "it refuses more than {REFUSED} points of the user; the last reason: {said:?}"
            )));
        }
        lacks(format!("a point that InfluxDB refuses ({said})"));
        Ok(())
    }
}

/// Appends a point; whether there is anything of it.
fn line(
    measurement: &str,
    point: &Fields<'_>,
    kinds: bool,
    lines: &mut Vec<u8>,
    lacks: &mut Lacks<'_>,
) -> bool {
    let start = lines.len();
    let time = point.get("time").and_then(nanoseconds);
    let Some(time) = time.filter(|time| TIMES.contains(time)) else {
        lacks("a time beyond those of InfluxDB".to_owned());
        return false;
    };
    if !holds(measurement) {
        lacks(format!("a measurement called {measurement:?}"));
        return false;
    }
    name(measurement, &[',', ' '], lines);
    let mut separator = b' ';
    for (key, raw) in point.iter().filter(|(key, _)| *key != "time") {
        if raw == "null" {
            continue;
        }
        let key = unescaped(key);
        if !holds(&key) {
            lacks(format!("a field called {key:?}"));
            continue;
        }
        let before = lines.len();
        lines.push(separator);
        name(&key, &[',', ' ', '='], lines);
        lines.push(b'=');
        match value(raw, kinds, lines, lacks) {
            true => separator = b',',
            false => lines.truncate(before),
        }
    }
    if separator == b' ' {
        lines.truncate(start);
        lacks("a point without a value".to_owned());
        return false;
    }
    lines.extend_from_slice(format!(" {time}\n").as_bytes());
    true
}

/// Appends a value; whether there is a place for it.
fn value(raw: &str, kinds: bool, lines: &mut Vec<u8>, lacks: &mut Lacks<'_>) -> bool {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let mut lost = Lost::default();
            let text = serde_json::from_str::<String>(raw).or_else(|_| {
                let held = storable(raw, &mut lost);
                serde_json::from_str(&held)
            });
            if lost.half {
                lacks("half a surrogate pair".to_owned());
            }
            if lost.nul {
                lacks("the character U+0000 beside it".to_owned());
            }
            lines.push(b'"');
            for byte in text.unwrap_or_default().bytes() {
                if matches!(byte, b'"' | b'\\') {
                    lines.push(b'\\');
                }
                lines.push(byte);
            }
            lines.push(b'"');
            true
        }
        Some(b't' | b'f') => {
            lines.extend_from_slice(raw.as_bytes());
            true
        }
        Some(b'{' | b'[') => {
            lacks("a value that is a list or an object".to_owned());
            false
        }
        _ => number(raw, kinds, lines, lacks),
    }
}

fn number(raw: &str, kinds: bool, lines: &mut Vec<u8>, lacks: &mut Lacks<'_>) -> bool {
    let whole = !raw.contains(['.', 'e', 'E']);
    if whole && kinds {
        let fits = raw.parse::<i64>().is_ok();
        match fits {
            true => lines.extend_from_slice(format!("{raw}i").as_bytes()),
            false => lacks("an integer beyond 64 bits".to_owned()),
        }
        return fits;
    }
    let Some(float) = raw.parse::<f64>().ok().filter(|float| float.is_finite()) else {
        lacks("a number beyond those of a float".to_owned());
        return false;
    };
    #[allow(clippy::cast_possible_truncation)]
    if whole && raw.parse::<i128>() != Ok(float as i128) {
        lacks("the last digits of a number, beyond those of a float,".to_owned());
    }
    lines.extend_from_slice(raw.as_bytes());
    true
}

/// Whether a line can say this name: there, `#` begins a comment, and a backslash escapes what follows it.
fn holds(name: &str) -> bool {
    let mut chars = name.chars().peekable();
    let begins = chars
        .peek()
        .is_some_and(|first| !matches!(first, '#' | '"' | '\t' | '\0'));
    let mut escapes = false;
    for c in chars {
        let special = matches!(c, ',' | ' ' | '=' | '"' | '\\');
        if matches!(c, '\n' | '\r' | '\0') || (escapes && special) {
            return false;
        }
        escapes = c == '\\';
    }
    begins && !escapes
}

/// Appends a name.
fn name(name: &str, special: &[char], lines: &mut Vec<u8>) {
    for c in name.chars() {
        if special.contains(&c) {
            lines.push(b'\\');
        }
        lines.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// What a key of JSON says.
fn unescaped(key: &str) -> Cow<'_, str> {
    match key.contains('\\') {
        true => crate::platform::texts::string(&format!("\"{key}\"")).into(),
        false => key.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(measurement: &str, point: &str, kinds: bool) -> (String, Vec<String>) {
        let (mut lines, mut lacking) = (Vec::new(), Vec::new());
        let fields = Fields::parse(point).unwrap();
        line(measurement, &fields, kinds, &mut lines, &mut |what| {
            lacking.push(what);
        });
        (String::from_utf8(lines).unwrap(), lacking)
    }

    #[test]
    fn points_are_lines() {
        for (point, kinds, due) in [
            (r#"{"time":1.5,"v":1}"#, false, "e v=1 1500000\n"),
            (r#"{"time":-1,"v":1}"#, true, "e v=1i -1000000\n"),
            (
                r#"{"time":0,"v":1.0,"w":null,"b":true}"#,
                true,
                "e v=1.0,b=true 0\n",
            ),
            (
                r#"{"time":0.000001,"a \"b\",c=\u00e9":"x\\\"\ny"}"#,
                true,
                "e a\\ \"b\"\\,c\\=é=\"x\\\\\\\"\ny\" 1\n",
            ),
        ] {
            assert_eq!(made("e", point, kinds), (due.to_owned(), Vec::new()));
        }
        let (line, _) = made("ev,a b=c", r#"{"time":0,"v":1}"#, false);
        assert_eq!(line, "ev\\,a\\ b=c v=1 0\n");
    }

    #[test]
    fn what_has_no_place_is_told() {
        for (point, kinds, told) in [
            (r#"{"time":0}"#, true, "a point without a value"),
            (r#"{"time":0,"v":[1]}"#, true, "a list or an object"),
            (r#"{"time":0,"v":1e400}"#, true, "beyond those of a float"),
            (r#"{"time":0,"v":9223372036854775808}"#, true, "64 bits"),
            (r#"{"time":0,"v":9007199254740993}"#, false, "last digits"),
            (r#"{"time":0,"v":"\ud83d"}"#, true, "half a surrogate"),
            (r#"{"time":9223372036854.775807,"v":1}"#, true, "a time"),
            (r##"{"time":0,"#v":1}"##, true, "a field called \"#v\""),
            (r#"{"time":0,"v\\":1}"#, true, "a field called"),
        ] {
            let (_, lacking) = made("e", point, kinds);
            assert!(lacking[0].contains(told), "{point}: {lacking:?}");
        }
        for name in ["", "#x", "a\nb", "a\\", "a\\,b", "\tx"] {
            let (line, lacking) = made(name, r#"{"time":0,"v":1}"#, true);
            assert!(line.is_empty() && lacking.len() == 1, "{name:?}");
        }
    }
}
