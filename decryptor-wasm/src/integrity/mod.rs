//! Integrity hashes of events, accesses and attachments, as Pryv.io stores them in the records themselves
//! (npm `@pryv/stable-object-representation`): a canonical text of the record, hashed.

mod canonical;
mod members;
mod text;

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

pub use self::text::unquote;
use self::{
    canonical::canonical,
    members::{Members, get, members, number, string},
};
use crate::{Error, Result};

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
    Record::parse(record)?.verdict(kind)
}

/// A record, parsed once for all that is asked of it.
pub struct Record<'a>(Members<'a>);

impl<'a> Record<'a> {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(record: &'a [u8]) -> Result<Self> {
        members(utf8(record)?).map(Record)
    }

    /// The JSON text of a member; none of one that is null or not there.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        get(&self.0, name)
    }

    /// All members, null ones too, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// The text of a member that is a string.
    pub fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        string(&self.0, name)
    }

    /// Compares it with the hash in it.
    ///
    /// # Errors
    /// When it is too deep, or contradicts itself.
    pub fn verdict(&self, kind: Hashed) -> Result<Verdict> {
        let Record(members) = self;
        let Some(stored) = string(members, "integrity") else {
            return Ok(Verdict::Unhashed);
        };
        let name = stored.strip_prefix(kind.prefix());
        let name = name.and_then(|rest| rest.split('-').next());
        let algorithm = name.and_then(Algorithm::parse);
        let value = |rounding: Option<usize>| -> Result<String> {
            let canonical = canonical(kind, members, rounding)?;
            let digest = algorithm.unwrap_or(Algorithm::Sha256).of(&canonical);
            Ok(format!("{}{digest}", kind.prefix()))
        };
        let computed = value(None)?;
        if computed == stored {
            return Ok(Verdict::Match);
        }
        if kind == Hashed::Event && number(members, "endTime").is_some() {
            for decimals in 3..=6 {
                if value(Some(decimals))? == stored {
                    return Ok(Verdict::Rounded);
                }
            }
        }
        Ok(Verdict::Mismatch {
            stored: stored.into_owned(),
            computed,
        })
    }
}

/// What a record hashes to with SHA-256, whatever it says of itself.
///
/// # Errors
/// When the record is not a JSON object or too deep.
pub fn digest(kind: Hashed, record: &[u8]) -> Result<[u8; 32]> {
    let canonical = canonical(kind, &members(utf8(record)?)?, None)?;
    Ok(Sha256::digest(canonical.as_bytes()).into())
}

/// The hash of an attachment as events list it, of its SHA-256.
#[must_use]
pub fn attachment(sha256: &[u8; 32]) -> String {
    format!("sha256-{}", Base64::encode_string(sha256))
}

fn utf8(record: &[u8]) -> Result<&str> {
    std::str::from_utf8(record).map_err(|_| Error::damaged("a record is not UTF-8"))
}
