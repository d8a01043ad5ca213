//! The rows of a binary COPY (PostgreSQL documentation, "COPY", "Binary Format"), taken apart by hand.

use super::answer::wait;
use crate::platform::PlatformError;
use futures_util::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::runtime::Runtime;
use tokio_postgres::CopyOutStream;

/// The type of the pieces that arrive, without naming the library that makes them.
type Piece = <CopyOutStream as TryItem>::Item;

/// The item of a stream without its error.
trait TryItem {
    type Item;
}

impl<T, E, S: Stream<Item = Result<T, E>>> TryItem for S {
    type Item = T;
}

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Bytes that are taken over from the event loop at once.
const WAITING: usize = 256 * 1024;

/// The rows on their way.
pub struct Copy {
    runtime: Arc<Runtime>,
    stream: Pin<Box<CopyOutStream>>,
    address: String,
    waiting: VecDeque<Piece>,
    started: bool,
    ended: bool,
    /// The server has said that nothing more comes.
    done: bool,
}

/// One row.
#[derive(Default)]
pub struct Row {
    data: Option<Piece>,
    fields: Vec<Option<(usize, usize)>>,
}

impl Copy {
    pub(super) fn new(runtime: Arc<Runtime>, stream: CopyOutStream, address: &str) -> Self {
        Self {
            runtime,
            stream: Box::pin(stream),
            address: address.to_owned(),
            waiting: VecDeque::new(),
            started: false,
            ended: false,
            done: false,
        }
    }

    /// The next row, in place of what `row` held; false when there is none.
    ///
    /// # Errors
    /// When the connection is lost or the server fails.
    pub fn next(&mut self, row: &mut Row) -> Result<bool, PlatformError> {
        if self.ended {
            return Ok(false);
        }
        let Some(data) = self.piece()? else {
            return Err(self.malformed("it ends too early"));
        };
        let bytes: &[u8] = &data;
        let start = if self.started { 0 } else { header(bytes) };
        let header_fits = self.started || start > 0;
        self.started = true;
        match row.parse(bytes, start).filter(|_| header_fits) {
            None => Err(self.malformed("a row is malformed")),
            Some(Parsed::End) => {
                self.ended = true;
                // Whatever the server has to say after the last row.
                match self.piece()? {
                    None => Ok(false),
                    Some(_) => Err(self.malformed("it goes on after its end")),
                }
            }
            Some(Parsed::Row) => {
                row.data = Some(data);
                Ok(true)
            }
        }
    }

    fn malformed(&self, what: &str) -> PlatformError {
        PlatformError::Postgres {
            server: self.address.clone(),
            what: format!("the rows of a table cannot be understood: {what}; run the backup again"),
            answer: None,
        }
    }

