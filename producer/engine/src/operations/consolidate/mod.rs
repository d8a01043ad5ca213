//! `consolidate`: one plain archive of what another holds, sealed anew, and verified before it gets its name.

mod manifest;
mod same;

use std::{
    cell::OnceCell,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    BackupType, Error, FileEntry, UserEntry,
    chain::{caution, is_companion},
    plan::PlannedFile,
    signature::Signer,
};
use serde::Serialize;
use serde_json::json;

use super::verify;
use crate::{
    advice::{Advice, Sentence},
    archive::{
        self, ArchiveError, ArchiveWriter, Finished, Listing, Sealing, SignedContent, UserDone,
        read::{Archive, Folder, GunzipCheck},
        write::ArchiveLayout,
    },
    failure::{Failure, FailureKind},
    findings::{self, companions_hold},
    folders::{refuse_inside, require_parent},
    interrupt,
    observer::{Level, Observer, Question, Step},
    opening::ArchiveOptions,
    platform::Shared,
    progress::{Goal, Tally},
    schedule, sealing,
    secrets::Secrets,
    signing::{self, Home},
    threads::{self, lock, unlocked},
};

/// The archive to copy, and the lock of the copy.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive.
    pub opening: ArchiveOptions,
    /// Folder for the new archive; new or empty.
    pub into: PathBuf,
    /// Make the folders above it too.
    pub create_parents: bool,
    /// How the files lie in that folder.
    pub layout: ArchiveLayout,
    /// The new lock; without recipients or a passphrase, that of the archive.
    pub sealing: sealing::Options,
    /// Key that signs the copy.
    pub signing: signing::Options,
    /// Users at once; none: one per core.
    pub jobs: Option<u16>,
}

/// The copy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consolidated {
    /// Always `report`.
    pub event: &'static str,
    /// Id of the archive that was copied.
    pub from: String,
    /// Id of the copy.
    pub archive_id: String,
    /// Who signed it.
    pub signer: String,
    /// Which platform it is of.
    pub source: String,
    /// Its folder.
    pub output: String,
    /// How many users.
    pub users: usize,
    /// Bytes of all files of the copy.
    pub bytes: u64,
    /// Outcome of reading the copy again.
    pub verified: verify::report::Report,
}

/// Copies, and verifies the copy.
///
/// # Errors
/// When the archive is damaged or cannot be opened, or the copy cannot be made.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Consolidated, Failure> {
    refuse_inside(&options.opening.dir, &options.into)?;
    require_parent(&options.into, options.create_parents)?;
    let newest = OnceCell::new();
    let secrets = Secrets::new(&options.opening.keys, observer);
    let demands = options.opening.demands(observer)?;
    let request = options.opening.request(demands);
    let mut source = Archive::open(Folder::at(&options.opening.dir)?, request, |found| {
        let (key, opener) = secrets.open(found)?;
        // That of the run whose state it is comes first.
        newest.get_or_init(|| (found.clone(), opener));
        Ok(key)
    })?;
    if let Some(caution) = caution(&source.manifest) {
        let text = format!("nothing was made: {caution}");
        return Err(Failure::usage(text).advise(Advice::Core(Box::new(caution))));
    }
    source.drop_orphans()?;
    match findings::tell(&source, observer) {
        None if companions_hold(&source, observer) => {}
        Some(FailureKind::Losses) => {
            return Err(Failure::of(
                FailureKind::Losses,
                "nothing was made: files of the backup would be left out, as named above; use the version that made it, or a later one",
            ));
        }
        _ => return Err(damaged("the backup is damaged, as named above")),
    }
    let asked = options
        .sealing
        .sealing(Question::NewCopyPassphrase, observer)?;
    let sealing = match asked {
        Some(sealing) => sealing,
        None => match newest.into_inner() {
            None => Sealing::None,
            Some((envelope, opener)) => same::sealing(&envelope, opener, &secrets)?,
        },
    };
    let _graceful = interrupt::finish_gracefully();
    let state_dir = options.opening.expect.trust.state_dir.as_deref();
    let home = Home::find(state_dir, &options.signing, observer)?;
    if let (Err(why), None) = (&home.folder, &options.signing.key) {
        let text = format!(
            "{why}: the copy is signed by a key that is not kept, so that nothing tells it from one of somebody else"
        );
        let sentence = Sentence::new(text, Advice::SignWithKeptKey);
        observer.tell_sentence(Level::Warning, &sentence);
    }
    // That of what it is copied from: it is of the same platform.
    let of = source.manifest.source.clone();
    let of = of.unwrap_or_else(|| home.key.source(&source.manifest.config.domain, "", ""));
    let created = source.manifest.created_at;
    let writing = archive::Options {
        layout: options.layout,
        stream: None,
        // A copy of the state of a chain is compressed.
        compress: source.manifest.compressed || source.chain.is_some(),
        chunk_bytes: 0,
        created_at: Some(created.unwrap_or(source.manifest.backup_timestamp)),
        backup_type: BackupType::Full,
        signing: home.signing(of.clone(), source.manifest.core.clone()),
    };
    let instant = source.manifest.backup_timestamp as f64 / 1000.0;
    let (archive, _) = ArchiveWriter::create(&options.into, &sealing, writing, instant)?;
    let (finished, verified) = match copy(&source, archive, options, home.key.signer(), observer) {
        Ok(done) => done,
        Err(failure) => {
            Failure::unless_interrupted()?;
            return Err(failure);
        }
    };
    Ok(Consolidated {
        event: "report",
        from: source.id().to_owned(),
        archive_id: finished.id,
        signer: finished.signer.to_string(),
        source: of,
        output: options.into.display().to_string(),
        users: source.plan.users.len(),
        bytes: finished.bytes,
        verified,
    })
}

