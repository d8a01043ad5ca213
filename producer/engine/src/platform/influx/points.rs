//! Points of a measurement as JSON, in the order of their times.

use super::call::{PAUSES, Piece, Trouble};
use super::columns::{Kind, Measurement};
use super::{Influx, identifier};
use crate::platform::ExportError;
use crate::platform::json::{self, Object};
use crate::platform::waiting::pause;
use std::borrow::Cow;

/// What comes of a measurement.
pub(super) enum Found<'f> {
    /// A point: its time in nanoseconds, and all of it as a JSON object.
    Point(i64, &'f [u8]),
    /// A value that is left out, in one sentence.
    Lost(String),
}

/// Takes what comes.
pub(super) type Take<'t> = dyn FnMut(Found<'_>) -> Result<(), ExportError> + 't;

/// From whole numbers of this size on, not every one is a double.
const EXACT: i64 = 1 << 53;

/// The points of a measurement on their way.
struct Reader<'m, 't, 'f> {
    measurement: &'m Measurement,
    take: &'t mut Take<'f>,
    /// A point that others of the same time may belong to.
    waiting: Option<(i64, Vec<Option<String>>)>,
    /// The time of the last point that was handed over.
    last: Option<i64>,
}

impl Influx {
    /// Reads all points of a measurement. What breaks off is taken up after the last point that came.
    pub(super) fn points(
        &self,
        database: &str,
        measurement: &Measurement,
        take: &mut Take<'_>,
    ) -> Result<(), Trouble> {
        let mut reader = Reader {
            measurement,
            take,
            waiting: None,
            last: None,
        };
        let from = format!(
            "SELECT {} FROM {}..{}",
            measurement.selection(),
            identifier(database),
            identifier(&measurement.name)
        );
        let mut pauses = PAUSES.iter();
        loop {
            let after = reader.last;
            reader.waiting = None;
            let statement = match after {
                None => from.clone(),
                Some(last) => format!("{from} WHERE time > {last}"),
            };
            let asked = self.ask(&statement, &mut |piece| reader.piece(piece));
            if reader.last > after {
                pauses = PAUSES.iter();
            }
            match (asked, pauses.next()) {
                (Ok(()), _) => return Ok(reader.end()?),
                (Err(Trouble::Later(_)), Some(length)) => {
                    pause(*length).map_err(|_| Trouble::Interrupted)?;
                }
                (Err(trouble), _) => return Err(trouble),
            }
        }
    }

    /// How many points these statements select.
    pub(super) fn count(&self, from: &str) -> Result<u64, Trouble> {
        self.again(|| {
            let mut points = 0;
            self.ask(&format!("SELECT * FROM {from}"), &mut |piece| {
                points += piece.values.len() as u64;
                Ok(())
            })?;
            Ok(points)
        })
    }
}

impl Reader<'_, '_, '_> {
    fn piece(&mut self, piece: &Piece<'_>) -> Result<(), ExportError> {
        for row in &piece.values {
            let mut cells = row.iter().map(|cell| cell.get());
            let time = cells.next().and_then(|time| time.parse().ok());
            let Some(time) = time else {
                self.lose("a point without a time")?;
                continue;
            };
            let mut values = Vec::with_capacity(self.measurement.columns.len());
            let mut differ = Vec::new();
            for column in &self.measurement.columns {
                let (value, differs) = value(&column.kinds, &mut cells);
                if differs {
                    differ.push(column.name.as_str());
                }
                values.push(value);
            }
            for name in differ {
                self.lose(&format!(
                    "a point has a tag {name:?} beside a field of this name, and other than it"
                ))?;
            }
            match self.measurement.has_tags() {
                false => self.hand_over(time, &values)?,
                true => {
                    let values = values.into_iter().map(|v| v.map(Cow::into_owned));
                    self.merge(time, values.collect())?;
                }
            }
        }
        Ok(())
    }

    /// What tags kept apart is one point without them.
    fn merge(&mut self, time: i64, values: Vec<Option<String>>) -> Result<(), ExportError> {
        match &mut self.waiting {
            Some((same, first)) if *same == time => {
                let mut differ = Vec::new();
                let columns = self.measurement.columns.iter();
                for ((column, first), value) in columns.zip(first).zip(values) {
                    match (&first, value) {
                        (_, None) => {}
                        (None, value) => *first = value,
                        (Some(first), Some(value)) if *first == value => {}
                        _ => differ.push(format!("{:?}", column.name)),
                    }
                }
                match differ.is_empty() {
                    true => Ok(()),
                    false => self.lose(&format!(
                        "two points have the same time, told apart by tags only: of the second, {}",
                        differ.join(", ")
                    )),
                }
            }
            _ => {
                let before = self.waiting.replace((time, values));
                self.pass(before)
            }
        }
    }

    fn end(&mut self) -> Result<(), ExportError> {
        let last = self.waiting.take();
        self.pass(last)
    }

    fn pass(&mut self, point: Option<(i64, Vec<Option<String>>)>) -> Result<(), ExportError> {
        match point {
            Some((time, values)) => self.hand_over(time, &values),
            None => Ok(()),
        }
    }

    fn hand_over<T: AsRef<str>>(
        &mut self,
        time: i64,
        values: &[Option<T>],
    ) -> Result<(), ExportError> {
        let mut object = Object::new();
        object.raw("time", &json::milliseconds(time));
        for (column, value) in self.measurement.columns.iter().zip(values) {
            let Some(value) = value else { continue };
            if column.name == "time" {
                self.lose("a point has a column called time")?;
                continue;
            }
            object.raw(&column.key, value.as_ref());
        }
        (self.take)(Found::Point(time, &object.finish()))?;
        self.last = Some(time);
        Ok(())
    }

    fn lose(&mut self, what: &str) -> Result<(), ExportError> {
        let name = &self.measurement.name;
        (self.take)(Found::Lost(format!("{name:?}: {what}; it was left out")))
    }
}

