//! Folders and files of the runs of a chain, by their paths.

use super::SIGNATURE;
use crate::{Code, Error};

/// Name of the list of runs, at the root of a chain.
pub const CHAIN: &str = "chain.json";
/// Name of what a run in an object store says of itself, as an entry of [`CHAIN`]: nothing is ever written anew there.
pub const RUN: &str = "run.json";
/// The folder of the runs after the first.
pub const INCREMENTS: &str = "increments";
/// The folder of a run: empty for the first, `increments/0002` for the second.
pub fn run_folder(run: u32) -> String {
    if run <= 1 {
        String::new()
    } else {
        format!("{INCREMENTS}/{run:04}")
    }
}

/// The name under which the attempt of that number to write a run takes its place in an object store: `claim-0001`.
pub fn claim_name(attempt: u32) -> String {
    format!("claim-{attempt:04}")
}

/// The number of the attempt that a name claims a run for.
pub fn claim_of(name: &str) -> Option<u32> {
    let attempt = name.strip_prefix("claim-")?.parse().ok()?;
    (claim_name(attempt) == name).then_some(attempt)
}

/// The run in whose folder a path of a chain lies, and the path within that folder: `increments/0002/users/…` is of run 2. None for
/// what lies in `increments/` and is of no run.
pub fn run_of(path: &str) -> Option<(u32, &str)> {
    let Some(rest) = path.strip_prefix("increments/") else {
        return Some((1, path));
    };
    let (name, within) = rest.split_once('/')?;
    let run: u32 = name.parse().ok()?;
    (run > 1 && run_folder(run).ends_with(&format!("/{name}"))).then_some((run, within))
}

/// The error for an archive without a list of runs in which one of these paths, that are there or that `SHA256SUMS` lists, tells that it
/// is the first run of a chain: its state would pass for the newest. Where runs list themselves, one that was finished is signed.
pub fn lost_index(paths: impl Iterator<Item = impl AsRef<str>>) -> Option<Error> {
    let (mut lists_itself, mut chain, mut signed) = (false, false, false);
    for path in paths {
        let path = path.as_ref();
        lists_itself |= path == RUN;
        chain |= path == CHAIN;
        match run_of(path) {
            Some((2.., "manifest.json")) => chain = true,
            Some((2.., SIGNATURE)) => signed = true,
            _ => {}
        }
    }
    let (lost, list) = match lists_itself {
        true => (signed, RUN),
        false => (chain, CHAIN),
    };
    lost.then(|| Error::of(Code::IndexMissing).at(list))
}

/// The error for a folder in which one run is encrypted and another is not: a chain is encrypted as a whole or not at all, whatever
/// `chain.json` says. To be asked of all paths of a folder before anything in it is read. Where runs list themselves, one that is not
/// signed is no part of the chain.
pub fn mixed(paths: impl Iterator<Item = impl AsRef<str>>) -> Option<Error> {
    const NAMES: [&str; 3] = ["manifest.json", "encryption.json", SIGNATURE];
    let mut runs: Vec<(u32, [bool; 3])> = Vec::new();
    let mut lists_itself = false;
    for path in paths {
        let path = path.as_ref();
        lists_itself |= path == RUN;
        let Some((run, within)) = run_of(path) else {
            continue;
        };
        let at = match runs.binary_search_by_key(&run, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                runs.insert(at, (run, [false; 3]));
                at
            }
        };
        if let Some(name) = NAMES.iter().position(|name| *name == within) {
            runs[at].1[name] = true;
        }
    }
    runs.retain(|(_, [.., signed])| *signed || !lists_itself);
    let sealed = runs.iter().any(|(_, [_, envelope, _])| *envelope);
    let mut clear = runs
        .iter()
        .filter(|(_, [manifest, envelope, _])| *manifest && !*envelope);
    let (run, ..) = clear.next().filter(|_| sealed)?;
    Some(Error::of(Code::MixedEncryption).in_run(*run))
}

/// The path in a line of `SHA256SUMS`.
pub fn summed(line: &str) -> Option<&str> {
    line.get(66..).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_runs() {
        assert_eq!(run_folder(1), "");
        assert_eq!(run_folder(2), "increments/0002");
        assert_eq!(run_folder(12_345), "increments/12345");
        assert_eq!(run_of("users/u/x"), Some((1, "users/u/x")));
        assert_eq!(
            run_of("increments/0002/manifest.json"),
            Some((2, "manifest.json"))
        );
        assert_eq!(run_of("increments/12345/a/b"), Some((12_345, "a/b")));
        assert_eq!(claim_of(&claim_name(7)), Some(7));
        assert_eq!(claim_of("claim-7"), None);
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
        // Where runs list themselves, only a signature ends one.
        let second = "increments/0002/manifest.json";
        let signature = "increments/0002/manifest.json.minisig";
        assert!(!lost(&["chain.json", second, "manifest.json", "run.json"]));
        assert!(lost(&[signature, "manifest.json", "run.json"]));
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
        let signature = "increments/0002/manifest.json.minisig";
        assert!(found(&with(&[
            second,
            signature,
            "manifest.json.minisig",
            "run.json"
        ])));
        for fine in [
            with(&[]),
            with(&[second, "manifest.json.minisig", "run.json"]),
            with(&[second, "increments/0002/encryption.json"]),
            with(&["increments/2/manifest.json", "increments/0002/users/x"]),
            vec!["manifest.json", second],
        ] {
            assert!(!found(&fine), "{fine:?}");
        }
    }
}
