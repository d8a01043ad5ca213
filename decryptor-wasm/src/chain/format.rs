//! What a chain says of itself: `chain.json`, `manifest.chain`, tombstones.

use serde::{Deserialize, Serialize};

use super::ChainKey;
use crate::{Code, Error, Field, Result};

/// Name of the index, at the root of a chain.
pub const CHAIN: &str = "chain.json";
/// The folder of the runs after the first.
pub(crate) const INCREMENTS: &str = "increments";
/// The only version of the index there is.
const VERSION: u32 = 1;

/// `chain.json`: the runs in order, for programs without a key. It proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Always 1.
    pub v: u32,
    /// The first is the archive at the root.
    pub runs: Vec<IndexRun>,
}

/// A run in `chain.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexRun {
    /// Counted from 1.
    pub run: u32,
    /// Its folder, relative to the root: empty for the first, `increments/0002` for the second.
    pub path: String,
    /// Hex SHA-256 of its `manifest.json` as stored.
    pub archive_id: String,
    /// The archive id of the run before; none for the first.
    pub parent: Option<String>,
    /// `full` or `incremental`.
    pub kind: String,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// The mode of its envelope; none where it is not encrypted.
    pub mode: Option<String>,
    /// Fingerprints of the public keys that it is encrypted to.
    #[serde(default)]
    pub recipients: Vec<String>,
}

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

    /// The folder of a run: empty for the first, `increments/0002` for the second.
    pub fn path(run: u32) -> String {
        if run <= 1 {
            String::new()
        } else {
            format!("{INCREMENTS}/{run:04}")
        }
    }
}

/// The run in whose folder a path of a chain lies, and the path within that folder: `increments/0002/users/…` is of run 2. None for
/// what lies in `increments/` and is of no run.
pub fn run_of(path: &str) -> Option<(u32, &str)> {
    let Some(rest) = path.strip_prefix("increments/") else {
        return Some((1, path));
    };
    let (name, within) = rest.split_once('/')?;
    let run: u32 = name.parse().ok()?;
    (run > 1 && Index::path(run).ends_with(&format!("/{name}"))).then_some((run, within))
}

/// The error for an archive without `chain.json` in which one of these paths, that are there or that `SHA256SUMS` lists, tells that it
/// is the first run of a chain: its state would pass for the newest.
pub fn lost_index<'p>(mut paths: impl Iterator<Item = &'p str>) -> Option<Error> {
    let of_chain = |path: &str| {
        path == CHAIN
            || run_of(path).is_some_and(|(run, within)| run > 1 && within == "manifest.json")
    };
    paths
        .any(of_chain)
        .then(|| Error::of(Code::IndexMissing).at(CHAIN))
}

/// The error for a folder in which one run is encrypted and another is not: a chain is encrypted as a whole or not at all, whatever
/// `chain.json` says. To be asked of all paths of a folder before anything in it is read.
pub fn mixed<'p>(paths: impl Iterator<Item = &'p str>) -> Option<Error> {
    let mut runs: Vec<(u32, bool, bool)> = Vec::new();
    for (run, within) in paths.filter_map(run_of) {
        let at = match runs.binary_search_by_key(&run, |(known, ..)| *known) {
            Ok(at) => at,
            Err(at) => {
                runs.insert(at, (run, false, false));
                at
            }
        };
        runs[at].1 |= within == "manifest.json";
        runs[at].2 |= within == "encryption.json";
    }
    let sealed = runs.iter().any(|(_, _, envelope)| *envelope);
    let mut clear = runs
        .iter()
        .filter(|(_, manifest, envelope)| *manifest && !*envelope);
    let (run, ..) = clear.next().filter(|_| sealed)?;
    Some(Error::of(Code::MixedEncryption).in_run(*run))
}

/// The path in a line of `SHA256SUMS`.
pub fn summed(line: &str) -> Option<&str> {
    line.get(66..).map(str::trim_end)
}

/// `manifest.chain`, in every run but the first: its place in the chain, sealed with the rest of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Counted from 1.
    pub run: u32,
    /// The archive id of the run before.
    pub parent: String,
    /// The archive id of the first.
    pub base: String,
    /// What the numbers of tombstones are made with: that of the run before, unless this one is full.
    pub key: ChainKey,
}

/// A line of `removed.jsonl.gz`: records that earlier runs have and the platform has no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// `events`, `platform/keys` and the like.
    pub collection: String,
    /// Their numbers, 16 hex digits each.
    pub ids: Vec<String>,
}

impl Removed {
    /// At most so many ids stand in a line.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_runs() {
        assert_eq!(Index::path(1), "");
        assert_eq!(Index::path(2), "increments/0002");
        assert_eq!(Index::path(12_345), "increments/12345");
        assert_eq!(run_of("users/u/x"), Some((1, "users/u/x")));
        assert_eq!(
            run_of("increments/0002/manifest.json"),
            Some((2, "manifest.json"))
        );
        assert_eq!(run_of("increments/12345/a/b"), Some((12_345, "a/b")));
        for none in [
            "increments/0001/x",
            "increments/2/x",
            "increments/00002/x",
            "increments/+002/x",
            "increments/0002",
            "increments/x/y",
        ] {
            assert_eq!(run_of(none), None, "{none}");
        }
    }

    #[test]
    fn a_lost_index_is_noticed() {
        let lost = |paths: &[&str]| lost_index(paths.iter().copied()).is_some();
        assert!(lost(&["manifest.json", "increments/0002/manifest.json"]));
        assert!(lost(&["chain.json"]));
        for fine in [
            "increments/readme.txt",
            "increments/0002/users/u/streams.jsonl",
            "increments/2/manifest.json",
            "users/u/chain.json",
        ] {
            assert!(!lost(&["manifest.json", fine]), "{fine}");
        }
        let line = format!("{}  increments/0002/manifest.json", "0".repeat(64));
        assert_eq!(summed(&line), Some("increments/0002/manifest.json"));
    }

    #[test]
    fn a_clear_run_beside_sealed_ones_is_noticed() {
        let found = |paths: &[&str]| mixed(paths.iter().copied()).is_some();
        let root = ["manifest.json", "encryption.json"];
        let second = "increments/0002/manifest.json";
        let with = |more: &[&'static str]| [&root[..], more].concat();
        assert!(found(&with(&[second])));
        assert!(found(&[
            "manifest.json",
            second,
            "increments/0002/encryption.json"
        ]));
        for fine in [
            with(&[]),
            with(&[second, "increments/0002/encryption.json"]),
            with(&["increments/2/manifest.json", "increments/0002/users/x"]),
            vec!["manifest.json", second],
        ] {
            assert!(!found(&fine), "{fine:?}");
        }
    }

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
            kind: "full".into(),
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