/// The value of a column, from a cell for each of its kinds; whether a tag says something else.
fn value<'a>(
    kinds: &[Kind],
    cells: &mut impl Iterator<Item = &'a str>,
) -> (Option<Cow<'a, str>>, bool) {
    let mut found: Option<(Kind, &str)> = None;
    let mut differs = false;
    for (kind, raw) in kinds.iter().zip(cells) {
        if raw == "null" || (*kind == Kind::Tag && raw == "\"\"") {
            continue;
        }
        match found {
            None => found = Some((*kind, raw)),
            // The server has made one of the other. An integer that is no double was not made of one.
            Some((Kind::Float, float)) if *kind == Kind::Integer => {
                if is_beyond(float, raw) {
                    found = Some((*kind, raw));
                }
            }
            Some((_, first)) => differs |= first != raw,
        }
    }
    (found.map(|(kind, raw)| json_of(kind, raw)), differs)
}

/// Whether an integer has digits for which the same number as a float may have no place.
fn is_beyond(float: &str, integer: &str) -> bool {
    let (Ok(float), Ok(integer)) = (float.parse::<f64>(), integer.parse::<i64>()) else {
        return false;
    };
    #[allow(clippy::cast_precision_loss, clippy::float_cmp)]
    let same = float == integer as f64;
    same && !(-EXACT..=EXACT).contains(&integer)
}

/// As it is in a record: a float is not mistaken for an integer.
fn json_of(kind: Kind, raw: &str) -> Cow<'_, str> {
    match kind {
        Kind::Float if !raw.contains(['.', 'e', 'E']) => format!("{raw}.0").into(),
        // The server escapes more than needs be.
        Kind::Text | Kind::Tag if raw.contains("\\u") => {
            let text: Option<String> = serde_json::from_str(raw).ok();
            text.map_or(Cow::Borrowed(raw), |text| json::quote(&text).into())
        }
        _ => raw.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kinds: &[Kind], cells: &[&str]) -> (Option<String>, bool) {
        let (value, differs) = value(kinds, &mut cells.iter().copied());
        (value.map(Cow::into_owned), differs)
    }

    #[test]
    fn kinds_are_kept() {
        use Kind::{Boolean, Float, Integer, Tag, Text};
        for (kinds, cells, due) in [
            (&[Float][..], &["1"][..], Some("1.0")),
            (&[Float], &["1e+21"], Some("1e+21")),
            (&[Float], &["-0"], Some("-0.0")),
            (&[Integer], &["9007199254740993"], Some("9007199254740993")),
            (&[Boolean], &["true"], Some("true")),
            (&[Text], &[r#""\u003ca\n\"""#], Some(r#""<a\n\"""#)),
            (&[Float, Integer], &["1.5", "1"], Some("1.5")),
            (&[Float, Integer], &["7", "7"], Some("7.0")),
            (
                &[Float, Integer],
                &["9007199254740992", "9007199254740993"],
                Some("9007199254740993"),
            ),
            (
                &[Float, Integer],
                &["1e+300", "-9223372036854775808"],
                Some("1e+300"),
            ),
            (&[Float, Text], &["null", "\"s\""], Some("\"s\"")),
            (&[Text, Tag], &["null", "\"t\""], Some("\"t\"")),
            (&[Text, Tag], &["\"t\"", "\"\""], Some("\"t\"")),
            (&[Float], &["null"], None),
        ] {
            let due = (due.map(str::to_owned), false);
            assert_eq!(one(kinds, cells), due, "{cells:?}");
        }
        assert!(one(&[Text, Tag], &["\"a\"", "\"b\""]).1);
    }
}
