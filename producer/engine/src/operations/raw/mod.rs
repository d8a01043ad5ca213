//! `raw`: a platform as its own tools dump it, and its files as they lie there, sealed and signed as any backup.

mod around;
mod notes;
mod report;
mod stores;
mod tree;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use decryptor_wasm::{
    BackupType,
    manifest::{Loss, PlatformConfig, PlatformSection},
    raw::RawSection,
};

use self::around::Around;
pub use self::report::Report;
pub use self::stores::influxdb_backup;
use self::stores::{Stores, Tools};
pub use self::tree::{STAGING, is_apart};
use crate::{
    advice::Advice,
    archive::{
        self, ArchiveWriter, ChainFolder, Finished, Leftover, Sealing, Summary,
        write::ArchiveLayout,
    },
    config::Config,
    failure::Failure,
    folders::{STREAM_LAYOUT, working_place},
    installation::Installation,
    interrupt,
    limits::MAX_NAMED_LOSSES,
    observer::{Level, Observer, Question},
    platform::PlatformMode,
    sealing,
    signing::{self, Home},
    storage::Location,
    trust::Trust,
};

/// Stands for raw dumps where a backup of one user names the user: they follow no other backup of the platform. No id of a user has a space.
const SOURCE: &str = "raw dump";
/// Instead of Pryv's release, where the platform does not tell.
pub const UNKNOWN_RELEASE: &str = "unknown";

/// How the database is dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DumpFormat {
    /// As one file, which is sealed as it comes.
    #[default]
    Custom,
    /// As a folder, on several connections.
    Directory,
}

/// Source, destination and manner of a raw dump.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform.
    pub installation: Installation,
    /// Folder for the dump: new or empty.
    pub output: Location,
    /// Make the folders above it too.
    pub create_parents: bool,
    /// How the files lie in that folder.
    pub layout: ArchiveLayout,
    /// The lock.
    pub sealing: sealing::Options,
    /// Key that signs the dump.
    pub signing: signing::Options,
    /// Where this host keeps its key.
    pub trust: Trust,
    /// How the database is dumped.
    pub format: DumpFormat,
    /// Connections to the database for the directory format; none: one per core.
    pub jobs: Option<u16>,
    /// The previews too.
    pub previews: bool,
    /// Host and port where InfluxDB takes backups; none: its usual port on the host of the configuration.
    pub influxdb_backup: Option<String>,
    /// What is run around the dump.
    pub commands: Commands,
}

/// Lines for a shell that are run around a dump.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// Stops the core.
    pub stop: Option<String>,
    /// Starts it again.
    pub start: Option<String>,
    /// Makes a snapshot of the file system, and prints the folder of the users' files in it.
    pub snapshot: Option<String>,
    /// Removes the snapshot.
    pub release: Option<String>,
}

/// Makes the dump and says how it went. A [`Report`] with losses means exit code 5.
///
/// # Errors
/// When a tool is missing or fails, the platform cannot be read, or the dump cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let started = Instant::now();
    let (output, _waiting) = working_place(&options.output, options.create_parents)?;
    if options.output.stream().is_some() && options.layout != ArchiveLayout::Files {
        return Err(Failure::usage(STREAM_LAYOUT));
    }
    let config = options.installation.load(true, observer)?;
    let asked = options
        .sealing
        .sealing(Question::NewBackupPassphrase, observer)?;
    let sealing = asked.ok_or_else(|| {
        Failure::usage(
            "a raw dump holds every secret of the platform, so that it is always encrypted",
        )
        .advise(Advice::NameRecipients)
    })?;
    let home = Home::open(
        options.trust.state_dir.as_deref(),
        &options.signing,
        &output,
        observer,
    )?;
    let source = home.key.source(&config.domain, &config.core_id, SOURCE);
    // All that may be missing is said before anything starts.
    let tools = Tools::find(&config)?;
    require_files(&config)?;
    let _graceful = interrupt::finish_gracefully();
    let dump = Dump {
        options,
        observer,
        config: &config,
        tools,
        sealing: &sealing,
        home: &home,
        source,
    };
    let mut around = Around::new(&options.commands, observer);
    let made = dump.make(&output, &mut around);
    let ((finished, done), trouble) = around.told(made)?;
    home.warn(&options.signing, observer);
    Ok(Report::done(
        &options.output,
        &finished,
        done,
        trouble,
        &sealing,
        started.elapsed(),
    ))
}

