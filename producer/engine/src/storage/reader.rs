//! Objects that are read from begin to end, piece by piece, all of it of one content. What cannot be read is told, and nothing else comes
//! of it: such an object is no part of an archive.

use std::io::{self, Read};

use http::{
    HeaderMap, Method, Response, StatusCode,
    header::{CONTENT_RANGE, ETAG},
};
use opendal::{Buffer, ErrorKind};

use super::{ObjectStore, StoreError, pages::lies, store::PART};
use crate::limits::PIECE;

/// An object on its way here.
pub struct ObjectReader {
    store: ObjectStore,
    key: String,
    /// What the store calls its content.
    tag: Option<String>,
    size: u64,
    /// Where the next piece begins.
    next: u64,
    piece: Vec<u8>,
    /// Bytes of the piece that were given away.
    given: usize,
    failure: Option<StoreError>,
}

/// What a store answers to a question for bytes.
struct Answered {
    bytes: Vec<u8>,
    /// Bytes of the whole object.
    size: u64,
    tag: Option<String>,
}

impl ObjectStore {
    /// The object at `key` below the prefix, of which the first bytes are fetched, or none where they are not wanted yet. None where there
    /// is no object.
    ///
    /// # Errors
    /// When the store does not give it.
    pub fn reader(&self, key: &str, fetch: bool) -> Result<Option<ObjectReader>, StoreError> {
        let first = match fetch {
            true => self.bytes(key, 0, PIECE as u64, None),
            false => self.head(key),
        };
        let first = match first {
            // There are no bytes in it.
            Err(error) if error.kind() == ErrorKind::RangeNotSatisfied => self.head(key),
            first => first,
        };
        let Answered { bytes, size, tag } = match first {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            first => first.map_err(|error| self.failed(key, &error))?,
        };
        Ok(Some(ObjectReader {
            store: self.clone(),
            key: key.to_owned(),
            tag,
            size,
            next: bytes.len() as u64,
            piece: bytes,
            given: 0,
            failure: None,
        }))
    }

    fn head(&self, key: &str) -> opendal::Result<Answered> {
        let answer = self.again(async || self.signed().of_object(Method::HEAD, key, &[]).await)?;
        Ok(Answered {
            bytes: Vec::new(),
            size: super::store::length(answer.headers())?,
            tag: tag(answer.headers()),
        })
    }

    fn bytes(
        &self,
        key: &str,
        from: u64,
        length: u64,
        tag: Option<&str>,
    ) -> opendal::Result<Answered> {
        self.again(async || {
            let range = from..from.saturating_add(length);
            answered(self.signed().bytes(key, range, tag).await?, from, length)
        })
    }
}

fn tag(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(ETAG)?.to_str().ok()?;
    Some(tag.to_owned())
}

/// Reads an answer. Under load, stores send less than the whole of one.
fn answered(answer: Response<Buffer>, from: u64, length: u64) -> opendal::Result<Answered> {
    let (parts, body) = answer.into_parts();
    let bytes = body.to_vec();
    let size = match (parts.status, parts.headers.get(CONTENT_RANGE)) {
        (StatusCode::PARTIAL_CONTENT, Some(range)) => {
            let begin = format!("bytes {from}-");
            let range = range
                .to_str()
                .ok()
                .filter(|range| range.starts_with(&begin));
            range.and_then(|range| range.rsplit_once('/')?.1.parse().ok())
        }
        // It has no parts, or the store gives none.
        (StatusCode::OK, _) if from == 0 => Some(bytes.len() as u64),
        _ => None,
    };
    let size =
        size.ok_or_else(|| lies("it answers with other bytes than were asked for".to_owned()))?;
    if bytes.len() as u64 != length.min(u64::saturating_sub(size, from)) {
        return Err(lies("it sent fewer bytes than it said".to_owned()).set_temporary());
    }
    Ok(Answered {
        bytes,
        size,
        tag: tag(&parts.headers),
    })
}

impl ObjectReader {
    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Why it could not be read to its end.
    #[must_use]
    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Fetches the next piece.
    fn fetch(&mut self) -> Result<(), StoreError> {
        let length = (self.size - self.next).min(PART as u64);
        let fetched = self
            .store
            .bytes(&self.key, self.next, length, self.tag.as_deref());
        // Not every store heeds the condition.
        let is_same = |answered: &Answered| answered.size == self.size && answered.tag == self.tag;
        let fetched = fetched.and_then(|answered| match is_same(&answered) {
            true => Ok(answered.bytes),
            false => Err(lies("it was overwritten while it was read".to_owned())),
        });
        self.piece = fetched.map_err(|error| self.store.failed(&self.key, &error))?;
        self.given = 0;
        self.next += self.piece.len() as u64;
        Ok(())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() && self.next < self.size {
            self.fetch().map_err(|error| {
                self.failure = Some(error.clone());
                io::Error::from(error)
            })?;
        }
        let rest = &self.piece[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_was_asked_for() {
        let answer = |status: u16, range: &str, bytes: usize| {
            let response = Response::builder()
                .status(status)
                .header(CONTENT_RANGE, range);
            let response = response.body(Buffer::from(vec![0; bytes])).unwrap();
            answered(response, 8, 4).map(|answered| answered.size)
        };
        assert_eq!(answer(206, "bytes 8-11/20", 4).unwrap(), 20);
        assert_eq!(answer(206, "bytes 8-9/10", 2).unwrap(), 10);
        for (status, range, bytes) in [
            (206, "bytes 8-11/20", 3),
            (206, "bytes 0-3/20", 4),
            (206, "bytes 8-11/*", 4),
            (206, "bytes 8-11/2", 4),
            (200, "", 4),
        ] {
            assert!(answer(status, range, bytes).is_err(), "{range}");
        }
        let whole = Response::builder().body(Buffer::from(vec![0; 3])).unwrap();
        assert_eq!(answered(whole, 0, 4).unwrap().size, 3);
    }
}