fn damaged(what: &str) -> Failure {
    Failure::damaged(format!("{what}: nothing was made of it; use another copy"))
}

/// A copy that cannot be verified is removed.
fn copy(
    source: &Archive,
    mut archive: ArchiveWriter,
    options: &Options,
    signer: &Signer,
    observer: &dyn Observer,
) -> Result<(Finished, verify::report::Report), Failure> {
    let listing = match fill(source, &mut archive, options, observer) {
        Ok(listing) => listing,
        Err(failure) => {
            archive.abandon();
            return Err(failure);
        }
    };
    let stamp = archive.stamp(manifest::losses(source));
    let content = SignedContent {
        bytes: listing.bytes,
        loss_count: stamp.loss_count,
        link: None,
    };
    let manifest = manifest::manifest(source, &listing, archive.encrypted(), stamp)?;
    let staged = archive.stage(&manifest, content)?;
    let again = verify::made(
        Folder::new(staged.folder()),
        staged.key().cloned(),
        signer,
        1,
        threads::count(options.jobs),
        observer,
    );
    match again {
        Ok(verified) if verified.damaged.is_empty() => Ok((staged.publish()?, verified)),
        Ok(verified) => {
            for problem in &verified.problems {
                observer.tell(Level::Problem, problem);
            }
            for damage in &verified.damaged {
                observer.damaged(damage);
            }
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
    options: &Options,
    observer: &dyn Observer,
) -> Result<Listing, Failure> {
    let tally: Arc<Tally> = Arc::default();
    let goal = Goal::Bytes(source.files().iter().map(|file| file.size).sum());
    let users: Mutex<Vec<UserDone>> = Mutex::default();
    let shared: Mutex<Vec<FileEntry>> = Mutex::default();
    let writer = &*archive;
    let shown = observer.working(Step::Work, &tally, goal);
    let groups = source.files().chunk_by(|a, b| a.user() == b.user());
    let threads = threads::count(options.jobs);
    schedule::run(threads, groups, &|files: &[PlannedFile], _| {
        let copied = |file: &PlannedFile| {
            let copy = one(source, writer, file)?;
            tally.add(0, file.size);
            Ok::<_, ArchiveError>(copy)
        };
        match files.first().and_then(|file| file.user()) {
            Some(id) => {
                let done = user(source, writer, id, files, &copied)?;
                lock(&users).push(done);
            }
            None => {
                // The companions of the new archive are its own.
                let ours = |file: &&PlannedFile| !is_companion(&file.path);
                for file in files.iter().filter(ours) {
                    let copy = copied(file)?;
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
    Ok(archive.list(users))
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
    writer: &ArchiveWriter,
    id: &str,
    files: &[PlannedFile],
    copied: &dyn Fn(&PlannedFile) -> Result<Option<FileEntry>, ArchiveError>,
) -> Result<UserDone, ArchiveError> {
    let entry: &UserEntry = source
        .plan
        .users
        .iter()
        .find(|user| user.user_id == id)
        .ok_or_else(|| {
            Error::damaged("belongs to no user of the archive").at(&format!("users/{id}"))
        })?;
    let mut manifest = manifest::of_user(source, id)?;
    let mut copy = writer.copy_user(id)?;
    let mut entry = entry.clone();
    for file in files {
        let Some(done) = copied(file)? else {
            forget(&mut entry, file);
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
