//! The text of a record that is hashed: members in order, nulls left out, everything spelled in one way.

use std::cmp::Ordering;

use serde_json::value::RawValue;

use super::{
    Hashed,
    members::{Members, get, members, number, order},
    text,
};
use crate::{Code, Error, Result, json, limits::MAX_HASHED_DEPTH};

/// The text that is hashed.
#[derive(Default)]
pub(super) struct Canonical {
    pub(super) text: String,
    /// Why it is not all that Pryv.io hashes, if it is not.
    pub(super) lacks: Option<&'static str>,
}

/// The value behind a name.
enum Part<'a> {
    /// A value as it is in the record.
    Value(&'a str),
    /// A list of attachments, of which each has a member that does not count.
    Attachments(&'a str),
    /// A list of this one value.
    Only(&'a str),
    Number(f64),
    /// Not even a value: JavaScript has no text for what is not a number.
    Nothing,
}

/// The canonical text; `duration`: that of an event with an end time.
pub(super) fn canonical(
    kind: Hashed,
    members: &Members<'_>,
    duration: Option<Duration>,
) -> Result<Canonical> {
    let event = kind == Hashed::Event;
    let mut parts: Vec<(&str, Part<'_>)> = Vec::with_capacity(members.len() + 2);
    // A version is hashed as the event that it is a version of.
    let head = if event { get(members, "headId") } else { None };
    for (name, value) in members {
        if kind.leaves_out(name) {
            continue;
        }
        let part = match (&**name, head) {
            ("id", Some(head)) => Part::Value(head),
            ("attachments", _) if event => Part::Attachments(value),
            ("trashed", _) if event && falsy(value) => continue,
            ("duration", _) if event && replaced(members, value) => continue,
            _ => Part::Value(value),
        };
        parts.push((name.as_ref(), part));
    }
    let mut out = Canonical {
        text: String::with_capacity(512),
        lacks: None,
    };
    if event && !derived(members, duration, &mut parts)? {
        out.lacks = Some("its streamId is not the first of its streamIds");
    }
    out.text.push('{');
    for (name, part) in &parts {
        out.member(name, |out| part.write(out))?;
    }
    out.text.push('}');
    Ok(out)
}

impl Part<'_> {
    fn write(&self, out: &mut Canonical) -> Result<()> {
        match self {
            Part::Value(value) => out.value(value, MAX_HASHED_DEPTH)?,
            Part::Attachments(value) => out.attachments(value)?,
            Part::Only(value) => {
                out.text.push('[');
                out.value(value, MAX_HASHED_DEPTH)?;
                out.text.push(']');
            }
            Part::Number(number) => out.text.push_str(&text::shown(*number)),
            Part::Nothing => {}
        }
        Ok(())
    }
}

/// Adds a part where it belongs.
fn insert<'a>(parts: &mut Vec<(&'a str, Part<'a>)>, name: &'a str, part: Part<'a>) {
    let at = parts.partition_point(|(known, _)| order(known, name) == Ordering::Less);
    parts.insert(at, (name, part));
}

/// An end time takes the place of a duration, and one of zero counts as none.
fn replaced(members: &Members<'_>, duration: &str) -> bool {
    members.iter().any(|(name, _)| name == "endTime") || duration.parse() == Ok(0.0)
}

/// The duration of an event with an end time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Duration {
    /// It has no time, so that nobody can say.
    Unknown,
    /// Seconds.
    Seconds(f64),
}

/// The duration that follows from the end time, if there is one; `rounding`: its decimals.
pub(super) fn duration(members: &Members<'_>, rounding: Option<usize>) -> Option<Duration> {
    let end = number(members, "endTime")?;
    let time = match members.iter().find(|(name, _)| name == "time") {
        Some((_, value)) if *value == "null" => Some(0.0),
        Some((_, value)) => value.parse().ok(),
        None => None,
    };
    let Some(time): Option<f64> = time else {
        return Some(Duration::Unknown);
    };
    let whole = end - time;
    Some(Duration::Seconds(match rounding {
        // A number without decimals needs no rounding.
        Some(decimals) if whole.fract() != 0.0 => {
            format!("{whole:.decimals$}").parse().unwrap_or(f64::NAN)
        }
        _ => whole,
    }))
}

