//! Puts the dumps of the servers back, by their own tools.

use std::{
    fs::{self, File},
    io::{Seek, Write},
    path::Path,
};

use decryptor_wasm::{
    plan::PlannedFile,
    raw::{RAW_INFLUXDB_FOLDER, RAW_POSTGRESQL, RAW_POSTGRESQL_FOLDER, RAW_RQLITE, RawDatabase},
};

use super::Restore;
use crate::{
    advice::Advice,
    archive::read::CopyError,
    failure::Failure,
    folders::private_folder,
    interrupt,
    platform::raw,
    progress::Tally,
    threads,
    tools::{self, INFLUXD, PG_RESTORE},
};

const WAITS: &str = "what the tools read waits there";

/// All servers.
///
/// # Errors
/// When a tool fails; what is not empty then is said.
pub fn restore(restore: &Restore<'_>, tally: &Tally) -> Result<(), Failure> {
    let mut begun: Vec<&str> = Vec::new();
    let mut work = || {
        if let Some(dumped) = &restore.section.postgresql {
            begun.push("the database");
            postgresql(restore, dumped, tally)?;
        }
        if restore.section.rqlite.is_some()
            && let Some(server) = raw::rqlite(restore.config)?
        {
            begun.push("rqlite");
            let file = one(restore, RAW_RQLITE, tally)?;
            server.load(file)?;
        }
        if restore.section.influxdb.is_some() {
            begun.push("InfluxDB");
            influxdb(restore, tally)?;
        }
        Ok(())
    };
    let done: Result<(), Failure> = work();
    done.map_err(|failure| {
        let what = failure.message().to_owned();
        failure.with_message(format!(
            "{what}; the files were removed again, but {} may hold a part of the dump: empty what does, and restore again",
            begun.join(" and ")
        ))
    })
}

fn postgresql(restore: &Restore<'_>, dumped: &RawDatabase, tally: &Tally) -> Result<(), Failure> {
    let config = &restore.config.postgres;
    let jobs = threads::count(restore.options.jobs);
    if dumped.format == "directory" {
        let folder = private_folder(WAITS)?;
        all(restore, RAW_POSTGRESQL_FOLDER, folder.path(), tally)?;
        let mut command = tools::restore_from(config, folder.path(), jobs);
        return PG_RESTORE.run(&mut command, &mut |_| Ok(()));
    }
    let file = one(restore, RAW_POSTGRESQL, tally)?;
    PG_RESTORE.run(&mut tools::restore(config, file, jobs), &mut |_| Ok(()))
}

fn influxdb(restore: &Restore<'_>, tally: &Tally) -> Result<(), Failure> {
    let folder = private_folder(WAITS)?;
    all(restore, RAW_INFLUXDB_FOLDER, folder.path(), tally)?;
    let mut command = INFLUXD.command();
    command
        .args(["restore", "-portable", "-host", &restore.influxdb])
        .arg(folder.path());
    let done = INFLUXD.run(&mut command, &mut |_| Ok(()));
    done.map_err(|failure| failure.advise(Advice::InfluxdbAddress))
}

/// A file of the dump, without a name, at its beginning.
fn one(restore: &Restore<'_>, path: &str, tally: &Tally) -> Result<File, Failure> {
    let planned = restore.archive.files().find(path);
    let planned = planned.ok_or_else(|| Failure::damaged(format!("{path} is not in the dump")))?;
    let folder = private_folder(WAITS)?;
    let failed = |e| Failure::failed(format!("{}: {e}", folder.path().display()));
    let mut file = tempfile::tempfile_in(folder.path()).map_err(failed)?;
    content(restore, &planned, &mut file, folder.path(), tally)?;
    file.rewind().map_err(failed)?;
    Ok(file)
}

/// All files below a folder of the dump, in a folder.
fn all(restore: &Restore<'_>, prefix: &str, folder: &Path, tally: &Tally) -> Result<(), Failure> {
    let files = restore.archive.files();
    let below = files.below(prefix);
    if below.is_empty() {
        return Err(Failure::damaged(format!("{prefix} is not in the dump")));
    }
    for planned in files.within(below) {
        let name = planned.path.strip_prefix(prefix).unwrap_or_default();
        if name.contains('/') {
            return Err(Failure::damaged(format!(
                "{} is in no raw dump",
                planned.path
            )));
        }
        let path = folder.join(name);
        let failed = |e| Failure::failed(format!("{}: {e}", path.display()));
        let mut file = fs::File::create_new(&path).map_err(failed)?;
        content(restore, &planned, &mut file, &path, tally)?;
    }
    Ok(())
}

/// The content of a file of the dump.
pub fn content(
    restore: &Restore<'_>,
    planned: &PlannedFile,
    file: &mut File,
    path: &Path,
    tally: &Tally,
) -> Result<(), Failure> {
    let copied = restore
        .archive
        .stream::<CopyError>(planned, false, false, &mut |piece| {
            interrupt::check()?;
            tally.add(0, piece.len() as u64);
            Ok(file.write_all(piece)?)
        });
    match copied {
        Ok(_) => Ok(()),
        Err(CopyError::Archive(error)) => Err(error.into()),
        Err(CopyError::Output(e)) => Err(Failure::failed(format!("{}: {e}", path.display()))),
    }
}
