//! Entries of an inventory in few bytes: there may be millions of files.

use base64ct::{Base64, Encoding};
use serde::Serialize;

use super::{
    FileEntry,
    packed::{PackedFields, PackedItems, put_number},
};
use crate::{Result, hex, integrity::Record};

/// The entry of a file in an inventory, without its path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Written")]
pub struct Expected {
    /// Stored bytes.
    pub size: u64,
    /// Bytes before sealing (gzip bytes for a compressed file).
    pub content_size: u64,
    /// JSON lines; only for record files.
    pub records: Option<u64>,
    sha256: Sum,
    /// Only for sealed files.
    content_sha256: Option<Sum>,
    /// Only for sealed files.
    salt: Option<Salt>,
    /// The inventory that would list the file cannot be read; everything else is empty then.
    pub unlisted: bool,
}

/// A SHA-256 from its hex digits; none of a text that no digest has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum(Option<[u8; 32]>);

/// The salt of a file from its base64; none of a text that no salt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Salt(Option<[u8; 16]>);

/// As an inventory spells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    size: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    content_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unlisted: bool,
}

/// Entries of inventories, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Entries(PackedItems);

const HAS_RECORDS: u64 = 1;
const HAS_SUM: u64 = 2;
const IS_SEALED: u64 = 4;
const HAS_CONTENT_SUM: u64 = 8;
const IS_SALTED: u64 = 16;
const HAS_SALT: u64 = 32;
const IS_UNLISTED: u64 = 64;

impl Entries {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives back memory that is reserved and not used.
    pub(super) fn shrink(&mut self) {
        self.0.shrink();
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, entry: &Expected) {
        self.0.push(|out| entry.pack(out));
    }

    /// The one at a place.
    pub(crate) fn get(&self, at: usize) -> Option<Expected> {
        (at < self.len()).then(|| Expected::unpack(&mut self.0.get(at)))
    }
}

impl Expected {
    /// Appends it in few bytes.
    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        let (sum, content) = (self.sha256.0, self.content_sha256.and_then(|sum| sum.0));
        let salt = self.salt.and_then(|salt| salt.0);
        let flags = [
            (self.records.is_some(), HAS_RECORDS),
            (sum.is_some(), HAS_SUM),
            (self.content_sha256.is_some(), IS_SEALED),
            (content.is_some(), HAS_CONTENT_SUM),
            (self.salt.is_some(), IS_SALTED),
            (salt.is_some(), HAS_SALT),
            (self.unlisted, IS_UNLISTED),
        ];
        let flags = flags.iter().filter(|(is, _)| *is);
        put_number(out, flags.map(|(_, flag)| flag).sum());
        put_number(out, self.size);
        put_number(out, self.content_size);
        if let Some(records) = self.records {
            put_number(out, records);
        }
        out.extend(sum.iter().flatten());
        out.extend(content.iter().flatten());
        out.extend(salt.iter().flatten());
    }

    /// Reads what was written so.
    pub(crate) fn unpack(fields: &mut PackedFields<'_>) -> Self {
        let flags = fields.number();
        let has = |flag| flags & flag != 0;
        let (size, content_size) = (fields.number(), fields.number());
        let records = has(HAS_RECORDS).then(|| fields.number());
        let mut sum = |flag| {
            let sum = has(flag).then(|| fields.bytes(32).try_into().ok());
            Sum(sum.flatten())
        };
        let (sha256, content) = (sum(HAS_SUM), sum(HAS_CONTENT_SUM));
        let salt = has(HAS_SALT).then(|| fields.bytes(16).try_into().ok());
        Expected {
            size,
            content_size,
            records,
            sha256,
            content_sha256: has(IS_SEALED).then_some(content),
            salt: has(IS_SALTED).then_some(Salt(salt.flatten())),
            unlisted: has(IS_UNLISTED),
        }
    }

    /// Reads what was written as JSON.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let written = Record::parse(json)?;
        let number = |name: &str| written.number(name);
        let sum = |name: &str| written.text(name).as_deref().map(Sum::parse);
        Ok(Expected {
            size: number("size").unwrap_or_default(),
            content_size: number("contentSize").unwrap_or_default(),
            records: number("records"),
            sha256: sum("sha256").unwrap_or(Sum(None)),
            content_sha256: sum("contentSha256"),
            salt: written.text("salt").as_deref().map(Salt::parse),
            unlisted: written.get("unlisted") == Some("true"),
        })
    }

    /// Of a file whose inventory cannot be read.
    pub(crate) fn unlisted() -> Self {
        Expected {
            unlisted: true,
            ..Expected::default()
        }
    }

    /// The same of sealed records or a sealed manifest, for which the digest of the content is of no use beside that of the stored bytes.
    pub(crate) fn without_content(self) -> Self {
        let content_sha256 = self.content_sha256.map(|_| Sum(None));
        Expected {
            content_sha256,
            ..self
        }
    }

    /// The SHA-256 of the stored bytes as hex digits.
    pub fn sha256(&self) -> String {
        self.sha256.hex()
    }

    /// The SHA-256 of the bytes before sealing, if that is one.
    pub fn content_digest(&self) -> Option<[u8; 32]> {
        self.content_sha256.unwrap_or(self.sha256).0
    }

    /// The entry of the file at `path`.
    pub(crate) fn of(self, path: String) -> FileEntry {
        let written = Written::from(self);
        FileEntry {
            path,
            size: written.size,
            sha256: written.sha256,
            salt: written.salt,
            content_size: written.content_size,
            content_sha256: written.content_sha256,
            records: written.records,
        }
    }

    /// The bytes that the file should have as it lies there; `decrypted`: it was decrypted before.
    pub(crate) fn size_of(&self, decrypted: bool) -> u64 {
        match (decrypted, self.content_sha256) {
            (true, Some(_)) => self.content_size,
            _ => self.size,
        }
    }

    /// True if the file, as it lies there, should have this SHA-256 in hex.
    pub(crate) fn has_digest(&self, sha256: &str, decrypted: bool) -> bool {
        let due = match (decrypted, self.content_sha256) {
            (true, Some(content)) => content,
            _ => self.sha256,
        };
        due.0.is_some() && due == Sum::parse(sha256)
    }

    /// True if this is the salt that is listed; both may be none.
    pub(crate) fn has_salt(&self, salt: Option<&str>) -> bool {
        match (salt, &self.salt) {
            (Some(found), Some(listed)) => listed.0.is_some() && *listed == Salt::parse(found),
            (found, listed) => found.is_none() && listed.is_none(),
        }
    }
}

