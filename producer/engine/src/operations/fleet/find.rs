//! Finds the backups of each core below a place: a prefix for each core, in which lie one archive or several.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    chain::CHAIN,
    layout::{INCREMENTS, MANIFEST, SIGNATURE, run_folder, run_of},
};

use crate::{
    failure::Failure,
    storage::{Location, ObjectStore, StoreAddress},
};

/// The only core of a place that is itself an archive.
const ITSELF: &str = ".";

/// The place where a core has its backups.
pub struct CorePrefix {
    /// Its name below the place that was given.
    pub name: String,
    /// Its address.
    pub place: Location,
    /// The archives and chains in it.
    pub archives: Vec<FoundArchive>,
}

/// An archive or a chain.
#[derive(Clone)]
pub struct FoundArchive {
    /// Where it lies.
    pub place: Location,
    /// The last of its runs that has a signature, if one has.
    pub signed: Option<u32>,
}

/// Every prefix below `root`, in the order of the names.
///
/// # Errors
/// When the place cannot be listed, or cannot hold several backups.
pub fn prefixes(root: &Location) -> Result<Vec<CorePrefix>, Failure> {
    match root {
        Location::Folder(folder) => of_folder(folder),
        Location::Store(address) => of_store(address),
        Location::Stream(_) => root
            .require_folder()
            .map(|_| Vec::new())
            .map_err(Into::into),
    }
}

/// The archives below a path, by their paths.
type Archives = BTreeMap<String, Option<u32>>;

fn of_store(root: &StoreAddress) -> Result<Vec<CorePrefix>, Failure> {
    let failed = |error: crate::storage::StoreError| Failure::failed(error.to_string());
    let store = ObjectStore::open(root).map_err(failed)?;
    let as_of = root.options.as_of.unwrap_or(i64::MAX);
    let mut keys: Vec<String> = match store.list_versions().map_err(failed)? {
        Some(versions) => {
            let there = versions.into_iter();
            let there = there.filter(|version| !version.deleted && version.modified <= as_of);
            there.map(|version| version.key).collect()
        }
        None => {
            let there = store.list().map_err(failed)?;
            there.into_iter().map(|object| object.key).collect()
        }
    };
    keys.dedup();
    let archives = archives_of(keys.iter().map(String::as_str));
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for key in &keys {
        names.extend(key.split_once('/').map(|(name, _)| name));
    }
    let at = |path: &str| match path {
        "" => Location::Store(root.clone()),
        path => Location::Store(root.below(path)),
    };
    Ok(by_name(names, archives, at))
}

/// The archives to which these keys of objects belong.
fn archives_of<'k>(keys: impl Iterator<Item = &'k str>) -> Archives {
    let mut archives = Archives::new();
    for key in keys {
        let (folder, file) = key.rsplit_once('/').unwrap_or(("", key));
        if file != MANIFEST && file != SIGNATURE {
            continue;
        }
        let (archive, run) = run_at(folder);
        let signed = archives.entry(archive.to_owned()).or_default();
        if file == SIGNATURE {
            *signed = (*signed).max(Some(run));
        }
    }
    archives
}

/// The archive and the run whose folder this is.
fn run_at(folder: &str) -> (&str, u32) {
    let mut parts = folder.rsplitn(3, '/');
    if let (Some(number), Some(INCREMENTS)) = (parts.next(), parts.next()) {
        let within = format!("{INCREMENTS}/{number}/{MANIFEST}");
        match run_of(&within) {
            Some((run, MANIFEST)) if run > 1 => return (parts.next().unwrap_or(""), run),
            _ => {}
        }
    }
    (folder, 1)
}

fn by_name(
    names: BTreeSet<&str>,
    archives: Archives,
    at: impl Fn(&str) -> Location,
) -> Vec<CorePrefix> {
    let found = |(path, signed): (&String, &Option<u32>)| FoundArchive {
        place: at(path),
        signed: *signed,
    };
    if archives.contains_key("") {
        let archives = archives.iter().filter(|(path, _)| path.is_empty());
        return vec![CorePrefix {
            name: ITSELF.to_owned(),
            place: at(""),
            archives: archives.map(found).collect(),
        }];
    }
    let prefix = |name: &str| {
        let own = archives.iter().filter(|(path, _)| {
            let below = path.strip_prefix(name);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        CorePrefix {
            name: name.to_owned(),
            place: at(name),
            archives: own.map(found).collect(),
        }
    };
    names.into_iter().map(prefix).collect()
}

fn of_folder(root: &Path) -> Result<Vec<CorePrefix>, Failure> {
    let mut prefixes = Vec::new();
    if let Some(signed) = archive_in(root) {
        prefixes.push(CorePrefix {
            name: ITSELF.to_owned(),
            place: root.into(),
            archives: vec![FoundArchive {
                place: root.into(),
                signed,
            }],
        });
        return Ok(prefixes);
    }
    for folder in folders_in(root)? {
        let mut archives = Vec::new();
        find_archives(&folder, &mut archives)?;
        let name = folder.file_name().unwrap_or_default();
        prefixes.push(CorePrefix {
            name: name.to_string_lossy().into_owned(),
            place: folder.into(),
            archives,
        });
    }
    Ok(prefixes)
}

fn find_archives(folder: &Path, found: &mut Vec<FoundArchive>) -> Result<(), Failure> {
    if let Some(signed) = archive_in(folder) {
        found.push(FoundArchive {
            place: folder.into(),
            signed,
        });
        return Ok(());
    }
    folders_in(folder)?
        .iter()
        .try_for_each(|folder| find_archives(folder, found))
}

/// The last run with a signature of the archive in a folder; none where there is no archive.
fn archive_in(folder: &Path) -> Option<Option<u32>> {
    let has = |name: &str| folder.join(name).is_file();
    if !has(MANIFEST) && !has(CHAIN) {
        return None;
    }
    let runs = fs::read_dir(folder.join(INCREMENTS)).into_iter().flatten();
    let runs = runs.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        let within = format!("{INCREMENTS}/{}/{SIGNATURE}", name.to_str()?);
        run_of(&within).map(|(run, _)| run)
    });
    let signed = |run: &u32| {
        has(&Path::new(&run_folder(*run))
            .join(SIGNATURE)
            .to_string_lossy())
    };
    Some(runs.chain([1]).filter(signed).max())
}

/// The folders in a folder, but for hidden ones, which are of runs that are at work, and what links lead to.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = || -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if entry.file_type()?.is_dir() && !hidden {
                folders.push(entry.path());
            }
        }
        folders.sort();
        Ok(folders)
    };
    listed().map_err(|e| Failure::failed(format!("{}: {e}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_found_by_their_manifests() {
        let keys = [
            "a/chain/encryption.json",
            "a/chain/increments/0002/manifest.json",
            "a/chain/increments/0002/manifest.json.minisig",
            "a/chain/increments/0003/claim",
            "a/chain/manifest.json",
            "a/chain/manifest.json.minisig",
            "a/older/manifest.json",
            "b/manifest.json",
            "b/manifest.json.minisig",
            "c/volume-0001.tar",
        ];
        let archives = archives_of(keys.into_iter());
        let due = [("a/chain", Some(2)), ("a/older", None), ("b", Some(1))];
        let due = due.map(|(path, signed)| (path.to_owned(), signed));
        assert_eq!(archives, Archives::from(due));
        let names = BTreeSet::from(["a", "b", "c"]);
        let prefixes = by_name(names, archives, |path| Path::new(path).into());
        let counts = prefixes.iter().map(|prefix| prefix.archives.len());
        assert_eq!(counts.collect::<Vec<_>>(), [2, 1, 0]);
    }
}