/// Derives members from others: the duration, and the streams of an event that names only one. False when the member for one stream and the
/// one for several contradict each other.
fn derived<'a>(
    members: &Members<'a>,
    duration: Option<Duration>,
    parts: &mut Vec<(&'a str, Part<'a>)>,
) -> Result<bool> {
    match duration {
        None | Some(Duration::Seconds(0.0)) => {}
        Some(Duration::Unknown) => insert(parts, "duration", Part::Nothing),
        Some(Duration::Seconds(duration)) => insert(parts, "duration", Part::Number(duration)),
    }
    let Some(stream) = get(members, "streamId") else {
        return Ok(true);
    };
    let Some((_, all)) = parts.iter().find(|(name, _)| *name == "streamIds") else {
        insert(parts, "streamIds", Part::Only(stream));
        return Ok(true);
    };
    let (mut only, mut list) = (Canonical::default(), Canonical::default());
    only.text.push('[');
    only.value(stream, MAX_HASHED_DEPTH)?;
    all.write(&mut list)?;
    Ok(list.text.starts_with(&only.text))
}

fn falsy(value: &str) -> bool {
    matches!(value, "false" | "null" | "\"\"") || value.parse() == Ok(0.0)
}

impl Canonical {
    fn attachments(&mut self, value: &str) -> Result<()> {
        let Ok(list) = serde_json::from_slice::<Vec<&RawValue>>(value.as_bytes()) else {
            return self.value(value, MAX_HASHED_DEPTH);
        };
        self.text.push('[');
        for (i, item) in list.iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            match members(item.get()) {
                Ok(mut parts) => {
                    parts.retain(|(name, _)| name != "readToken");
                    self.object(&parts, MAX_HASHED_DEPTH)?;
                }
                Err(_) => self.value(item.get(), MAX_HASHED_DEPTH)?,
            }
        }
        self.text.push(']');
        Ok(())
    }

    fn object(&mut self, parts: &Members<'_>, depth: u32) -> Result<()> {
        self.text.push('{');
        for (name, value) in parts {
            self.member(name, |out| out.value(value, depth - 1))?;
        }
        self.text.push('}');
        Ok(())
    }

    /// A name, and what `write` appends behind it, with the comma that they need; nothing of a null.
    fn member(&mut self, name: &str, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.text.len();
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        text::quote(name, &mut self.text);
        self.text.push(':');
        let start = self.text.len();
        write(self)?;
        if &self.text[start..] == "null" {
            self.text.truncate(before);
        }
        Ok(())
    }

    fn value(&mut self, value: &str, depth: u32) -> Result<()> {
        match value.as_bytes().first() {
            Some(first @ (b'{' | b'[')) if depth == 0 => {
                self.lacks = Some("it is nested too deep");
                self.text.push(char::from(*first));
            }
            Some(b'{') => self.object(&members(value)?, depth)?,
            Some(b'[') => {
                self.text.push('[');
                for (i, item) in items(value)?.into_iter().enumerate() {
                    if i > 0 {
                        self.text.push(',');
                    }
                    self.value(item, depth - 1)?;
                }
                self.text.push(']');
            }
            Some(b'"') => text::string(value, &mut self.text),
            Some(b't' | b'f' | b'n') => self.text.push_str(value),
            _ => text::number(value, &mut self.text),
        }
        Ok(())
    }
}

/// The items of a list, of whatever depth.
fn items(list: &str) -> Result<Vec<&str>> {
    let scanned: std::result::Result<_, json::Malformed> =
        json::items(list).into_iter().flatten().collect();
    scanned.or_else(|_| {
        let items: Vec<&RawValue> =
            serde_json::from_str(list).map_err(|e| Error::of(Code::ListUnreadable).because(&e))?;
        Ok(items.into_iter().map(RawValue::get).collect())
    })
}
