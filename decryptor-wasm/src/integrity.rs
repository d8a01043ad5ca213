//! Integrity hashes of events, accesses and attachments, as Pryv.io stores them in the records themselves
//! (npm `@pryv/stable-object-representation`): a canonical text of the record, hashed.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use md5::Md5;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::{Error, Result};

/// Values within values: deeper ones are not hashed.
const DEPTH: u32 = 200;

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashed {
    /// An event, a version of one, or what is left of a deleted one.
    Event,
    /// An access, or a version of one.
    Access,
}

/// What the stored hash says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The record is what was hashed.
    Match,
    /// So it is, but for the duration, which lost its last digits when it became an end time.
    Rounded,
    /// There is no hash: the record is older than hashes, or they were switched off.
    Unhashed,
    /// The record is not what was hashed.
    Mismatch {
        /// As stored.
        stored: String,
        /// As computed.
        computed: String,
    },
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha256,
    Sha512,
    Sha1,
    Md5,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            "sha1" => Self::Sha1,
            "md5" => Self::Md5,
            _ => return None,
        })
    }

    fn of(self, text: &str) -> String {
        fn hash<D: Digest>(text: &str) -> String {
            Base64::encode_string(&D::digest(text.as_bytes()))
        }
        match self {
            Self::Sha256 => format!("sha256-{}", hash::<Sha256>(text)),
            Self::Sha512 => format!("sha512-{}", hash::<Sha512>(text)),
            Self::Sha1 => format!("sha1-{}", hash::<Sha1>(text)),
            Self::Md5 => format!("md5-{}", hash::<Md5>(text)),
        }
    }
}

impl Hashed {
    fn prefix(self) -> &'static str {
        match self {
            Self::Event => "EVENT:0:",
            Self::Access => "ACCESS:0:",
        }
    }

    /// Members that are no part of what is hashed.
    fn leaves_out(self, name: &str) -> bool {
        match name {
            "integrity" | "_id" | "__v" | "userId" | "user_id" => true,
            "headId" | "tags" | "endTime" | "streamId" => self == Self::Event,
            "lastUsed" | "calls" | "apiEndpoint" => self == Self::Access,
            _ => false,
        }
    }
}

/// Compares a record, a JSON object, with the hash in it.
///
/// # Errors
/// When the record is not a JSON object or too deep.
pub fn check(kind: Hashed, record: &[u8]) -> Result<Verdict> {
    let members = members(text(record)?)?;
    let Some(stored) = string(&members, "integrity") else {
        return Ok(Verdict::Unhashed);
    };
    let name = stored.strip_prefix(kind.prefix());
    let name = name.and_then(|rest| rest.split('-').next());
    let algorithm = name.and_then(Algorithm::parse);
    let value = |rounding: Option<usize>| -> Result<String> {
        let canonical = canonical(kind, &members, rounding)?;
        let digest = algorithm.unwrap_or(Algorithm::Sha256).of(&canonical);
        Ok(format!("{}{digest}", kind.prefix()))
    };
    let computed = value(None)?;
    if computed == stored {
        return Ok(Verdict::Match);
    }
    if kind == Hashed::Event && number(&members, "endTime").is_some() {
        for decimals in 3..=6 {
            if value(Some(decimals))? == stored {
                return Ok(Verdict::Rounded);
            }
        }
    }
    Ok(Verdict::Mismatch { stored, computed })
}

/// What a record hashes to with SHA-256, whatever it says of itself.
///
/// # Errors
/// When the record is not a JSON object or too deep.
pub fn digest(kind: Hashed, record: &[u8]) -> Result<[u8; 32]> {
    let canonical = canonical(kind, &members(text(record)?)?, None)?;
    Ok(Sha256::digest(canonical.as_bytes()).into())
}

/// The hash of an attachment as events list it, of its SHA-256.
#[must_use]
pub fn attachment(sha256: &[u8; 32]) -> String {
    format!("sha256-{}", Base64::encode_string(sha256))
}

fn text(record: &[u8]) -> Result<&str> {
    std::str::from_utf8(record).map_err(|_| Error::damaged("a record is not UTF-8"))
}

type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// The members of an object; of several with one name the last counts.
fn members(text: &str) -> Result<Members<'_>> {
    struct Pairs<'a>(Members<'a>);
    impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
        fn deserialize<D: serde::Deserializer<'de>>(
            deserializer: D,
        ) -> std::result::Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Members<'de>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a JSON object")
                }
                fn visit_map<M: serde::de::MapAccess<'de>>(
                    self,
                    mut map: M,
                ) -> std::result::Result<Self::Value, M::Error> {
                    let mut members = Members::new();
                    while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                        members.push((unquote(name.get()), value.get()));
                    }
                    Ok(members)
                }
            }
            deserializer.deserialize_map(Visit).map(Pairs)
        }
    }
    let Pairs(mut members) = serde_json::from_str(text)
        .map_err(|e| Error::damaged(format!("a record is not a JSON object ({e})")))?;
    // In the order of UTF-16, as JavaScript sorts.
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    members.reverse();
    members.dedup_by(|(later, _), (kept, _)| later == kept);
    members.reverse();
    Ok(members)
}

