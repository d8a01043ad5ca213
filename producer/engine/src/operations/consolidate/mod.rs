//! `consolidate`: one plain archive of what another holds, sealed anew, and verified before it gets its name.

mod fill;
mod manifest;
mod same;

use std::{cell::OnceCell, path::Path};

use decryptor_wasm::{BackupType, chain::caution, signature::Signer};
use serde::Serialize;

use super::verify;
use crate::{
    advice::{Advice, Sentence},
    archive::{
        self, ArchiveWriter, ChainFolder, Finished, Sealing, SignedContent,
        read::{Archive, Folder, outline},
        write::ArchiveLayout,
    },
    failure::{Failure, FailureKind},
    findings::{self, companions_hold},
    folders::{refuse_inside, require_parent},
    interrupt,
    observer::{Level, Observer, Question},
    opening::ArchiveOptions,
    sealing,
    secrets::Secrets,
    signing::{self, Home},
    state,
    storage::Location,
    threads,
};

/// The archive to copy, and the lock of the copy.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive.
    pub opening: ArchiveOptions,
    /// Folder or prefix for the new archive; new or empty.
    pub into: Location,
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
    require_place(options)?;
    let newest = OnceCell::new();
    let secrets = Secrets::new(&options.opening.keys, observer);
    let demands = options.opening.demands(observer)?;
    let request = options.opening.request(demands);
    let folder = Folder::at(&options.opening.dir)?;
    let mut source = Archive::open(folder.clone(), request, |found| {
        let (key, opener) = secrets.open(found)?;
        // That of the run whose state it is comes first.
        newest.get_or_init(|| (found.clone(), opener));
        Ok(key)
    })?;
    check_runs(&folder, options.opening.at, observer)?;
    require_whole(&mut source, observer)?;
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
    let home = home(options, state_dir, observer)?;
    // That of what it is copied from: it is of the same platform.
    let of = source.manifest.source.clone();
    let of = of.unwrap_or_else(|| home.key.source(&source.manifest.config.domain, "", ""));
    let (created, made) = (source.manifest.created_at, source.manifest.backup_timestamp);
    let writing = archive::Options {
        layout: options.layout,
        stream: None,
        // A copy of the state of a chain is compressed.
        compress: source.manifest.compressed || source.chain.is_some(),
        chunk_bytes: 0,
        created_at: Some(created.unwrap_or(made)),
        backup_type: BackupType::Full,
        signing: home.signing(of.clone(), source.manifest.core.clone()),
    };
    let state = state::folder(state_dir).ok();
    let (mut target, _) = ChainFolder::alone(&options.into, state.as_deref())?;
    let (destination, _) = target.destination()?;
    let archive = ArchiveWriter::create_in(destination, &sealing, writing, made as f64 / 1000.0)?;
    let copied = copy(
        &source,
        &mut target,
        archive,
        options,
        home.key.signer(),
        observer,
    );
    let (finished, verified) = match copied {
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
        output: options.into.to_string(),
        users: source.plan.users.len(),
        bytes: finished.bytes,
        verified,
    })
}

/// Refuses a place that a copy cannot be written to.
fn require_place(options: &Options) -> Result<(), Failure> {
    refuse_inside(&options.opening.dir, &options.into)?;
    match &options.into {
        Location::Folder(into) => require_parent(into, options.create_parents),
        Location::Store(_) => Ok(()),
        Location::Stream(_) => Err(Failure::usage(
            "a copy is read again before it gets its name: give a folder or s3://BUCKET/PREFIX",
        )),
    }
}

/// The key that signs the copy.
fn home(
    options: &Options,
    state_dir: Option<&Path>,
    observer: &dyn Observer,
) -> Result<Home, Failure> {
    let home = Home::find(state_dir, &options.signing, observer)?;
    if let (Err(why), None) = (&home.folder, &options.signing.key) {
        let text = format!(
            "{why}: the copy is signed by a key that is not kept, so that nothing tells it from one of somebody else"
        );
        let sentence = Sentence::new(text, Advice::SignWithKeptKey);
        observer.tell_sentence(Level::Warning, &sentence);
    }
    Ok(home)
}

/// Refuses an archive of which something would be left out.
fn require_whole(source: &mut Archive, observer: &dyn Observer) -> Result<(), Failure> {
    if let Some(caution) = caution(&source.manifest) {
        let text = format!("nothing was made: {caution}");
        return Err(Failure::usage(text).advise(Advice::Core(Box::new(caution))));
    }
    source.drop_orphans()?;
    match findings::tell(source, observer) {
        None if companions_hold(source, observer) => Ok(()),
        Some(FailureKind::Losses) => Err(Failure::of(
            FailureKind::Losses,
            "nothing was made: files of the backup would be left out, as named above; use the version that made it, or a later one",
        )),
        _ => Err(damaged("the backup is damaged, as named above")),
    }
}

/// Tells what is odd about the runs of a chain. Something is wrong with one of them: then the newest state may be another one.
fn check_runs(folder: &Folder, at: Option<u32>, observer: &dyn Observer) -> Result<(), Failure> {
    let seen = outline(folder)?;
    match findings::of_runs(seen.runs.as_ref()) {
        Ok(warnings) => {
            for warning in warnings {
                observer.tell(Level::Warning, &warning);
            }
            Ok(())
        }
        // Of a run that the state needs, its opening tells.
        Err(wrong) if at.is_some() => {
            observer.tell(Level::Warning, &wrong);
            Ok(())
        }
        Err(wrong) => Err(damaged(&wrong)),
    }
}

fn damaged(what: &str) -> Failure {
    Failure::damaged(format!("{what}: nothing was made of it; use another copy"))
}

/// A copy that cannot be verified is removed.
fn copy(
    source: &Archive,
    target: &mut ChainFolder,
    mut archive: ArchiveWriter,
    options: &Options,
    signer: &Signer,
    observer: &dyn Observer,
) -> Result<(Finished, verify::report::Report), Failure> {
    let listing = match fill::fill(source, &mut archive, options, observer) {
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
        target.staged(&staged)?,
        staged.key().cloned(),
        signer,
        1,
        threads::count(options.jobs),
        observer,
    );
    match again {
        Ok(verified) if verified.damaged.is_empty() => {
            let finished = target.commit(staged, BackupType::Full)?;
            Ok((finished, verified))
        }
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
