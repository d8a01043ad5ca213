//! `consolidate`: one plain archive of what another holds, sealed anew, and verified before it gets its name.

mod manifest;
mod sealing;

use std::{
    cell::OnceCell,
    sync::{Mutex, PoisonError},
};

use decryptor_wasm::{
    Error, FileEntry, UserEntry,
    chain::{caution, is_companion},
    plan::PlannedFile,
    signature::Signer,
};
use serde::Serialize;
use serde_json::json;

use super::{
    companions_hold, decrypt::refuse_inside, print_json, require_parent, schedule,
    secrets::Secrets, signing::Home, verify, warn,
};
use crate::{answer, note};
use crate::{
    archive::{
        ArchiveError, ArchiveWriter, Content, Finished, Listing, Options, Sealing, UserDone,
        read::{Archive, Choice, Folder, GunzipCheck},
    },
    cli::ConsolidateArgs,
    failure::{Failure, with_advice},
    interrupt,
    progress::{self, Goal, Manner, Tally},
    text::printable,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Consolidated {
    event: &'static str,
    from: String,
    archive_id: String,
    signer: String,
    source: String,
    output: String,
    users: usize,
    bytes: u64,
    verified: verify::report::Report,
}

/// Copies, verifies, and says which archive it is now.
pub fn run(args: &ConsolidateArgs) -> Result<u8, Failure> {
    refuse_inside(&args.dir, &args.into, "--into")?;
    require_parent(&args.into, args.create_parents, "--into")?;
    let newest = OnceCell::new();
    let secrets = Secrets::new(&args.key);
    let demands = super::demands(&args.expect, &args.key)?;
    let choice = Choice {
        at: args.at,
        expect_id: args.expect.id(),
        ..Choice::new(&demands)
    };
    let mut source = Archive::open(Folder::new(&args.dir), choice, |found| {
        let (key, opener) = secrets.open(found)?;
        // That of the run whose state it is comes first.
        newest.get_or_init(|| (found.clone(), opener));
        Ok(key)
    })?;
    if let Some(caution) = caution(&source.manifest) {
        return Err(Failure::usage(format!(
            "nothing was made: {}",
            with_advice(&caution)
        )));
    }
    source.settle()?;
    match warn(&source) {
        0 if companions_hold(&source) => {}
        5 => {
            return Err(Failure {
                code: 5,
                message: "nothing was made: files of the backup would be left out, as named above; use the version that made it, or a later one"
                    .to_owned(),
            });
        }
        _ => return Err(damaged("the backup is damaged, as named above")),
    }
    let sealing = match sealing::asked_for(args)? {
        Some(sealing) => sealing,
        None => match newest.into_inner() {
            None => Sealing::None,
            Some((envelope, opener)) => sealing::same(&envelope, opener, &secrets)?,
        },
    };
    let _graceful = interrupt::finish_gracefully();
    let trust = &args.expect.trust;
    let home = Home::find(&trust.state, &args.sign)?;
    if let (Err(why), None) = (&home.folder, &args.sign.sign_key) {
        note!(
            "warning: {}: the copy is signed by a key that is not kept, so that nothing tells it from one of somebody else; give --sign-key FILE, or --state-dir DIR of a host that makes backups",
            printable(why)
        );
    }
    // That of what it is copied from: it is of the same platform.
    let of = source.manifest.source.clone();
    let of = of.unwrap_or_else(|| home.key.source(&source.manifest.config.domain, "", ""));
    let created = source.manifest.created_at;
    let options = Options {
        // What the state of a chain is put together from is compressed.
        compress: source.manifest.compressed || source.chain.is_some(),
        chunk_bytes: 0,
        created_at: Some(created.unwrap_or(source.manifest.backup_timestamp)),
        sparse: false,
        signing: home.signing(of.clone()),
    };
    let instant = source.manifest.backup_timestamp as f64 / 1000.0;
    let (archive, _) = ArchiveWriter::create(&args.into, &sealing, options, instant)?;
    let manner = match args {
        _ if args.json => Manner::Events,
        _ => Manner::for_people(),
    };
    let (finished, verified) = match copy(&source, archive, args, manner, home.key.signer()) {
        Ok(done) => done,
        Err(failure) => {
            interrupt::failure()?;
            return Err(failure);
        }
    };
    let code = verified.exit_code();
    let done = Consolidated {
        event: "report",
        from: source.id,
        archive_id: finished.id,
        signer: finished.signer.to_string(),
        source: of,
        output: args.into.display().to_string(),
        users: source.plan.users.len(),
        bytes: finished.bytes,
        verified,
    };
    if args.json {
        print_json(&done)?;
    } else {
        answer!("from    {}", done.from);
        answer!("archive {}", done.archive_id);
        answer!("signed by {}", done.signer);
        answer!("source {}", done.source);
        for line in done.verified.wrong() {
            note!("{line}");
        }
        answer!("{}", done.verified.summary());
    }
    Ok(code)
}

fn damaged(what: &str) -> Failure {
    Failure {
        code: 4,
        message: format!("{what}: nothing was made of it; use another copy"),
    }
}

/// What is not verified does not stay.
fn copy(
    source: &Archive,
    mut archive: ArchiveWriter,
    args: &ConsolidateArgs,
    manner: Manner,
    signer: &Signer,
) -> Result<(Finished, verify::report::Report), Failure> {
    let listing = match fill(source, &mut archive, args, manner) {
        Ok(listing) => listing,
        Err(failure) => {
            archive.abandon();
            return Err(failure);
        }
    };
    let stamp = archive.stamp(manifest::losses(source));
    let content = Content {
        bytes: listing.bytes,
        loss_count: stamp.loss_count,
        link: None,
    };
    let manifest = manifest::manifest(source, &listing, archive.encrypted(), stamp)?;
    let staged = archive.stage(&manifest, content)?;
    let again = verify::made(
        staged.folder(),
        staged.key().cloned(),
        signer,
        1,
        verify::jobs(args.jobs),
        manner,
    );
    match again {
        Ok(verified) if verified.damaged.is_empty() => Ok((staged.publish()?, verified)),
        Ok(verified) => {
            verified.wrong().for_each(|line| note!("{line}"));
            staged.abandon();
            Err(damaged("the copy is damaged, as named above"))
        }
        Err(failure) => {
            staged.abandon();
            Err(failure)
        }
    }
}

/// All files, several users at once.
fn fill(
    source: &Archive,
    archive: &mut ArchiveWriter,
    args: &ConsolidateArgs,
    manner: Manner,
) -> Result<Listing, Failure> {
    let tally = Tally::default();
    let goal = Goal::Bytes(source.files().iter().map(|file| file.size).sum());
    let users: Mutex<Vec<UserDone>> = Mutex::default();
    let shared: Mutex<Vec<FileEntry>> = Mutex::default();
    let writer = &*archive;
    progress::watch(&tally, goal, manner, || {
        let groups = source.files().chunk_by(|a, b| a.user == b.user);
        let threads = verify::jobs(args.jobs);
        schedule::run(threads, groups, &|files: &[PlannedFile], _| {
            let copied = |file: &PlannedFile| {
                let copy = one(source, writer, file)?;
                tally.add(0, file.size);
                Ok(copy)
            };
            match files.first().and_then(|file| file.user.as_deref()) {
                Some(id) => {
                    let done = user(source, writer, id, files, &copied)?;
                    lock(&users).push(done);
                }
                None => {
                    // The companions of the new archive are its own.
                    let ours = |file: &&PlannedFile| !is_companion(&file.path);
                    for file in files.iter().filter(ours) {
                        let copy = copied(file)?;
                        lock(&shared).push(copy);
                    }
                }
            }
            Ok(())
        })
    })?;
    let mut shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.sort_by(|a, b| a.path.cmp(&b.path));
    for file in shared {
        archive.add_file(file)?;
    }
    let mut users = users.into_inner().unwrap_or_else(PoisonError::into_inner);
    users.sort_by(|a, b| a.entry.user_id.cmp(&b.entry.user_id));
    Ok(archive.list(users))
}

/// The content of a file as it is, compressed or not.
fn one(source: &Archive, writer: &ArchiveWriter, file: &PlannedFile) -> Result<FileEntry, Error> {
    if source.chain.is_some() && file.jsonl {
        return folded(source, writer, file);
    }
    let mut copy = writer.file(&file.path).map_err(core)?;
    let listed = file.expected.as_ref().and_then(|entry| entry.records);
    // Where nobody counted the records, that is done now.
    let mut count = (file.gzip && listed.is_none()).then(|| GunzipCheck::new(file.jsonl));
    let summary = source.stream(file, false, true, &mut |piece| {
        interrupt::check()?;
        if let Some(count) = &mut count {
            count.push(piece)?;
        }
        copy.write(piece).map_err(core)
    })?;
    let counted = match &mut count {
        Some(count) => count.finish().map_err(|e| e.within(&file.path))?,
        None => summary.records,
    };
    copy.finish(listed.or(counted)).map_err(core)
}

/// Records of the state of a chain.
fn folded(
    source: &Archive,
    writer: &ArchiveWriter,
    file: &PlannedFile,
) -> Result<FileEntry, Error> {
    let stem = file.path.strip_suffix(".jsonl").unwrap_or(&file.path);
    let mut copy = writer.records(stem).map_err(core)?;
    source.stream(file, false, true, &mut |piece| {
        interrupt::check()?;
        copy.write(piece).map_err(core)
    })?;
    copy.finish().map_err(core)
}

fn user(
    source: &Archive,
    writer: &ArchiveWriter,
    id: &str,
    files: &[PlannedFile],
    copied: &dyn Fn(&PlannedFile) -> Result<FileEntry, Error>,
) -> Result<UserDone, Error> {
    let entry: &UserEntry = source
        .plan
        .users
        .iter()
        .find(|user| user.user_id == id)
        .ok_or_else(|| {
            Error::damaged("belongs to no user of the archive").at(&format!("users/{id}"))
        })?;
    let mut manifest = manifest::said(source, &format!("users/{id}/user-manifest.json"))?;
    let mut copy = writer.copy_user(id).map_err(core)?;
    let mut entry = entry.clone();
    for file in files {
        let done = copied(file)?;
        if source.chain.is_some() {
            named(&mut entry, &done);
        }
        copy.add(&done).map_err(core)?;
    }
    if source.chain.is_some() {
        manifest.insert("chunks".to_owned(), json!(entry.chunks));
        manifest.insert("stats".to_owned(), json!(entry.stats));
    }
    copy.finish(entry, &manifest).map_err(core)
}

/// Corrects what is said of a user by a file of the copy: those of a state are compressed there, and the points of a series may
/// have come to stand in more lines.
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

/// An error of writing on its way through the reader.
fn core(error: ArchiveError) -> Error {
    match error {
        ArchiveError::Core(error) => error,
        other => Error::new(decryptor_wasm::ErrorKind::Failed, other.to_string()),
    }
}

/// A thread that panicked leaves plain data behind, which stays usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
