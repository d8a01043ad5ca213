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
    canonical::{Canonical, canonical, duration},
    members::{Members, get, members, string},
};
use crate::{Code, Result};

/// The kind of record that is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashed {
    /// An event, a version of one, or what is left of a deleted one.
    Event,
    /// An access, or a version of one.
    Access,
}

/// The result of comparing a record with its stored hash.
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
    /// The record has a hash that cannot be computed here: why.
    Unknown(&'static str),
}

/// Characters of a digest of 64 bytes.
const LONGEST: usize = 88;

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

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
        }
    }

    /// Base64 of the digest, in the room that is given.
    fn of<'r>(self, text: &str, room: &'r mut [u8; LONGEST]) -> &'r str {
        fn hash<'r, D: Digest>(text: &str, room: &'r mut [u8; LONGEST]) -> &'r str {
            // There is room for the longest of them.
            Base64::encode(&D::digest(text.as_bytes()), room).unwrap_or_default()
        }
        match self {
            Self::Sha256 => hash::<Sha256>(text, room),
            Self::Sha512 => hash::<Sha512>(text, room),
            Self::Sha1 => hash::<Sha1>(text, room),
            Self::Md5 => hash::<Md5>(text, room),
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
/// When the record is not a JSON object.
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

    /// The text of a member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.string(name).map(Cow::into_owned)
    }

    /// A member that is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Compares it with the hash in it.
    ///
    /// # Errors
    /// When something in it is not JSON.
    pub fn verdict(&self, kind: Hashed) -> Result<Verdict> {
        let Record(members) = self;
        let Some(stored) = string(members, "integrity") else {
            return Ok(Verdict::Unhashed);
        };
        let rest = stored.strip_prefix(kind.prefix()).unwrap_or_default();
        let (name, digest) = rest.split_once('-').unwrap_or_default();
        let known = Algorithm::parse(name);
        let algorithm = known.unwrap_or(Algorithm::Sha256);
        let room = &mut [0; LONGEST];
        let due = duration(members, None);
        let Canonical { text, lacks } = canonical(kind, members, due)?;
        if let Some(why) = lacks {
            return Ok(Verdict::Unknown(why));
        }
        let computed = algorithm.of(&text, room);
        if known.is_some() && computed == digest {
            return Ok(Verdict::Match);
        }
        let computed = format!("{}{}-{computed}", kind.prefix(), algorithm.name());
        if kind == Hashed::Event && known.is_some() {
            let mut tried = vec![due];
            for decimals in 3..=6 {
                let due = duration(members, Some(decimals));
                if tried.contains(&due) {
                    continue;
                }
                tried.push(due);
                if algorithm.of(&canonical(kind, members, due)?.text, room) == digest {
                    return Ok(Verdict::Rounded);
                }
            }
        }
        Ok(Verdict::Mismatch {
            stored: stored.into_owned(),
            computed,
        })
    }

    /// Hashes the record with SHA-256, whatever hash it holds. Of values that are nested too deep only the kind counts.
    ///
    /// # Errors
    /// When something in it is not JSON.
    pub fn digest(&self, kind: Hashed) -> Result<[u8; 32]> {
        let Record(members) = self;
        let canonical = canonical(kind, members, duration(members, None))?;
        Ok(Sha256::digest(canonical.text.as_bytes()).into())
    }
}

/// Computes [`Record::digest`] of a record that is needed for nothing else.
///
/// # Errors
/// When the record is not a JSON object.
pub fn digest(kind: Hashed, record: &[u8]) -> Result<[u8; 32]> {
    Record::parse(record)?.digest(kind)
}

/// The hash of an attachment as events list it, of its SHA-256.
#[must_use]
pub fn attachment(sha256: &[u8; 32]) -> String {
    format!("sha256-{}", Base64::encode_string(sha256))
}

fn utf8(record: &[u8]) -> Result<&str> {
    std::str::from_utf8(record).map_err(|_| Code::RecordUnreadable.into())
}
