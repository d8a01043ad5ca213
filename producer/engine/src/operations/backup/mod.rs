//! `backup`: a platform in, an archive out.

mod changes;
mod collect;
mod configuration;
mod core;
mod incremental;
mod options;
mod report;
mod users;

use std::{sync::Arc, time::Instant};

use decryptor_wasm::{
    BackupType,
    chain::Link,
    manifest::{Companion, Loss, PlatformConfig, PlatformSection, UserStats},
};

use self::{
    collect::CollectedUsers,
    report::PlatformCounts,
    users::{chosen, left_out, named, names, only},
};
use super::{capsule::CapsuleContents, verify};
use crate::{
    advice::Advice,
    archive::{
        self, ArchiveWriter, DoneUsers, Finished, IndexDone, Leftover, Sealing, Summary,
        read::Folder, write::ArchiveLayout,
    },
    config::Config,
    failure::Failure,
    folders::{PrivateFolder, STREAM_LAYOUT, working_place},
    interrupt,
    observer::{Level, Observer, Question, Step},
    platform::{self, Platform, PlatformMode, Scope, Unknown, User},
    progress::Goal,
    signing::{self, Home},
    state,
    storage::Location,
};

pub use options::Options;
pub use report::{ChainReport, Report};

/// Facts that are known before anything is written.
struct Prepared<'a> {
    options: &'a Options,
    observer: &'a dyn Observer,
    /// Where it is written; of a stream, a folder for what has to wait.
    output: Location,
    /// Goes away with that folder.
    _waiting: Option<PrivateFolder>,
    started: Instant,
    config: Config,
    mode: PlatformMode,
    platform: Box<dyn Platform>,
    sealing: Sealing,
    /// Key that signs.
    home: Home,
    /// See [`crate::state::host::HostKey::source`].
    source: String,
    /// The core that it is of, where it has a name.
    core: Option<String>,
    users: Arc<Vec<User>>,
    /// Users for whom there can be no folder.
    nameless: Vec<User>,
    /// The names of the only user, and what stands for each.
    names: Option<Vec<String>>,
}

/// Users and shared records that were written.
struct Written {
    users: CollectedUsers,
    shared: IndexDone,
    unknown: Vec<Unknown>,
    capsule: Option<CapsuleContents>,
}

/// Makes the backup and says how it went. A [`Report`] with losses means exit code 5.
///
/// # Errors
/// When the platform cannot be read, or the backup cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let prepared = prepare(options, observer)?;
    if options.dry_run {
        if options.incremental {
            incremental::refuse(&prepared)?;
        }
        return Ok(Report::dry_run(&prepared.users, &prepared.sealing));
    }
    // A signal ends the run in order: what is there of the archive is removed.
    let _graceful = interrupt::finish_gracefully();
    match options.incremental {
        true => incremental::run(&prepared),
        false => incremental::alone(&prepared),
    }
}

/// Losses and counts for the report.
struct ReportedLosses {
    users: usize,
    records: UserStats,
    losses: Vec<Loss>,
    accepted: Vec<Loss>,
    more: u64,
    withheld: u64,
    counts: PlatformCounts,
    capsule: Option<CapsuleContents>,
}

fn prepare<'a>(options: &'a Options, observer: &'a dyn Observer) -> Result<Prepared<'a>, Failure> {
    configuration::refuse(options)?;
    let (output, waiting) = place(options)?;
    let started = Instant::now();
    let mode = options.platform;
    let config = options
        .installation
        .load(mode != PlatformMode::None, observer)?;
    let core = core::name(options, &config, observer)?;
    let platform = platform::open(&config, mode)?;
    // Before the platform's instant is fixed, because somebody may be asked, and take their time.
    let sealing = lock(options, observer)?;
    let home = home(options, &output, observer)?;
    let users = chosen(platform.users()?, options.user.as_deref(), &config)?;
    let (users, nameless) = named(users);
    let names = match users.as_slice() {
        [user] if options.user.is_some() => Some(names(&config, mode, user)?),
        _ => None,
    };
    let only = users.first().filter(|_| options.user.is_some());
    let only = only.map_or("", |user| user.user_id.as_str());
    let source = home.key.source(&config.domain, &config.core_id, only);
    Ok(Prepared {
        options,
        observer,
        output,
        _waiting: waiting,
        started,
        config,
        mode,
        platform,
        sealing,
        home,
        source,
        core,
        users,
        nameless,
        names,
    })
}

/// Where it is written, and of a stream what removes the folder there.
fn place(options: &Options) -> Result<(Location, Option<PrivateFolder>), Failure> {
    let refused = [
        (
            options.incremental,
            "an increment follows the runs in a folder: a stream holds a full backup",
        ),
        (
            options.verify,
            "a stream cannot be read again: verify it where it goes",
        ),
        (options.layout != ArchiveLayout::Files, STREAM_LAYOUT),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, why)) if options.output.stream().is_some() => Err(Failure::usage(*why)),
        _ => working_place(&options.output, options.create_parents),
    }
}

