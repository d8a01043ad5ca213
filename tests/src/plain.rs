//! Archives in the clear, held in memory, and their records.

use super::folder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The files of a folder that was decrypted, or never encrypted.
pub struct Plain(pub BTreeMap<String, Vec<u8>>);

impl Plain {
    /// Reads the folder.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        Self(folder::tree(root))
    }

    /// A file that holds one JSON value.
    ///
    /// # Panics
    /// When it is absent or holds something else.
    #[must_use]
    pub fn json(&self, path: &str) -> Value {
        let bytes = self.0.get(path).unwrap_or_else(|| panic!("no {path}"));
        serde_json::from_slice(bytes).unwrap()
    }

    /// The records of a collection, `users/<id>/events` for instance: its one file, or its numbered files in turn,
    /// compressed or not. Absent files hold none.
    #[must_use]
    pub fn records(&self, collection: &str) -> Vec<Value> {
        let name = collection.rsplit('/').next().unwrap_or_default();
        let ours = |path: &str| {
            let stem = path.trim_end_matches(".gz").strip_suffix(".jsonl")?;
            let rest = stem.strip_prefix(collection)?;
            let numbered = rest
                .strip_prefix('/')
                .and_then(|r| r.strip_prefix(name))
                .is_some_and(|r| r.chars().all(|c| c == '-' || c.is_ascii_digit()));
            (rest.is_empty() || numbered).then_some(())
        };
        let files = self.0.iter().filter(|(path, _)| ours(path).is_some());
        files.flat_map(|(path, bytes)| lines(path, bytes)).collect()
    }

    /// The attachments of a user by their id.
    #[must_use]
    pub fn attachments(&self, user_id: &str) -> BTreeMap<&str, &[u8]> {
        let folder = format!("users/{user_id}/attachments/");
        let of_user = |(path, bytes)| Some((str::strip_prefix(path, &folder)?, bytes));
        let files = self.0.iter().map(|(p, b)| (p.as_str(), b.as_slice()));
        files.filter_map(of_user).collect()
    }
}

/// The records of one file, which is compressed when its name says so.
///
/// # Panics
/// When it is damaged, or its last line is cut.
#[must_use]
pub fn lines(path: &str, bytes: &[u8]) -> Vec<Value> {
    let text = match path.strip_suffix(".gz") {
        Some(_) => inflated(bytes),
        None => bytes.to_vec(),
    };
    let text = String::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{path} is cut");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The content of one gzip member, as Pryv.io's tool writes them; it ends with its length.
fn inflated(stored: &[u8]) -> Vec<u8> {
    let size = u32::from_le_bytes(*stored.last_chunk().unwrap());
    let mut text = vec![0; size as usize];
    let length = libdeflater::Decompressor::new()
        .gzip_decompress(stored, &mut text)
        .unwrap();
    assert_eq!(length, text.len());
    text
}
