//! The header of a member, in its one canonical form.

use crate::{Code, Error, Result, layout::is_safe_path, limits::MAX_MEMBER};

/// Tar counts in blocks of this many bytes.
pub const BLOCK: usize = 512;
/// The end of a volume: two empty blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// No header is longer, in bytes: a block, and before it the block and the text of a pax header with the longest path.
pub const HEADER_MOST: usize = 5 * BLOCK;
/// Longer paths, and those that are not ASCII, stand in a pax header.
const NAME: usize = 100;
/// Larger sizes do not fit into 11 octal digits and are written in binary, as GNU tar and POSIX successors do.
const OCTAL_MOST: u64 = 0o77_777_777_777;
/// The name of a pax header itself, which nothing is extracted to.
const PAX_NAME: &[u8] = b"pax-path";

/// The beginning of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberHeader {
    /// From the archive's root.
    pub path: String,
    /// Bytes of its content.
    pub size: u64,
    /// Bytes of the header itself; the content follows it.
    pub length: usize,
}

/// The header of a member: one block, or three and more where the path needs a pax header.
pub fn header(path: &str, size: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK);
    let mut name = path.as_bytes();
    if !is_plain(path) {
        let record = pax_record(path);
        block(PAX_NAME, record.len() as u64, b'x', &mut out);
        out.extend_from_slice(record.as_bytes());
        out.resize(out.len() + padding(record.len() as u64), 0);
        // Programs that do not know pax headers see the beginning of the path.
        let mut cut = NAME.min(path.len());
        while !path.is_char_boundary(cut) {
            cut -= 1;
        }
        name = &path.as_bytes()[..cut];
    }
    block(name, size, b'0', &mut out);
    out
}

/// Bytes of the header of a member.
pub(super) fn header_length(path: &str) -> usize {
    match is_plain(path) {
        true => BLOCK,
        false => {
            let record = pax_record(path).len();
            2 * BLOCK + record + padding(record as u64)
        }
    }
}

/// Whether a path fits into the header itself.
fn is_plain(path: &str) -> bool {
    path.len() <= NAME && path.is_ascii()
}

/// Reads the header at the beginning of `bytes`; none at the end of the volume, which is two empty blocks. It needs [`HEADER_MOST`]
/// bytes, or all that are left.
///
/// # Errors
/// When it is not what [`header`] makes of its path and size, or the path is not safe.
pub fn read_header(bytes: &[u8]) -> Result<Option<MemberHeader>> {
    if bytes.starts_with(&END) {
        return Ok(None);
    }
    let (mut at, mut path) = (0, None);
    if bytes.get(156) == Some(&b'x') {
        let length = read_size(bytes).filter(|length| *length <= (HEADER_MOST - 2 * BLOCK) as u64);
        let length = length.ok_or_else(no_header)? as usize;
        let record = bytes.get(BLOCK..BLOCK + length).ok_or_else(no_header)?;
        let record = std::str::from_utf8(record).map_err(|_| no_header())?;
        let (_, after) = record.split_once(" path=").ok_or_else(no_header)?;
        path = Some(after.strip_suffix('\n').ok_or_else(no_header)?);
        at = BLOCK + length + padding(length as u64);
    }
    let own = bytes.get(at..at + BLOCK).ok_or_else(no_header)?;
    let path = match path {
        Some(path) => path,
        None => {
            let name = own[..NAME].split(|byte| *byte == 0).next();
            std::str::from_utf8(name.unwrap_or_default()).map_err(|_| no_header())?
        }
    };
    let size = read_size(own).ok_or_else(no_header)?;
    let canonical = header(path, size);
    if !is_safe_path(path) || size > MAX_MEMBER || !bytes.starts_with(&canonical) {
        return Err(no_header());
    }
    Ok(Some(MemberHeader {
        path: path.to_owned(),
        size,
        length: canonical.len(),
    }))
}

/// Bytes between the end of a content and the next block.
pub fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

fn no_header() -> Error {
    Error::of(Code::VolumeMember)
}

/// `LENGTH path=PATH\n`, whose length counts its own digits.
fn pax_record(path: &str) -> String {
    let rest = " path=\n".len() + path.len();
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} path={path}\n")
}

/// One block of a header (POSIX.1-1988 `ustar`): mode 0600, owner 0, time 0.
fn block(name: &[u8], size: u64, kind: u8, out: &mut Vec<u8>) {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size <= OCTAL_MOST {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&block);
}

/// The size in a block, however it is written; the comparison with the canonical form decides.
fn read_size(block: &[u8]) -> Option<u64> {
    let field = block.get(124..136)?;
    if field[0] == 0x80 {
        return Some(u64::from_be_bytes(field[4..].try_into().ok()?));
    }
    let digits = std::str::from_utf8(&field[..11]).ok()?;
    u64::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written() {
        let long = format!(
            "users/{}/events/{}.jsonl.gz",
            "u".repeat(200),
            "é".repeat(60)
        );
        for (path, length) in [
            ("manifest.json", BLOCK),
            (&"a".repeat(100), BLOCK),
            (&"a".repeat(101), 3 * BLOCK),
            ("users/ü/x", 3 * BLOCK),
            (&long, 3 * BLOCK),
        ] {
            for size in [0, 1, 511, OCTAL_MOST, OCTAL_MOST + 1, 1 << 40] {
                let bytes = header(path, size);
                assert_eq!(bytes.len(), length, "{path}");
                assert_eq!(header_length(path), length, "{path}");
                let read = read_header(&bytes).unwrap().unwrap();
                assert_eq!(
                    (read.path.as_str(), read.size, read.length),
                    (path, size, length)
                );
            }
        }
        let longest = format!(
            "{}/{}",
            ["x".repeat(255), "y".repeat(255), "z".repeat(255)].join("/"),
            "w".repeat(255)
        );
        assert!(header(&longest, 1).len() <= HEADER_MOST);
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        for path in ["manifest.json", "users/ü/x"] {
            let good = header(path, 7);
            for at in 0..good.len() {
                for flip in [1, 0x20, 0x80] {
                    let mut bad = good.clone();
                    bad[at] ^= flip;
                    if let Ok(Some(read)) = read_header(&bad) {
                        panic!("{path}: byte {at} ^ {flip:#x} reads as {read:?}");
                    }
                }
            }
            for cut in 0..good.len() {
                assert!(read_header(&good[..cut]).is_err(), "{path}: {cut}");
            }
        }
        for path in ["../x", "/x", "a/../b", "a//b", ""] {
            assert!(read_header(&header(path, 0)).is_err(), "{path}");
        }
        assert_eq!(read_header(&END).unwrap(), None);
        assert!(read_header(&END[..BLOCK]).is_err());
    }

    #[test]
    fn contents_end_on_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }
}
