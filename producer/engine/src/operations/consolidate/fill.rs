//! The files of the new archive.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    Error, FileEntry, UserEntry, chain::is_companion, manifest::UsersById, plan::PlannedFile,
};
use serde_json::json;

use super::{Options, manifest};
use crate::{
    archive::{
        ArchiveError, ArchiveWriter, Listing, UserDone,
        read::{Archive, GunzipCheck},
    },
    failure::Failure,
    interrupt,
    observer::{Observer, Step},
    platform::Shared,
    progress::{Goal, Tally},
    schedule,
    threads::{self, lock, unlocked},
};

/// All files, several users at once.
pub fn fill(
    source: &Archive,
    archive: &mut ArchiveWriter,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Listing, Failure> {
    let tally: Arc<Tally> = Arc::default();
    let goal = Goal::Bytes(source.files().bytes());
    let users: Mutex<Vec<UserDone>> = Mutex::default();
    let shared: Mutex<Vec<FileEntry>> = Mutex::default();
    let writer = &*archive;
    let shown = observer.working(Step::Work, &tally, goal);
    let known = source.plan.users.by_id();
    let groups = source.files().by_user();
    let threads = threads::count(options.jobs);
    schedule::run(threads, groups, &|places: Range<usize>, _| {
        let files = source.files().within(places);
        let copied = |file: &PlannedFile| {
            let copy = one(source, writer, file)?;
            tally.add(0, file.size);
            Ok::<_, ArchiveError>(copy)
        };
        let first = files.clone().next();
        match first.as_ref().and_then(|file| file.user()) {
            Some(id) => {
                let done = user(source, &known, writer, id, files, &copied)?;
                lock(&users).push(done);
            }
            None => {
                // The companions of the new archive are its own.
                let ours = |file: &PlannedFile| !is_companion(&file.path);
                for file in files.filter(ours) {
                    let copy = copied(&file)?;
                    lock(&shared).extend(copy);
                }
            }
        }
        Ok::<_, ArchiveError>(())
    })?;
    drop(shown);
    let mut shared = unlocked(shared);
    shared.sort_by(|a, b| a.path.cmp(&b.path));
    for file in shared {
        archive.add_file(file)?;
    }
    let mut users = unlocked(users);
    users.sort_by(|a, b| a.entry.user_id.cmp(&b.entry.user_id));
    let mut done = archive.done_users()?;
    for (order, user) in users.iter().enumerate() {
        done.add(order, user)?;
    }
    Ok(archive.list(done)?)
}

/// The content of a file as it is, compressed or not; none of a file of the state that holds no record any more.
fn one(
    source: &Archive,
    writer: &ArchiveWriter,
    file: &PlannedFile,
) -> Result<Option<FileEntry>, ArchiveError> {
    if source.chain.is_some() && file.jsonl {
        return folded(source, writer, file);
    }
    let mut copy = writer.file(&file.path)?;
    let listed = file.expected.as_ref().and_then(|entry| entry.records);
    // Where nobody counted the records, that is done now.
    let mut count = (file.gzip && listed.is_none()).then(|| GunzipCheck::new(file.jsonl));
    let summary = source.stream::<ArchiveError>(file, false, true, &mut |piece| {
        interrupt::check()?;
        if let Some(count) = &mut count {
            count.push(piece)?;
        }
        copy.write(piece)
    })?;
    let counted = match &mut count {
        Some(count) => count.finish().map_err(|e| e.at(&file.path))?,
        None => summary.records,
    };
    copy.finish(listed.or(counted)).map(Some)
}

/// Records of the state of a chain.
fn folded(
    source: &Archive,
    writer: &ArchiveWriter,
    file: &PlannedFile,
) -> Result<Option<FileEntry>, ArchiveError> {
    let stem = file.path.strip_suffix(".jsonl").unwrap_or(&file.path);
    let mut copy = writer.records(stem)?;
    source.stream::<ArchiveError>(file, false, true, &mut |piece| {
        interrupt::check()?;
        copy.write(piece)
    })?;
    // That the platform's own entries were asked for shows by their file.
    match copy.is_empty() && stem != Shared::Index.stem() {
        true => copy.abandon().map(|()| None),
        false => copy.finish().map(Some),
    }
}

fn user(
    source: &Archive,
    known: &UsersById<'_>,
    writer: &ArchiveWriter,
    id: &str,
    files: impl Iterator<Item = PlannedFile>,
    copied: &dyn Fn(&PlannedFile) -> Result<Option<FileEntry>, ArchiveError>,
) -> Result<UserDone, ArchiveError> {
    let mut entry = known.get(id).ok_or_else(|| {
        Error::damaged("belongs to no user of the archive").at(&format!("users/{id}"))
    })?;
    let mut manifest = manifest::of_user(source, id)?;
    let mut copy = writer.copy_user(id)?;
    for file in files {
        let Some(done) = copied(&file)? else {
            forget(&mut entry, &file);
            continue;
        };
        if source.chain.is_some() {
            named(&mut entry, &done);
        }
        copy.add(&done)?;
    }
    if source.chain.is_some() {
        manifest.insert("chunks".to_owned(), json!(entry.chunks));
        manifest.insert("stats".to_owned(), json!(entry.stats));
    }
    copy.finish(entry, &manifest)
}

/// Removes a file that the copy does not have from what is said of a user.
fn forget(entry: &mut UserEntry, file: &PlannedFile) {
    let name = file.path.rsplit('/').next();
    let chunks = &mut entry.chunks;
    for names in std::iter::once(&mut chunks.events).chain(&mut chunks.audit) {
        names.retain(|known| Some(known.as_str()) != name);
    }
}

/// Corrects what is said of a user by a file of the copy: those of a state are compressed there, and the points of a series may
/// have come to be in more lines.
fn named(entry: &mut UserEntry, file: &FileEntry) {
    let Some(name) = file.path.rsplit('/').next() else {
        return;
    };
    let chunks = &mut entry.chunks;
    let audit = chunks.audit.iter_mut().flatten();
    for known in chunks.events.iter_mut().chain(audit) {
        if name.strip_suffix(".gz") == Some(known) {
            name.clone_into(known);
        }
    }
    if name.starts_with("series.") {
        entry.stats.series = file.records.unwrap_or_default();
    }
}
