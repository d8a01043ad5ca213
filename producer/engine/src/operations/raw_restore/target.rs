//! The platform that a raw dump is put into: of the same version, and empty. Nothing is written here.

use std::path::Path;

use decryptor_wasm::{
    layout::PathKind,
    raw::{RAW_INFLUXDB_FOLDER, RAW_POSTGRESQL, RAW_POSTGRESQL_FOLDER, RAW_RQLITE, RawDatabase},
};

use super::{Report, Restore};
use crate::operations::raw::UNKNOWN_RELEASE;
use crate::{
    advice::Advice,
    failure::Failure,
    files,
    folders::require_room,
    platform::{
        raw::{self, TargetDatabase},
        running,
    },
    storage::large_folder,
    tools::{INFLUXD, PG_RESTORE, major},
};

/// Where files wait within the folder that they belong to.
pub const STAGING: &str = ".pryv-backup-raw-restore";
/// A folder that a file system has by itself.
const OF_DISKS: &str = "lost+found";

/// Looks whether the dump can be put there.
///
/// # Errors
/// When it cannot, and why.
pub fn look(restore: &Restore<'_>, report: &mut Report) -> Result<(), Failure> {
    same_version(restore, report)?;
    known_files(restore)?;
    if let Some(dumped) = &restore.section.postgresql {
        database(restore, dumped)?;
    }
    servers(restore)?;
    for tree in &restore.section.trees {
        empty(folder_of(restore, tree), tree)?;
    }
    let running = running::signs_of_core(restore.config);
    if !running.is_empty() {
        let found = format!("a Pryv.io core seems to be running: {}", running.join("; "));
        if !(restore.options.force || restore.options.dry_run) {
            let failure = refused(&format!("{found}. Stop it"));
            return Err(failure.advise(Advice::RestoreBesideCore));
        }
        report.warnings.push(found);
    }
    let waits = [
        RAW_POSTGRESQL,
        RAW_POSTGRESQL_FOLDER,
        RAW_RQLITE,
        RAW_INFLUXDB_FOLDER,
    ];
    let waiting = waits.iter().map(|prefix| bytes_below(restore, prefix));
    match waiting.fold(0, u64::saturating_add) {
        0 => {}
        bytes => require_room(&large_folder(), bytes, "what waits for the tools")?,
    }
    for tree in &restore.section.trees {
        let bytes = bytes_below(restore, &format!("raw/{tree}/"));
        require_room(folder_of(restore, tree), bytes, "the files of the platform")?;
    }
    Ok(())
}

/// The folder of a tree on the target.
pub fn folder_of<'r>(restore: &Restore<'r>, tree: &str) -> &'r Path {
    match tree {
        "previews" => &restore.config.previews_dir,
        _ => &restore.config.users_dir,
    }
}

fn bytes_below(restore: &Restore<'_>, prefix: &str) -> u64 {
    let files = restore.archive.files();
    let below = files.within(files.below(prefix));
    below.fold(0, |sum, file| sum.saturating_add(file.size))
}

fn refused(what: &str) -> Failure {
    Failure::failed(format!("nothing was restored: {what}"))
}

/// The same release and the same engines.
fn same_version(restore: &Restore<'_>, report: &mut Report) -> Result<(), Failure> {
    let manifest = &restore.archive.manifest;
    let (dumped, there) = (&manifest.core_version, &restore.config.release);
    match there.as_ref().filter(|_| dumped != UNKNOWN_RELEASE) {
        Some(there) if there != dumped => {
            return Err(refused(&format!(
                "the dump is of Pryv.io {dumped}, and this installation is {there}: install {dumped}, restore, and upgrade then"
            )));
        }
        Some(_) => {}
        None => report.warnings.push(format!(
            "it could not be seen whether this is the release of Pryv.io that the dump is of (there: {dumped}; here: {})",
            there.as_deref().unwrap_or(UNKNOWN_RELEASE)
        )),
    }
    let engines = manifest.platform.as_ref();
    let engines = engines.and_then(|platform| platform.engines.as_ref());
    let here = restore.config.engines();
    let Some(dumped) = engines else {
        return Err(Failure::damaged(
            "the dump does not say which engines it is of",
        ));
    };
    let pairs = [
        ("base", &dumped.base, &here.base),
        ("audit", &dumped.audit, &here.audit),
        ("series", &dumped.series, &here.series),
        ("file", &dumped.file, &here.file),
        ("platform", &dumped.platform, &here.platform),
    ];
    match pairs.iter().find(|(_, dumped, here)| dumped != here) {
        None => Ok(()),
        Some((kind, dumped, here)) => Err(refused(&format!(
            "storages.{kind}.engine is {here} here, and the dump is of {dumped}: set it as it was"
        ))),
    }
}

