//! `SHA256SUMS`: what anyone can compare without a key.

use decryptor_wasm::{FileEntry, Result};

use crate::{
    archive::read::{Archive, Folder},
    report::count,
};

/// Name of the file.
pub const NAME: &str = "SHA256SUMS";

/// Its lines, by path.
pub struct Sums(Vec<(String, [u8; 32])>);

impl Sums {
    /// Reads the one of an archive. A line that is none is given back in the second list.
    pub fn read(folder: &Folder) -> Result<(Sums, Vec<String>)> {
        let bytes = folder.read(NAME)?;
        let mut sums = Vec::new();
        let mut odd = Vec::new();
        for line in String::from_utf8_lossy(&bytes).lines() {
            match parse(line) {
                Some((path, digest)) => sums.push((path.to_owned(), digest)),
                None => odd.push(line.chars().take(80).collect()),
            }
        }
        sums.sort();
        Ok((Sums(sums), odd))
    }

    /// The digest of a file.
    pub fn get(&self, path: &str) -> Option<&[u8; 32]> {
        let at = self
            .0
            .binary_search_by(|(known, _)| known.as_str().cmp(path));
        Some(&self.0.get(at.ok()?)?.1)
    }

    /// All lines, in the order of their paths: path, and digest in hex.
    pub fn lines(&self) -> impl Iterator<Item = (&str, String)> {
        let hex = |digest: &[u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0
            .iter()
            .map(move |(path, digest)| (path.as_str(), hex(digest)))
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| path.as_str())
    }
}

/// Where the sums of an opened archive say something else than its inventory, which is proven: whoever trusts them would be misled.
pub fn compare(archive: &Archive) -> Result<Vec<String>> {
    if !archive.folder().has(NAME) {
        return Ok(Vec::new());
    }
    let (sums, _) = Sums::read(archive.folder())?;
    let listed = archive
        .files()
        .iter()
        .filter_map(|file| file.expected.as_ref());
    let wrong = |entry: &&FileEntry| sums.get(&entry.path).copied() != unhex(&entry.sha256);
    let mut wrong: Vec<String> = listed
        .filter(wrong)
        .map(|entry| entry.path.clone())
        .collect();
    if sums.get("manifest.json").copied() != unhex(&archive.id) {
        wrong.push("manifest.json".to_owned());
    }
    Ok(match wrong.as_slice() {
        [] => Vec::new(),
        [first, ..] => vec![format!(
            "{NAME}: not what the inventory says of {} ({first} is the first); it was changed: compare nothing with it",
            count(wrong.len() as u64, "file", "files")
        )],
    })
}

/// Digest and path, with the two spaces of a text file or the star of a binary one between them.
fn parse(line: &str) -> Option<(&str, [u8; 32])> {
    let (digest, rest) = line.split_at_checked(64)?;
    let path = rest
        .strip_prefix("  ")
        .or_else(|| rest.strip_prefix(" *"))?;
    let digest = unhex(digest)?;
    (!path.is_empty()).then_some((path, digest))
}

/// 64 hex digits as bytes.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_sha256sum() {
        let digest = "ab".repeat(32);
        for between in ["  ", " *"] {
            let line = format!("{digest}{between}users/a b/x");
            assert_eq!(parse(&line), Some(("users/a b/x", [0xab; 32])));
        }
        for odd in [
            "",
            "x  y",
            &digest,
            &format!("{digest}  "),
            &format!("{}g  x", &digest[1..]),
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