/// A dump that is to be made.
struct Dump<'d> {
    options: &'d Options,
    observer: &'d dyn Observer,
    config: &'d Config,
    tools: Tools,
    sealing: &'d Sealing,
    home: &'d Home,
    source: String,
}

/// What a dump holds, for its manifest and its report.
#[derive(Default)]
pub struct Dumped {
    /// Which stores.
    pub section: RawSection,
    /// Losses, which are named.
    pub losses: Vec<Loss>,
    /// Losses for which there was no room.
    pub more: u64,
    /// How many files of the platform there are.
    pub files: u64,
    /// What was read when.
    pub notes: Vec<String>,
}

impl Dumped {
    /// Notes a loss.
    pub fn lose(&mut self, path: String, what: String) {
        if self.losses.len() >= MAX_NAMED_LOSSES {
            self.more += 1;
            return;
        }
        self.losses.push(Loss {
            user_id: None,
            collection: None,
            path: Some(path),
            what,
        });
    }
}

impl Dump<'_> {
    /// Writes the dump to its place.
    fn make(
        &self,
        output: &Location,
        around: &mut Around<'_>,
    ) -> Result<(Finished, Dumped), Failure> {
        let state = self.home.folder.as_deref().ok();
        let (mut chain, leftover) = ChainFolder::alone(output, state)?;
        let (destination, removed) = chain.destination()?;
        if removed || leftover != Leftover::None {
            let text = format!("{output}: an earlier run did not finish; what it left was removed");
            self.observer.tell_minor(Level::Info, text);
        }
        let writing = archive::Options {
            layout: self.options.layout,
            stream: self.options.output.stream().cloned(),
            compress: true,
            chunk_bytes: 0,
            created_at: None,
            backup_type: BackupType::Full,
            signing: self.home.signing(self.source.clone(), None),
        };
        let mut archive = ArchiveWriter::create_in(destination, self.sealing, writing, now())?;
        let written = Stores::new(self, &mut archive).write(around);
        // Before anything else: the core may stand still.
        around.end();
        let written = Failure::unless_interrupted().and(written);
        let (dumped, users) = match written.and_then(|done| Ok((done, archive.done_users()?))) {
            Ok(done) => done,
            Err(failure) => {
                archive.abandon();
                return Err(failure);
            }
        };
        let staged = archive.complete(users, self.summary(&dumped))?;
        if let Err(failure) = Failure::unless_interrupted() {
            staged.abandon();
            return Err(failure);
        }
        Ok((chain.commit(staged, BackupType::Full)?, dumped))
    }

    fn summary(&self, dumped: &Dumped) -> Summary {
        let config = self.config;
        Summary {
            config: PlatformConfig {
                engine: config.base_engine.name().to_owned(),
                domain: config.domain.clone(),
            },
            platform: PlatformSection {
                mode: PlatformMode::Full.name().to_owned(),
                pii_mode: Some(config.pii.name().to_owned()),
                engines: Some(config.engines()),
                migration: None,
            },
            release: Some(
                config
                    .release
                    .clone()
                    .unwrap_or_else(|| UNKNOWN_RELEASE.to_owned()),
            ),
            losses: dumped.losses.clone(),
            accepted_losses: Vec::new(),
            chain: None,
            removed_users: Vec::new(),
            companions: Vec::new(),
            loss_count: dumped.losses.len() as u64 + dumped.more,
            raw: Some(dumped.section.clone()),
        }
    }
}

/// Refuses a platform whose files are not where they should be.
fn require_files(config: &Config) -> Result<(), Failure> {
    if !config.has_files() || config.users_dir.is_dir() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "there is no folder {} (storages.engines.sqlite.path): correct the configuration",
        config.users_dir.display()
    )))
}

/// Now, in seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}