/// Nothing but files of a raw dump may be in one.
fn known_files(restore: &Restore<'_>) -> Result<(), Failure> {
    let other = restore.archive.files().iter().find(|file| {
        let kind = PathKind::of(&file.path);
        !(file.path.starts_with("raw/") || kind.is_separate())
    });
    match other {
        None => Ok(()),
        Some(file) => Err(Failure::damaged(format!(
            "{} is in no raw dump: nothing was restored",
            file.path
        ))),
    }
}

fn database(restore: &Restore<'_>, dumped: &RawDatabase) -> Result<(), Failure> {
    let tool = PG_RESTORE.version()?;
    if major(&tool) < major(&dumped.tool) {
        return Err(refused(&format!(
            "pg_restore {tool} cannot read what pg_dump {} wrote: put one of that version or later on the PATH",
            dumped.tool
        )));
    }
    let config = &restore.config.postgres;
    let there = TargetDatabase::look(config, &dumped.owners)?;
    let address = config.address();
    if there.version / 10_000 < dumped.server / 10_000 {
        return Err(refused(&format!(
            "PostgreSQL at {address} is of version {}, and the dump is of {}",
            there.version / 10_000,
            dumped.server / 10_000
        )));
    }
    if there.relations > 0 {
        return Err(refused(&format!(
            "the database at {address} is not empty: it holds {} tables, indexes and the like; a raw dump goes into a new database (dropdb, createdb)",
            there.relations
        )));
    }
    match there.missing.first() {
        None => Ok(()),
        Some(owner) => Err(refused(&format!(
            "what the dump holds belongs to the role {owner:?}, which is not at {address}, or {} is no member of it: create it, or restore as it",
            config.user
        ))),
    }
}

fn servers(restore: &Restore<'_>) -> Result<(), Failure> {
    let config = restore.config;
    if let Some(dumped) = &restore.section.rqlite
        && let Some(server) = raw::rqlite(config)?
    {
        let there = server.version()?;
        if major(&there) != major(&dumped.version) {
            return Err(refused(&format!(
                "rqlite is of version {there} here, and the dump is of {}: one does not read what the other keeps",
                dumped.version
            )));
        }
        if server.holds_entries()? {
            return Err(refused(
                "the platform's own database (rqlite) is not empty: begin with a new data folder of rqlite",
            ));
        }
    }
    if let Some(dumped) = &restore.section.influxdb
        && let Some(server) = raw::influx(config)?
    {
        INFLUXD.version()?;
        let there = server.version()?;
        if major(&there) != major(&dumped.version) {
            return Err(refused(&format!(
                "InfluxDB is of version {there} here, and the dump is of {}",
                dumped.version
            )));
        }
        if let Some(database) = server.filled()?.first() {
            return Err(refused(&format!(
                "InfluxDB is not empty: it has a database {database:?}; drop all but its own, and restore again"
            )));
        }
    }
    Ok(())
}

/// A folder may be missing, where the one above is there.
fn empty(folder: &Path, tree: &str) -> Result<(), Failure> {
    let shown = folder.display();
    let names = match files::names(folder) {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let above = folder.parent().is_some_and(Path::is_dir);
            return match above {
                true => Ok(()),
                false => Err(refused(&format!(
                    "there is no folder for {tree}: {shown}, and none above it; correct the configuration"
                ))),
            };
        }
        Err(e) => return Err(Failure::failed(format!("{shown}: {e}"))),
    };
    if names.iter().any(|name| *name == STAGING) {
        return Err(refused(&format!(
            "{shown} is not empty: an earlier raw-restore was stopped there ({STAGING}); empty the folder and the databases, and restore again"
        )));
    }
    match names.iter().find(|name| *name != OF_DISKS) {
        None => Ok(()),
        Some(name) => Err(refused(&format!(
            "{shown} is not empty (it holds {:?}): empty it, or name another folder in the configuration",
            name.to_string_lossy()
        ))),
    }
}
