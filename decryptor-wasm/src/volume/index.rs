//! The index at the end of a volume: where its members are. It is a hint; the header at a place says which file lies there.

use super::{BLOCK, END, HEADER_MOST, padding, read_header, tar::header_length};
use crate::{
    Code, Error, Field, Result,
    layout::{index_name, is_safe_path},
    limits::MAX_MEMBER,
};

/// Bytes at the end of a volume that hold the last line of its index whole.
pub const TAIL: u64 = 4 * BLOCK as u64;

/// Where a member is in its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// From the archive's root.
    pub path: String,
    /// Where its header begins, in bytes from the beginning of the volume.
    pub offset: u64,
    /// Bytes of its content.
    pub size: u64,
}

impl Member {
    /// Where its content begins.
    pub fn content(&self) -> u64 {
        self.offset + header_length(&self.path) as u64
    }
}

/// Reads and writes the index of a volume. A line for each member holds offset, size and path with a space between them, in the order of
/// the volume; the last line holds the offset and the path of the index itself, so that it is found from the end of the volume.
pub struct VolumeIndex;

impl VolumeIndex {
    /// The line of a member.
    pub fn line(member: &Member) -> String {
        format!("{} {} {}\n", member.offset, member.size, member.path)
    }

    /// The last line of the index of volume `number`, whose header begins at `offset`.
    pub fn last_line(offset: u64, number: u32) -> String {
        format!("{offset} {}\n", index_name(number))
    }

    /// Finds where the index of volume `number` begins; `tail`: the last [`TAIL`] bytes of the volume, or all of it.
    pub fn find(tail: &[u8], number: u32) -> Option<u64> {
        let text = tail.strip_suffix(&END)?;
        let end = text.iter().rposition(|byte| *byte != 0)?;
        let text = text[..end].split(|byte| *byte == b'\n').next_back()?;
        let (offset, name) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        let offset = decimal(offset).filter(|offset| offset % BLOCK as u64 == 0);
        offset.filter(|_| name == index_name(number))
    }

    /// Reads the end of volume `number` from the header of its index on, which is at `offset`: the members, one by one.
    ///
    /// # Errors
    /// When that is not the index of this volume, a line cannot be read, or one says that a member lies outside of the volume or over
    /// another.
    pub fn read(bytes: &[u8], offset: u64, number: u32) -> Result<impl Iterator<Item = Member>> {
        let header = read_header(bytes)?.filter(|header| header.path == index_name(number));
        let header = header.ok_or_else(|| unreadable(0))?;
        let rest = &bytes[header.length..];
        let (text, rest) = usize::try_from(header.size)
            .ok()
            .and_then(|size| rest.split_at_checked(size))
            .ok_or_else(|| unreadable(0))?;
        let ended = rest.split_at_checked(padding(header.size));
        let ended = ended.filter(|(zeros, end)| zeros.iter().all(|b| *b == 0) && *end == END);
        ended.ok_or_else(|| unreadable(0))?;
        let last = VolumeIndex::last_line(offset, number);
        let lines = text.strip_suffix(last.as_bytes());
        VolumeIndex::parse(lines.ok_or_else(|| unreadable(0))?, offset)
    }

    /// Reads the lines of the members of a volume whose index begins at `end`: all are checked before the first is returned.
    fn parse(text: &[u8], end: u64) -> Result<impl Iterator<Item = Member>> {
        let text = std::str::from_utf8(text).map_err(|e| unreadable(1).because(&e))?;
        let lines = text.split_terminator('\n');
        let (mut count, mut free) = (0_u64, 0);
        for line in lines.clone() {
            count += 1;
            let member = parse_line(line).ok_or_else(|| unreadable(count))?;
            let after = member.content().checked_add(member.size);
            let after = after.filter(|after| member.offset == free && *after <= end);
            let after = after.ok_or_else(|| unreadable(count))?;
            free = after.next_multiple_of(BLOCK as u64);
        }
        if free != end {
            return Err(unreadable(count + 1));
        }
        Ok(lines.filter_map(parse_line))
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| canonical)
}

fn parse_line(line: &str) -> Option<Member> {
    let (offset, rest) = line.split_once(' ')?;
    let (size, path) = rest.split_once(' ')?;
    let member = Member {
        path: path.to_owned(),
        offset: decimal(offset)?,
        size: decimal(size)?,
    };
    let most = u64::MAX - 2 * HEADER_MOST as u64;
    let possible = is_safe_path(path) && member.offset < most && member.size <= MAX_MEMBER;
    possible.then_some(member)
}

fn unreadable(line: u64) -> Error {
    Error::of(Code::VolumeIndex).with(Field::Number, line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::header;

    fn members(all: &[(&str, u64)]) -> (Vec<Member>, u64) {
        let mut offset = 0_u64;
        let mut members = Vec::new();
        for (path, size) in all {
            let member = Member {
                path: (*path).to_owned(),
                offset,
                size: *size,
            };
            offset = (member.content() + size).next_multiple_of(512);
            members.push(member);
        }
        (members, offset)
    }

    #[test]
    fn an_index_reads_as_it_was_written() {
        let (members, end) = members(&[
            ("a", 0),
            ("users/ü/events/events-0001.jsonl.gz", 513),
            ("b c", 1),
        ]);
        let text: String = members.iter().map(VolumeIndex::line).collect();
        let read: Vec<_> = VolumeIndex::parse(text.as_bytes(), end).unwrap().collect();
        assert_eq!(read, members);
        assert_eq!(VolumeIndex::parse(b"", 0).unwrap().count(), 0);
    }

    #[test]
    fn an_index_that_cannot_be_is_refused() {
        for (text, end) in [
            ("0 1 a\n", 512),
            ("0 1 a\n", 4096),
            ("512 1 a\n", 1536),
            ("0 18446744073709551615 a\n", 1024),
            ("00 1 a\n", 1024),
            ("0 +1 a\n", 1024),
            ("0 1 ../a\n", 1024),
            ("0 1\n", 1024),
            ("\n", 0),
        ] {
            let error = VolumeIndex::parse(text.as_bytes(), end).err().unwrap();
            assert_eq!(error.code(), Code::VolumeIndex, "{text:?}");
        }
        assert!(VolumeIndex::parse(b"0 1 a\n", 1024).is_ok());
    }

    #[test]
    fn the_index_is_found_from_the_end() {
        let (members, end) = members(&[("a", 7), ("b", 1000)]);
        let mut text: String = members.iter().map(VolumeIndex::line).collect();
        text += &VolumeIndex::last_line(end, 3);
        let mut volume = vec![7; end as usize];
        volume.extend(header(&index_name(3), text.len() as u64));
        volume.extend(text.as_bytes());
        volume.resize(volume.len() + padding(text.len() as u64), 0);
        volume.extend(END);
        let tail = &volume[volume.len().saturating_sub(TAIL as usize)..];
        assert_eq!(VolumeIndex::find(tail, 3), Some(end));
        assert_eq!(VolumeIndex::find(tail, 2), None);
        let from = &volume[end as usize..];
        let read = |bytes: &[u8]| -> Option<Vec<Member>> {
            Some(VolumeIndex::read(bytes, end, 3).ok()?.collect())
        };
        assert_eq!(read(from).as_ref(), Some(&members));
        assert!(VolumeIndex::read(from, end, 2).is_err());
        for at in 0..from.len() {
            let mut bad = from.to_vec();
            bad[at] ^= 1;
            assert!(read(&bad).as_ref() != Some(&members), "byte {at}");
        }
    }
}
