//! `decrypt`: an archive in, its files out.

pub(super) mod output;
mod work;

use std::{path::PathBuf, sync::Arc};

use crate::{
    archive::read::Archive,
    failure::Failure,
    folders::{refuse_inside, require_parent},
    interrupt,
    observer::{Observer, Step},
    opening::ArchiveOptions,
    progress::{Goal, Tally},
};

use output::OutputFolder;
use work::FileWork;

pub use work::Decrypted;

/// The archive to decrypt, and the destination.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive.
    pub opening: ArchiveOptions,
    /// The folder that is written to; none: files are only checked.
    pub out: Option<PathBuf>,
    /// Make the folders above it too.
    pub create_parents: bool,
    /// Write into a folder that is not empty.
    pub force: bool,
    /// Write records inflated.
    pub gunzip: bool,
    /// Write nothing at all if anything is damaged. So it is of a stream, unless what comes before a damage is to be kept.
    pub strict: bool,
    /// Keep what comes before a damage, in `FILE.salvaged`.
    pub salvage: bool,
    /// Files at once; none: one per core.
    pub jobs: Option<u16>,
}

impl Options {
    fn is_strict(&self) -> bool {
        self.strict || (self.opening.dir.stream().is_some() && !self.salvage)
    }
}

/// An archive that is open, to be looked at before anything is done with it.
pub struct Decryption<'a> {
    options: &'a Options,
    archive: Archive,
}

impl<'a> Decryption<'a> {
    /// Opens the archive.
    ///
    /// # Errors
    /// When it cannot be opened, or the output is no place for it.
    pub fn open(options: &'a Options, observer: &dyn Observer) -> Result<Self, Failure> {
        if let Some(out) = &options.out {
            refuse_inside(&options.opening.dir, &out.as_path().into())?;
            require_parent(out, options.create_parents)?;
        }
        let archive = options.opening.open(observer)?;
        Ok(Decryption { options, archive })
    }

    /// The archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Decrypts, or checks, all files.
    ///
    /// # Errors
    /// When something else than damage keeps it from being done.
    pub fn run(&mut self, observer: &dyn Observer) -> Result<Decrypted, Failure> {
        self.archive.drop_orphans()?;
        let tally = Arc::default();
        let work = FileWork::new(&self.archive, self.options, &tally);
        let _shown = observer.working(Step::Work, &tally, goal(&self.archive));
        match &self.options.out {
            None => work.verify(),
            Some(out) => {
                let output =
                    OutputFolder::create(out, self.options.force, self.options.is_strict())?;
                write(&work, output)
            }
        }
    }
}

/// Checks every file, frame and line of an archive that is open.
///
/// # Errors
/// When something else than damage keeps it from being done.
pub fn check(
    archive: &Archive,
    jobs: Option<u16>,
    observer: &dyn Observer,
) -> Result<Decrypted, Failure> {
    let options = Options {
        jobs,
        ..Options::default()
    };
    let tally: Arc<Tally> = Arc::default();
    let _shown = observer.working(Step::Check, &tally, goal(archive));
    FileWork::new(archive, &options, &tally).verify()
}

fn goal(archive: &Archive) -> Goal {
    Goal::Bytes(archive.files().bytes())
}

fn write(work: &FileWork<'_>, output: OutputFolder) -> Result<Decrypted, Failure> {
    let _guard = interrupt::finish_gracefully();
    let outcome = work.write(&output);
    match outcome {
        Ok(outcome) if !outcome.nothing_written => {
            output.finish()?;
            Ok(outcome)
        }
        other => {
            output.abandon();
            other
        }
    }
}