fn get<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    let found = members.iter().find(|(known, _)| known == name);
    found
        .map(|(_, value)| value.trim())
        .filter(|value| *value != "null")
}

fn string(members: &Members<'_>, name: &str) -> Option<String> {
    get(members, name)
        .filter(|value| value.starts_with('"'))
        .map(|value| unquote(value).into_owned())
}

fn number(members: &Members<'_>, name: &str) -> Option<f64> {
    get(members, name)?.parse().ok()
}

fn canonical(kind: Hashed, members: &Members<'_>, rounding: Option<usize>) -> Result<String> {
    let mut parts: Vec<(Cow<'_, str>, String)> = Vec::with_capacity(members.len() + 1);
    // A version is hashed as the event that it is a version of.
    let head = (kind == Hashed::Event)
        .then(|| get(members, "headId"))
        .flatten();
    for (name, value) in members {
        if kind.leaves_out(name) {
            continue;
        }
        let mut text = String::new();
        match (&**name, head) {
            ("id", Some(head)) => write(head, &mut text, DEPTH)?,
            ("attachments", _) if kind == Hashed::Event => attachments(value, &mut text)?,
            ("trashed", _) if kind == Hashed::Event && falsy(value) => continue,
            ("duration", _) if kind == Hashed::Event && replaced(members, value) => continue,
            _ => write(value, &mut text, DEPTH)?,
        }
        parts.push((name.clone(), text));
    }
    if kind == Hashed::Event {
        derived(members, rounding, &mut parts)?;
    }
    parts.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let mut out = String::from("{");
    for (name, value) in parts.iter().filter(|(_, value)| value != "null") {
        member(name, &mut out);
        out.push_str(value);
    }
    out.push('}');
    Ok(out)
}

/// An end time takes the place of a duration, and one of zero counts as none.
fn replaced(members: &Members<'_>, duration: &str) -> bool {
    members.iter().any(|(name, _)| name == "endTime") || duration.trim().parse() == Ok(0.0)
}

/// What follows from other members: the duration, and the streams of an event that names only one.
fn derived(
    members: &Members<'_>,
    rounding: Option<usize>,
    parts: &mut Vec<(Cow<'_, str>, String)>,
) -> Result<()> {
    if let Some(end) = number(members, "endTime") {
        let time = match members.iter().find(|(name, _)| name == "time") {
            Some((_, value)) if value.trim() == "null" => Some(0.0),
            Some((_, value)) => value.trim().parse().ok(),
            None => None,
        };
        let duration: Option<f64> = time.map(|time: f64| match rounding {
            Some(decimals) => format!("{:.decimals$}", end - time)
                .parse()
                .unwrap_or(f64::NAN),
            None => end - time,
        });
        match duration {
            // As JavaScript has it: not a number has no text.
            None => parts.push(("duration".into(), String::new())),
            Some(0.0) => {}
            Some(duration) => parts.push(("duration".into(), shown(duration))),
        }
    }
    let Some(stream) = get(members, "streamId") else {
        return Ok(());
    };
    let mut only = String::from("[");
    write(stream, &mut only, DEPTH)?;
    match parts.iter().find(|(name, _)| name == "streamIds") {
        None => parts.push(("streamIds".into(), only + "]")),
        Some((_, all)) if all.starts_with(&only) => {}
        Some(_) => return Err(Error::damaged("streamId is not the first of streamIds")),
    }
    Ok(())
}

fn falsy(value: &str) -> bool {
    let value = value.trim();
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
    quote(name, out);
    out.push(':');
}

fn write(value: &str, out: &mut String, depth: u32) -> Result<()> {
    let value = value.trim();
    if depth == 0 {
        return Err(Error::damaged("a record is too deep to be hashed"));
    }
    match value.as_bytes().first() {
        Some(b'{') => object(&members(value)?, out, depth)?,
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(value)
                .map_err(|e| Error::damaged(format!("a record is malformed ({e})")))?;
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item.get(), out, depth - 1)?;
            }
            out.push(']');
        }
        Some(b'"') => quote(&unquote(value), out),
        Some(b't' | b'f' | b'n') => out.push_str(value),
        _ => out.push_str(&shown(value.parse().unwrap_or(f64::NAN))),
    }
    Ok(())
}

/// A number as JavaScript prints it; what is none is null.
fn shown(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if !number.is_finite() {
        return "null".to_owned();
    }
    ryu_js::Buffer::new().format_finite(number).to_owned()
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{604}'
            | '\u{70f}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{200c}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", character as u32));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The text of a JSON string. Half a surrogate pair, which JavaScript allows, is hashed as the replacement character.
fn unquote(json: &str) -> Cow<'_, str> {
    let inner = json
        .trim()
        .strip_prefix('"')
        .and_then(|j| j.strip_suffix('"'));
    let Some(inner) = inner else {
        return Cow::Borrowed(json);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        units.push(match rest.next() {
            Some('b') => 8,
            Some('t') => 9,
            Some('n') => 10,
            Some('f') => 12,
            Some('r') => 13,
            Some('u') => {
                let hex: String = rest.by_ref().take(4).collect();
                u16::from_str_radix(&hex, 16).unwrap_or(0xfffd)
            }
            Some(other) => other as u16,
            None => 0xfffd,
        });
    }
    Cow::Owned(String::from_utf16_lossy(&units))
}
