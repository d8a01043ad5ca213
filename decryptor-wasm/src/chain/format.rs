//! The data of a chain: `chain.json`, `manifest.chain`, tombstones.

use serde::{Deserialize, Serialize};

use crate::{
    BackupType, Code, Error, Field, Manifest, Result,
    layout::{CHAIN, run_folder},
};

/// The only version of the index there is.
const VERSION: u32 = 1;

/// `chain.json`: the runs in order, for programs without a key. It proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Index {
    /// Always 1.
    pub v: u32,
    /// The first is the archive at the root.
    pub runs: Vec<IndexRun>,
}

/// A run in `chain.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct IndexRun {
    /// Counted from 1.
    pub run: u32,
    /// Its folder, relative to the root: empty for the first, `increments/0002` for the second.
    pub path: String,
    /// Hex SHA-256 of its `manifest.json` as stored.
    pub archive_id: String,
    /// The archive id of the run before; none for the first.
    pub parent: Option<String>,
    /// Whether it is a full run or an increment.
    pub kind: BackupType,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// The mode of its envelope; none where it is not encrypted.
    pub mode: Option<String>,
    /// Fingerprints of the public keys that it is encrypted to.
    #[serde(default)]
    pub recipients: Vec<String>,
}

crate::object::objects!(Index, IndexRun, Removed);

impl Index {
    /// Of these runs.
    pub fn new(runs: Vec<IndexRun>) -> Self {
        Index { v: VERSION, runs }
    }

    /// Reads `chain.json`.
    ///
    /// # Errors
    /// When it is damaged, or of a version that is not known.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let index: Index = serde_json::from_slice(json)
            .map_err(|e| Error::of(Code::IndexUnreadable).at(CHAIN).because(&e))?;
        if index.v != VERSION {
            return Err(Error::of(Code::IndexVersion)
                .at(CHAIN)
                .with(Field::Found, index.v));
        }
        Ok(index)
    }

    /// As it is stored.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json =
            serde_json::to_vec_pretty(self).map_err(|e| Error::of(Code::Damaged).because(&e))?;
        json.push(b'\n');
        Ok(json)
    }

    /// See [`run_folder`].
    pub fn path(run: u32) -> String {
        run_folder(run)
    }
}

/// A line of `removed.jsonl.gz`: records that earlier runs have and the platform has no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Removed {
    /// `events`, `platform/keys` and the like.
    pub collection: String,
    /// Their numbers, 16 hex digits each.
    pub ids: Vec<String>,
}

impl Removed {
    /// The largest number of ids in a line.
    pub const PER_LINE: usize = 10_000;

    /// A line.
    pub fn new(collection: &str, numbers: &[u64]) -> Self {
        Removed {
            collection: collection.to_owned(),
            ids: numbers.iter().map(|n| format!("{n:016x}")).collect(),
        }
    }

    /// The numbers.
    ///
    /// # Errors
    /// When one of the ids is none.
    pub fn numbers(&self) -> Result<Vec<u64>> {
        let ids = self.ids.iter();
        ids.map(|id| {
            let digits = id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
            digits
                .then(|| u64::from_str_radix(id, 16).ok())
                .flatten()
                .ok_or_else(|| Error::of(Code::TombstoneUnreadable).with(Field::Found, id.as_str()))
        })
        .collect()
    }
}

/// True for a run that holds a state by itself.
pub(crate) fn is_full(manifest: &Manifest) -> bool {
    manifest.backup_type == BackupType::Full
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::Link, record_number::ChainKey};

    #[test]
    fn links_and_indexes_are_spelled_as_documented() {
        let link = Link {
            run: 2,
            parent: "p".into(),
            base: "b".into(),
            key: ChainKey::from_bytes([0; 16]),
        };
        let json = r#"{"run":2,"parent":"p","base":"b","key":"AAAAAAAAAAAAAAAAAAAAAA=="}"#;
        assert_eq!(serde_json::to_string(&link).unwrap(), json);
        assert_eq!(serde_json::from_str::<Link>(json).unwrap(), link);
        let index = Index::new(vec![IndexRun {
            run: 1,
            path: Index::path(1),
            archive_id: "a".into(),
            parent: None,
            kind: BackupType::Full,
            created_at: 1,
            mode: None,
            recipients: Vec::new(),
        }]);
        assert_eq!(
            serde_json::to_string(&index).unwrap(),
            r#"{"v":1,"runs":[{"run":1,"path":"","archiveId":"a","parent":null,"kind":"full","createdAt":1,"mode":null,"recipients":[]}]}"#
        );
        assert_eq!(Index::parse(&index.to_json().unwrap()).unwrap(), index);
        assert_eq!(
            Index::parse(br#"{"v":2,"runs":[]}"#).unwrap_err().kind(),
            crate::ErrorKind::Unsupported
        );
        assert_eq!(
            Index::parse(b"[").unwrap_err().kind(),
            crate::ErrorKind::Damaged
        );
    }

    #[test]
    fn tombstones_are_sixteen_digits() {
        let line = Removed::new("events", &[1, u64::MAX]);
        assert_eq!(line.ids, ["0000000000000001", "ffffffffffffffff"]);
        assert_eq!(line.numbers().unwrap(), [1, u64::MAX]);
        for bad in ["1", "000000000000000g", "+000000000000001"] {
            let line = Removed {
                collection: "events".into(),
                ids: vec![bad.into()],
            };
            assert!(line.numbers().is_err(), "{bad}");
        }
    }
}