impl From<&FileEntry> for Expected {
    fn from(entry: &FileEntry) -> Self {
        Expected {
            size: entry.size,
            content_size: entry.content_size,
            records: entry.records,
            sha256: Sum::parse(&entry.sha256),
            content_sha256: entry.content_sha256.as_deref().map(Sum::parse),
            salt: entry.salt.as_deref().map(Salt::parse),
            unlisted: false,
        }
    }
}

impl From<Expected> for Written {
    fn from(expected: Expected) -> Self {
        Written {
            size: expected.size,
            sha256: expected.sha256.hex(),
            salt: expected.salt.map(Salt::text),
            content_size: expected.content_size,
            content_sha256: expected
                .content_sha256
                .map(Sum::hex)
                .filter(|hex| !hex.is_empty()),
            records: expected.records,
            unlisted: expected.unlisted,
        }
    }
}

impl Sum {
    fn parse(text: &str) -> Self {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let bytes = || {
            let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
            let mut bytes = [0; 32];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = digit(text[2 * at])? << 4 | digit(text[2 * at + 1])?;
            }
            Some(bytes)
        };
        Sum(bytes())
    }

    fn hex(self) -> String {
        self.0.map(|bytes| hex(&bytes)).unwrap_or_default()
    }
}

impl Salt {
    fn parse(text: &str) -> Self {
        let bytes = Base64::decode_vec(text).ok();
        let salt = Salt(bytes.and_then(|bytes| bytes.try_into().ok()));
        // There is one spelling.
        match salt.text() == text {
            true => salt,
            false => Salt(None),
        }
    }

    fn text(self) -> String {
        let bytes = self.0.as_ref();
        bytes
            .map(|bytes| Base64::encode_string(bytes))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sha256: &str, salt: Option<&str>) -> FileEntry {
        FileEntry {
            path: "p".into(),
            size: 3,
            sha256: sha256.into(),
            salt: salt.map(str::to_owned),
            content_size: 2,
            content_sha256: salt.map(|_| "cd".repeat(32)),
            records: Some(1),
        }
    }

    #[test]
    fn what_is_listed_is_kept() {
        let (sha256, salt) = ("0a".repeat(32), "AQIDBAUGBwgJCgsMDQ4PEA==");
        let sealed = Expected::from(&entry(&sha256, Some(salt)));
        assert_eq!(sealed.sha256(), sha256);
        assert!(sealed.has_digest(&sha256, false) && !sealed.has_digest(&sha256, true));
        assert!(sealed.has_digest(&"cd".repeat(32), true));
        assert!(sealed.has_salt(Some(salt)) && !sealed.has_salt(None));
        assert_eq!((sealed.size_of(false), sealed.size_of(true)), (3, 2));
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(Expected::parse(json.as_bytes()).unwrap(), sealed);
        let clear = Expected::from(&entry(&sha256, None));
        assert!(clear.has_digest(&sha256, true) && clear.has_salt(None));
        assert_eq!(clear.content_digest(), Some([0x0a; 32]));
        let mut entries = Entries::default();
        let all = [sealed, clear, Expected::default(), Expected::unlisted()];
        for entry in &all {
            entries.push(entry);
        }
        assert_eq!([0, 1, 2, 3].map(|at| entries.get(at).unwrap()), all);
        assert!(entries.get(4).is_none());
        let json = serde_json::to_string(&all[3]).unwrap();
        assert_eq!(Expected::parse(json.as_bytes()).unwrap(), all[3]);
    }

    #[test]
    fn no_file_has_a_digest_or_a_salt_that_is_none() {
        for wrong in [
            String::new(),
            "0A".repeat(32),
            "0a".repeat(31),
            "zz".repeat(32),
        ] {
            let expected = Expected::from(&entry(&wrong, Some("AA")));
            assert!(!expected.has_digest(&wrong, false), "{wrong}");
            assert!(!expected.has_salt(Some("AA")) && !expected.has_salt(None));
        }
    }
}
