//! Magic, header length and header JSON.

use base64ct::{Base64, Encoding};

use crate::{
    Code, Error, Field, Result,
    integrity::Record,
    limits::{MAX_CHUNK, MAX_HEADER},
};

/// The first bytes of every sealed file.
pub const MAGIC: &[u8; 8] = b"PRYVBKE1";
/// Plaintext bytes of every frame but the last, as we write them.
pub const CHUNK: usize = 65536;
/// Bytes of the salt from which a file's key is derived.
pub const SALT_LEN: usize = 16;

/// The header of a sealed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Salt of the file key.
    pub salt: [u8; SALT_LEN],
    /// Plaintext bytes of a full frame.
    pub chunk: usize,
}

impl Header {
    /// The header as stored: magic, length, JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = self.json();
        let mut bytes = Vec::with_capacity(12 + json.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(json.len() as u32).to_be_bytes());
        bytes.extend_from_slice(json.as_bytes());
        bytes
    }

    fn json(&self) -> String {
        let salt = Base64::encode_string(&self.salt);
        format!(r#"{{"v":1,"salt":"{salt}","chunk":{}}}"#, self.chunk)
    }

    /// Reads a header from the start of `bytes`: the header and its stored length, or `None` while more bytes are needed.
    pub fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>> {
        let probe = bytes.len().min(MAGIC.len());
        if bytes[..probe] != MAGIC[..probe] {
            return Err(Code::NotSealed.into());
        }
        let Some(length) = bytes.get(8..12) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if length > MAX_HEADER {
            return Err(Error::of(Code::HeaderLength).with(Field::Number, length));
        }
        let Some(json) = bytes.get(12..12 + length) else {
            return Ok(None);
        };
        Self::from_json(json).map(|header| Some((header, 12 + length)))
    }

    fn from_json(json: &[u8]) -> Result<Header> {
        let unreadable = || Error::of(Code::HeaderUnreadable);
        let written = Record::parse(json).map_err(|_| unreadable())?;
        let number = |name: &str| written.number(name).ok_or_else(unreadable);
        let (version, chunk) = (number("v")?, number("chunk")?);
        if version != 1 {
            // The envelope says which version the archive is of: a file that says another is damaged, and the others are not.
            return Err(Error::of(Code::HeaderVersion).with(Field::Number, version));
        }
        if chunk == 0 || chunk > MAX_CHUNK as u64 {
            return Err(Error::of(Code::HeaderFrames).with(Field::Number, chunk));
        }
        let salt = written.text("salt").ok_or_else(unreadable)?;
        let salt = Base64::decode_vec(&salt).map_err(|_| unreadable())?;
        let salt = <[u8; SALT_LEN]>::try_from(salt).map_err(|_| unreadable())?;
        let chunk = chunk as usize;
        let header = Header { salt, chunk };
        // The header itself carries no tag: holding it to the one spelling that writers use leaves no byte free to change.
        if header.json().as_bytes() != json {
            return Err(unreadable());
        }
        Ok(header)
    }
}
