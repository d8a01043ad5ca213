//! How `manifest.json` is written: a line for each of its members, and for each item of its lists, so that it takes few bytes and can still be
//! read.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Objects and lists that are open.
#[derive(Default)]
struct Lines(usize);

/// Items of lists this deep have lines of their own: users at 2, the files of the inventory at 3.
const ITEMS: usize = 3;

/// Writes a manifest.
///
/// # Errors
/// When it cannot be written.
pub fn write<T: Serialize>(out: &mut impl Write, manifest: &T) -> serde_json::Result<()> {
    let mut to = Serializer::with_formatter(out, Lines::default());
    manifest.serialize(&mut to)
}

impl Lines {
    fn separate<W: Write + ?Sized>(out: &mut W, first: bool, line: bool) -> io::Result<()> {
        out.write_all(match (first, line) {
            (true, true) => b"\n",
            (true, false) => b"",
            (false, true) => b",\n",
            (false, false) => b",",
        })
    }

    fn end<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        line: bool,
        bracket: &[u8],
    ) -> io::Result<()> {
        self.0 -= 1;
        if line {
            out.write_all(b"\n")?;
        }
        out.write_all(bracket)
    }
}

impl Formatter for Lines {
    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0 += 1;
        out.write_all(b"{")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        Lines::separate(out, first, self.0 == 1)
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        let line = self.0 == 1;
        self.end(out, line, b"}")
    }

    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0 += 1;
        out.write_all(b"[")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        Lines::separate(out, first, self.0 <= ITEMS)
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, false, b"]")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn members_users_and_files_have_lines() {
        let manifest = json!({
            "formatVersion": 1, "config": {"engine": "a", "domain": "b"}, "losses": [],
            "users": [{"userId": "u1", "chunks": {"events": ["x", "y"]}}, {"userId": "u2"}],
            "inventory": {"v": 1, "files": [{"path": "p"}, {"path": "q"}]},
        });
        let mut out = Vec::new();
        write(&mut out, &manifest).unwrap();
        let text = String::from_utf8(out).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, manifest);
        let users = "\"users\":[\n{\"userId\":\"u1\",\"chunks\":{\"events\":[\"x\",\"y\"]}},\n{\"userId\":\"u2\"}]";
        assert!(text.contains(users), "{text}");
        let files = "\"inventory\":{\"v\":1,\"files\":[\n{\"path\":\"p\"},\n{\"path\":\"q\"}]}";
        assert!(text.contains(files), "{text}");
        assert_eq!(text.lines().count(), 1 + 5 + 2 + 2 + 1);
    }
}