impl Prepared<'_> {
    fn writing(&self, backup_type: BackupType) -> archive::Options {
        archive::Options {
            layout: self.options.layout,
            stream: self.options.output.stream().cloned(),
            compress: self.options.compress,
            chunk_bytes: self.options.chunk_bytes,
            created_at: None,
            backup_type,
            signing: self.home.signing(self.source.clone(), self.core.clone()),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            mode: self.mode,
            ephemeral: self.options.include_ephemeral,
            sealed: !matches!(self.sealing, Sealing::None),
            only: self.names.as_deref().zip(self.users.first()).map(only),
        }
    }

    fn tell_of_leftover(&self, leftover: Leftover) {
        let became = match leftover {
            Leftover::None => return,
            Leftover::Removed => "what it left was removed",
            Leftover::Finished => "it was finished now",
        };
        let output = &self.output;
        let text = format!("{output}: an earlier run did not finish; {became}");
        self.observer.tell_minor(Level::Info, text);
    }

    /// All users; what of the platform is in no backup.
    fn write_users(
        &self,
        target: &dyn platform::Target,
        archive: &ArchiveWriter,
    ) -> Result<Vec<Unknown>, Failure> {
        let records = self.platform.records();
        let goal = Goal::Users {
            users: self.users.len() as u64,
            records: records.filter(|_| self.options.user.is_none()),
        };
        let shown = self.observer.working(Step::Work, &archive.tally, goal);
        self.platform
            .export_all(&self.users, jobs(self.options), target)
            .map_err(Failure::from)?;
        drop(shown);
        let mut unknown = self.platform.unknown(&self.scope())?;
        unknown.extend(self.config.data_stores.iter().map(Unknown::data_store));
        Ok(unknown)
    }

    /// Sums up for the manifest and the report.
    fn sum_up(
        &self,
        written: Written,
        chain: Option<Link>,
        companions: Vec<Companion>,
    ) -> (DoneUsers, Summary, ReportedLosses) {
        let Written {
            users,
            mut shared,
            unknown,
            mut capsule,
        } = written;
        let CollectedUsers {
            users,
            brought,
            losses,
        } = users;
        let (accepted, unknown): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .partition(|unknown| self.options.accept_loss.contains(&unknown.name));
        let of = |unknown: Unknown| Loss::from(platform::PlatformLoss::from(unknown));
        let accepted: Vec<Loss> = accepted.into_iter().map(of).collect();
        shared.losses.extend(unknown.into_iter().map(of));
        let mut platform = losses.platform;
        shared.losses.append(&mut platform);
        if let Some(capsule) = &mut capsule {
            shared.losses.append(&mut capsule.losses);
        }
        shared.losses.extend(self.nameless.iter().map(left_out));
        let loss_count = shared.losses.len() as u64 + losses.of_users;
        let told = ReportedLosses {
            users: users.count(),
            records: brought,
            losses: shared.losses.iter().cloned().chain(losses.users).collect(),
            accepted: accepted.clone(),
            more: losses.more,
            withheld: shared.withheld,
            counts: PlatformCounts {
                kept_audit: shared.kept_audit,
                ..PlatformCounts::of(&shared.counts)
            },
            capsule,
        };
        let summary = Summary {
            config: PlatformConfig {
                engine: self.config.base_engine.name().to_owned(),
                domain: self.config.domain.clone(),
            },
            platform: PlatformSection {
                mode: self.mode.name().to_owned(),
                pii_mode: Some(self.config.pii.name().to_owned()),
                engines: Some(self.config.engines()),
                migration: self.platform.migration(),
            },
            release: self.config.release.clone(),
            losses: shared.losses,
            accepted_losses: accepted,
            chain,
            removed_users: Vec::new(),
            companions,
            loss_count,
            raw: None,
        };
        (users, summary, told)
    }

    /// Reads again what was made, if that was asked for.
    fn verified(
        &self,
        folder: Folder,
        finished: &Finished,
    ) -> Result<Option<verify::report::Report>, Failure> {
        if !self.options.verify {
            return Ok(None);
        }
        let key = finished.key.clone();
        let again = verify::made(
            folder,
            key,
            &finished.signer,
            finished.statement.run,
            jobs(self.options),
            self.observer,
        );
        again.map(Some).map_err(|failure| {
            let what = failure.message();
            let what = format!("the backup was made, but could not be verified: {what}");
            failure.with_message(what)
        })
    }

    fn report(&self, told: ReportedLosses, finished: &Finished) -> Report {
        Report {
            bytes: finished.bytes,
            platform: told.counts,
            withheld: told.withheld,
            accepted_losses: told.accepted,
            notes: self.platform.notes(),
            not_held: self.not_held(told.capsule.as_ref()),
            capsule: told.capsule,
            more_losses: told.more,
            ..Report::done(
                &self.options.output,
                finished,
                (told.users, told.records),
                told.losses,
                &self.sealing,
                self.started.elapsed(),
            )
        }
    }
}

/// A panic that came this far.
fn defect() -> Failure {
    Failure::failed(
        "a defect of pryv-backup ended the backup (see above), which was not made; please report it",
    )
}

fn jobs(options: &Options) -> usize {
    options.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8)),
        usize::from,
    )
}

/// The lock that was asked for.
fn lock(options: &Options, observer: &dyn Observer) -> Result<Sealing, Failure> {
    let asked = options
        .sealing
        .sealing(Question::NewBackupPassphrase, observer)?;
    match asked {
        Some(sealing) => Ok(sealing),
        None if options.include_config => Err(configuration::in_the_clear()),
        None if options.trust.require_encrypted => Err(Failure::usage(
            "the backup would not be encrypted, and it is demanded that it is",
        )
        .advise(Advice::Encrypt)),
        None => Ok(Sealing::None),
    }
}

/// Finds the key that signs the run.
fn home(options: &Options, output: &Location, observer: &dyn Observer) -> Result<Home, Failure> {
    let state_dir = options.trust.state_dir.as_deref();
    if options.dry_run {
        if let Ok(folder) = state::folder(state_dir) {
            signing::refuse_inside(&folder, output)?;
        }
        return Home::none();
    }
    Home::open(state_dir, &options.signing, output, observer)
}
