//! What lies in a folder of backups: each archive is one unit, that is kept or goes as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    Envelope, Manifest,
    chain::{CHAIN, Index, run_of},
    container::MAGIC,
    layout::PathKind,
};
use jiff::Timestamp;

use crate::{
    archive::{UNNAMED, read::Folder, sha256_hex},
    commands::rekey,
    failure::Failure,
};

/// Files that desktops put everywhere.
const JUNK: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];
/// In front of the name of an archive that is being removed.
pub const DOOMED: &str = ".pryv-backup-pruned-";

/// An archive.
pub struct Unit {
    /// Its folder.
    pub path: PathBuf,
    /// When the backup was made.
    pub time: Timestamp,
    /// Where that is known from: `envelope`, `manifest` or `file`; of a chain, those of its newest run.
    pub time_from: &'static str,
    /// SHA-256 of `manifest.json` as stored; of a chain, that of its newest run.
    pub id: String,
    /// Keeps runs from adding to a chain that may go.
    _lock: Option<fs::File>,
}

/// What is in a folder of backups.
#[derive(Default)]
pub struct Units {
    /// Newest first.
    pub archives: Vec<Unit>,
    /// What is left alone, and why.
    pub others: Vec<(PathBuf, String)>,
    /// What an earlier run had begun to remove.
    pub doomed: Vec<PathBuf>,
}

/// Looks at every entry of `dir`.
pub fn find(dir: &Path) -> Result<Units, Failure> {
    let failed = |e: io::Error| Failure::failed(format!("{}: {e}", dir.display()));
    let mut units = Units::default();
    let mut entries: Vec<_> = fs::read_dir(dir)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        // Of links, what they lead to is none of this folder's.
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        if name.to_string_lossy().starts_with(DOOMED) {
            units.doomed.push(path);
            continue;
        }
        match unit(&path) {
            Ok(unit) => units.archives.push(unit),
            Err(why) => units.others.push((path, why)),
        }
    }
    // Of two of the same moment the one whose name comes last counts as the newer.
    let order = |unit: &Unit| std::cmp::Reverse((unit.time, unit.path.clone()));
    units.archives.sort_by_key(order);
    Ok(units)
}

/// The archive in a folder, or why it is none.
fn unit(path: &Path) -> Result<Unit, String> {
    let folder = Folder::new(path);
    let listing = folder.list().map_err(|e| e.to_string())?;
    let has = |name: &str| listing.iter().any(|(known, _)| known == name);
    let chain = has(CHAIN);
    if !has("manifest.json") {
        return Err("no backup (it has no manifest.json), or one that was not finished".to_owned());
    }
    let stray = listing.iter().find(|(path, _)| {
        let name = path.rsplit('/').next().unwrap_or_default();
        !belongs(path, chain) && !JUNK.contains(&name)
    });
    if let Some((stray, _)) = stray {
        return Err(format!("holds {stray}, which is no part of a backup"));
    }
    if chain {
        return whole_chain(path, &folder);
    }
    let (id, time, time_from) = made(&folder)?;
    Ok(Unit {
        path: path.to_owned(),
        time,
        time_from,
        id,
        _lock: None,
    })
}

/// The id of an archive, or of a run, and when it was made.
fn made(folder: &Folder) -> Result<(String, Timestamp, &'static str), String> {
    let manifest = folder.read("manifest.json").map_err(|e| e.to_string())?;
    let (time, time_from) = if folder.has("encryption.json") {
        if !manifest.starts_with(MAGIC) {
            return Err("its manifest.json is not the encrypted one that it should be".to_owned());
        }
        let envelope = folder.read("encryption.json").map_err(|e| e.to_string())?;
        let envelope = Envelope::parse(&envelope).map_err(|e| e.to_string())?;
        (envelope.created_at(), "envelope")
    } else {
        let parsed = Manifest::parse(&manifest).map_err(|e| e.to_string())?;
        (Some(parsed.backup_timestamp), "manifest")
    };
    let told = time
        .filter(|ms| *ms > 0)
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let (time, time_from) = match told {
        Some(time) => (time, time_from),
        None => {
            let place = folder.path().join("manifest.json");
            let written = fs::metadata(place).and_then(|m| m.modified());
            let written = written.map_err(|e| e.to_string())?;
            let time = Timestamp::try_from(written).map_err(|e| e.to_string())?;
            (time, "file")
        }
    };
    Ok((sha256_hex(&manifest), time, time_from))
}

/// Whether a path is one of an archive, or of a chain and what its runs leave when they die.
fn belongs(path: &str, chain: bool) -> bool {
    if rekey::is_left(path) {
        return true;
    }
    if !chain {
        return !matches!(PathKind::of(path), PathKind::Stray);
    }
    let left = [
        ".pryv-backup-partial/",
        ".chain.json.new",
        ".SHA256SUMS.new",
    ];
    let own = |within: &str| within == UNNAMED || !matches!(PathKind::of(within), PathKind::Stray);
    path == CHAIN
        || left.iter().any(|left| path.starts_with(left))
        || run_of(path).is_some_and(|(_, within)| own(within))
}

/// A chain is as old as its newest run says itself, and goes or stays as a whole.
fn whole_chain(path: &Path, folder: &Folder) -> Result<Unit, String> {
    let lock = super::lock(path, "a backup").map_err(|failure| failure.message)?;
    let index = folder.read(CHAIN).map_err(|e| e.to_string())?;
    let index = Index::parse(&index).map_err(|e| e.to_string())?;
    let newest = index.runs.last().ok_or("its chain.json names no run")?;
    let newest_folder = folder.run(index.runs.len() as u32);
    let (_, time, time_from) =
        made(&newest_folder).map_err(|why| format!("its newest run: {why}"))?;
    Ok(Unit {
        path: path.to_owned(),
        time,
        time_from,
        id: newest.archive_id.clone(),
        _lock: Some(lock),
    })
}

/// Removes a folder so that at no moment a part of an archive looks like a whole one: it gets a name that says what is happening,
/// loses its manifest, and then the rest.
pub fn remove(path: &Path) -> io::Result<()> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let name = name.to_string_lossy();
    let doomed = if name.starts_with(DOOMED) {
        path.to_owned()
    } else {
        let doomed = parent.join(format!("{DOOMED}{name}"));
        fs::rename(path, &doomed)?;
        fs::File::open(parent)?.sync_all()?;
        doomed
    };
    match fs::remove_file(doomed.join("manifest.json")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => fs::File::open(&doomed)?.sync_all()?,
    }
    fs::remove_dir_all(&doomed)
}