    /// The next message. Many are taken over at once, because entering the event loop costs more than a row.
    fn piece(&mut self) -> Result<Option<Piece>, PlatformError> {
        if let Some(piece) = self.waiting.pop_front() {
            return Ok(Some(piece));
        }
        if self.done {
            return Ok(None);
        }
        let (stream, waiting, done) = (&mut self.stream, &mut self.waiting, &mut self.done);
        let mut fill = std::future::poll_fn(|context| {
            let mut bytes = 0;
            loop {
                match stream.as_mut().poll_next(context) {
                    Poll::Ready(Some(Ok(piece))) => {
                        bytes += piece.len();
                        waiting.push_back(piece);
                        if bytes >= WAITING {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(Some(Err(e))) => return Poll::Ready(Err(e)),
                    Poll::Ready(None) => {
                        *done = true;
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Pending if waiting.is_empty() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(())),
                }
            }
        });
        wait(&self.runtime, &self.address, &mut fill)?;
        Ok(self.waiting.pop_front())
    }
}

/// Bytes of the header of the whole, which comes with the first row; none when it is not one.
fn header(bytes: &[u8]) -> usize {
    let extension = bytes.get(SIGNATURE.len() + 4..SIGNATURE.len() + 8);
    match extension
        .and_then(|b| b.try_into().ok())
        .map(u32::from_be_bytes)
    {
        Some(length) if bytes.starts_with(SIGNATURE) => SIGNATURE.len() + 8 + length as usize,
        _ => 0,
    }
}

enum Parsed {
    Row,
    End,
}

impl Row {
    /// A field by its place; `None` is NULL.
    pub fn get(&self, place: usize) -> Option<&[u8]> {
        let (start, end) = (*self.fields.get(place)?)?;
        self.data.as_ref()?.get(start..end)
    }

    /// Puts the fields of a composite value in the place of all fields but the first. False when the value is NULL.
    ///
    /// # Errors
    /// A sentence, when it is none.
    pub fn unfold(&mut self, place: usize) -> Result<bool, String> {
        let Some((start, end)) = self.fields.get(place).copied().flatten() else {
            return Ok(false);
        };
        let malformed = || "a row within a row is malformed".to_owned();
        let bytes = self.data.as_ref().and_then(|data| data.get(..end));
        let bytes = bytes.ok_or_else(malformed)?;
        self.fields.truncate(1);
        parts(bytes, start, &mut self.fields).ok_or_else(malformed)?;
        Ok(true)
    }

    fn parse(&mut self, bytes: &[u8], start: usize) -> Option<Parsed> {
        let mut rest = bytes.get(start..)?;
        let count = i16::from_be_bytes(take(&mut rest)?);
        if count == -1 {
            return rest.is_empty().then_some(Parsed::End);
        }
        self.fields.clear();
        for _ in 0..count {
            let length = i32::from_be_bytes(take(&mut rest)?);
            let field = match usize::try_from(length) {
                Err(_) => None,
                Ok(length) => {
                    let start = bytes.len() - rest.len();
                    rest = rest.get(length..)?;
                    Some((start, start + length))
                }
            };
            self.fields.push(field);
        }
        rest.is_empty().then_some(Parsed::Row)
    }
}

/// The fields of a composite value: for each its type and its length before it.
fn parts(bytes: &[u8], start: usize, fields: &mut Vec<Option<(usize, usize)>>) -> Option<()> {
    let mut rest = bytes.get(start..)?;
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let _: [u8; 4] = take(&mut rest)?;
        let length = i32::from_be_bytes(take(&mut rest)?);
        let at = bytes.len() - rest.len();
        fields.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                rest = rest.get(length..)?;
                Some((at, at + length))
            }
        });
    }
    rest.is_empty().then_some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_apart() {
        let mut row = Row::default();
        let bytes = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";
        assert!(matches!(row.parse(bytes, 0), Some(Parsed::Row)));
        assert_eq!(row.fields, [Some((6, 8)), None, Some((16, 16))]);
        assert!(matches!(row.parse(b"\xff\xff", 0), Some(Parsed::End)));
        for cut in 0..bytes.len() {
            assert!(row.parse(&bytes[..cut], 0).is_none(), "{cut}");
        }
        assert!(row.parse(b"\0\x01\0\0\0\x09a", 0).is_none());
    }

    #[test]
    fn composites_are_taken_apart() {
        let bytes = b"xy\0\0\0\x02\0\0\0\x19\0\0\0\x02ab\0\0\0\x19\xff\xff\xff\xff";
        let mut fields = Vec::new();
        assert_eq!(parts(bytes, 2, &mut fields), Some(()));
        assert_eq!(fields, [Some((14, 16)), None]);
        for cut in 2..bytes.len() {
            assert_eq!(parts(&bytes[..cut], 2, &mut Vec::new()), None, "{cut}");
        }
    }

    #[test]
    fn the_header_is_left_out() {
        let bytes = [SIGNATURE, b"\0\0\0\0\0\0\0\x02xx\xff\xff"].concat();
        assert_eq!(header(&bytes), bytes.len() - 2);
        assert_eq!(header(b"\xff\xff"), 0);
    }
}
