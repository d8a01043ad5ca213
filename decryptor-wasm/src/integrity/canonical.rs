//! The text of a record that is hashed: members in order, nulls left out, everything spelled in one way.

use std::cmp::Ordering;

use serde_json::value::RawValue;

use super::{
    Hashed,
    members::{Members, get, members, number, order},
    text,
};
use crate::{Error, Result, json};

/// Values within values: deeper ones are not hashed.
const DEPTH: u32 = 200;

/// What stands behind a name.
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
) -> Result<String> {
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
    if event {
        derived(members, duration, &mut parts)?;
    }
    let mut out = String::with_capacity(512);
    out.push('{');
    for (name, part) in &parts {
        let before = out.len();
        member(name, &mut out);
        let start = out.len();
        part.write(&mut out)?;
        if &out[start..] == "null" {
            out.truncate(before);
        }
    }
    out.push('}');
    Ok(out)
}

impl Part<'_> {
    fn write(&self, out: &mut String) -> Result<()> {
        match self {
            Part::Value(value) => write(value, out, DEPTH)?,
            Part::Attachments(value) => attachments(value, out)?,
            Part::Only(value) => {
                out.push('[');
                write(value, out, DEPTH)?;
                out.push(']');
            }
            Part::Number(number) => out.push_str(&text::shown(*number)),
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

/// How long an event with an end time is.
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
        // What has no decimals has none to be rounded.
        Some(decimals) if whole.fract() != 0.0 => {
            format!("{whole:.decimals$}").parse().unwrap_or(f64::NAN)
        }
        _ => whole,
    }))
}

/// What follows from other members: the duration, and the streams of an event that names only one.
fn derived<'a>(
    members: &Members<'a>,
    duration: Option<Duration>,
    parts: &mut Vec<(&'a str, Part<'a>)>,
) -> Result<()> {
    match duration {
        None | Some(Duration::Seconds(0.0)) => {}
        Some(Duration::Unknown) => insert(parts, "duration", Part::Nothing),
        Some(Duration::Seconds(duration)) => insert(parts, "duration", Part::Number(duration)),
    }
    let Some(stream) = get(members, "streamId") else {
        return Ok(());
    };
    let Some((_, all)) = parts.iter().find(|(name, _)| *name == "streamIds") else {
        insert(parts, "streamIds", Part::Only(stream));
        return Ok(());
    };
    let (mut only, mut list) = (String::from("["), String::new());
    write(stream, &mut only, DEPTH)?;
    all.write(&mut list)?;
    if list.starts_with(&only) {
        Ok(())
    } else {
        Err(Error::damaged("streamId is not the first of streamIds"))
    }
}

fn falsy(value: &str) -> bool {
    matches!(value, "false" | "null" | "\"\"") || value.parse() == Ok(0.0)
}

fn attachments(value: &str, out: &mut String) -> Result<()> {
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value) else {
        return write(value, out, DEPTH);
    };
    out.push('[');
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match members(item.get()) {
            Ok(mut parts) => {
                parts.retain(|(name, _)| name != "readToken");
                object(&parts, out, DEPTH)?;
            }
            Err(_) => write(item.get(), out, DEPTH)?,
        }
    }
    out.push(']');
    Ok(())
}

fn object(parts: &Members<'_>, out: &mut String, depth: u32) -> Result<()> {
    out.push('{');
    for (name, value) in parts {
        let before = out.len();
        member(name, out);
        let start = out.len();
        write(value, out, depth - 1)?;
        if &out[start..] == "null" {
            out.truncate(before);
        }
    }
    out.push('}');
    Ok(())
}

/// A name and its colon, with the comma that it needs.
fn member(name: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    text::quote(name, out);
    out.push(':');
}

fn write(value: &str, out: &mut String, depth: u32) -> Result<()> {
    if depth == 0 {
        return Err(Error::damaged("a record is too deep to be hashed"));
    }
    match value.as_bytes().first() {
        Some(b'{') => object(&members(value)?, out, depth)?,
        Some(b'[') => {
            let items = json::items(value).into_iter().flatten();
            out.push('[');
            for (i, item) in items.enumerate() {
                let item = item.map_err(|_| Error::damaged("a record is too deep to be hashed"))?;
                if i > 0 {
                    out.push(',');
                }
                write(item, out, depth - 1)?;
            }
            out.push(']');
        }
        Some(b'"') => text::string(value, out),
        Some(b't' | b'f' | b'n') => out.push_str(value),
        _ => text::number(value, out),
    }
    Ok(())
}
