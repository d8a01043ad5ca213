//! `backup`: a platform in, an archive out.

mod changes;
mod collect;
mod incremental;
mod sealing;
mod users;

use std::{path::Path, time::Instant};

use decryptor_wasm::{
    chain::Link,
    layout::is_safe_name,
    manifest::{Companion, Engines, Loss, PlatformConfig, PlatformSection, UserStats},
};

use self::{
    collect::Losses,
    users::{chosen, left_out, names, only},
};
use super::{configuration, require_parent, signing::Home, verify};
use crate::note;
use crate::{
    archive::{
        ArchiveError, ArchiveWriter, Finished, IndexDone, Options, Sealing, Summary, UserDone,
    },
    cli::{BackupArgs, PlatformArg},
    config::Config,
    failure::Failure,
    interrupt,
    platform::{self, ExportError, Platform, PlatformMode, Scope, Unknown, User},
    progress::{self, Goal, Manner},
    report::{PlatformCounts, Report},
};

/// What is known before anything is written.
struct Prepared<'a> {
    args: &'a BackupArgs,
    output: &'a Path,
    started: Instant,
    config: Config,
    mode: PlatformMode,
    platform: Box<dyn Platform>,
    sealing: Sealing,
    /// What signs.
    home: Home,
    /// See [`crate::state::host::HostKey::source`].
    source: String,
    users: Vec<User>,
    /// Users for whom there can be no folder.
    nameless: Vec<User>,
    /// The names of the only user, and what stands for each.
    names: Option<Vec<String>>,
}

/// What was written of users and of what belongs to none.
struct Written {
    done: Vec<UserDone>,
    shared: IndexDone,
    losses: Losses,
    unknown: Vec<Unknown>,
}

/// Makes the backup and says how it went. A [`Report`] with losses means exit code 5.
pub fn run(args: &BackupArgs) -> Result<Report, Failure> {
    let prepared = prepare(args)?;
    if args.dry_run {
        if args.incremental {
            incremental::refuse(&prepared)?;
        }
        return Ok(Report::dry_run(&prepared.users, &prepared.sealing));
    }
    // A signal ends the run in order: what is there of the archive is removed.
    let _graceful = interrupt::finish_gracefully();
    match args.incremental {
        true => incremental::run(&prepared),
        false => incremental::alone(&prepared),
    }
}

/// What the report says.
struct Told {
    stats: Vec<UserStats>,
    losses: Vec<Loss>,
    accepted: Vec<Loss>,
    more: u64,
    withheld: u64,
    counts: PlatformCounts,
}

fn prepare(args: &BackupArgs) -> Result<Prepared<'_>, Failure> {
    if let Some(what) = args.restoring.misplaced(args.incremental) {
        return Err(Failure::usage(what));
    }
    let output = args.output.as_deref().ok_or_else(|| {
        Failure::usage("nothing to do: give --output DIR for a backup, or see --help")
    })?;
    require_parent(output, args.create_parents, "--output")?;
    let started = Instant::now();
    let mode = match args.platform {
        PlatformArg::None => PlatformMode::None,
        PlatformArg::Pryv => PlatformMode::Pryv,
        PlatformArg::Full => PlatformMode::Full,
    };
    let config = configuration(args, mode != PlatformMode::None)?;
    let platform = platform::open(&config, mode)?;
    // Before the platform's instant is fixed, because somebody may be asked, and take their time.
    let sealing = sealing::sealing(args)?;
    let home = sealing::home(args, output)?;
    let users = chosen(platform.users()?, args.user.as_deref(), &config)?;
    let (users, nameless): (Vec<User>, Vec<User>) = users
        .into_iter()
        .partition(|user| is_safe_name(&user.user_id));
    let names = match users.as_slice() {
        [user] if args.user.is_some() => Some(names(&config, mode, user)?),
        _ => None,
    };
    let only = users.first().filter(|_| args.user.is_some());
    let only = only.map_or("", |user| user.user_id.as_str());
    let source = home.key.source(&config.domain, &config.core_id, only);
    Ok(Prepared {
        args,
        output,
        started,
        config,
        mode,
        platform,
        sealing,
        home,
        source,
        users,
        nameless,
        names,
    })
}

impl Prepared<'_> {
    fn options(&self, sparse: bool) -> Options {
        Options {
            compress: !self.args.no_compress,
            chunk_bytes: self.args.max_chunk_size * 1024 * 1024,
            created_at: None,
            sparse,
            signing: self.home.signing(self.source.clone()),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            mode: self.mode,
            ephemeral: self.args.include_ephemeral,
            sealed: !matches!(self.sealing, Sealing::None),
            only: self.names.as_deref().zip(self.users.first()).map(only),
        }
    }

    fn say_leftover(&self, leftover: bool) {
        if leftover && !self.args.quiet {
            note!(
                "{}: an earlier run did not finish; what it left was removed",
                self.output.display()
            );
        }
    }

    fn engines(&self) -> Engines {
        let config = &self.config;
        Engines {
            base: config.base_engine.name().to_owned(),
            audit: config.audit_engine.name().to_owned(),
            series: config.series_engine.name().to_owned(),
            file: config.file_engine.name().to_owned(),
            platform: config.platform_engine.name().to_owned(),
        }
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
            records: records.filter(|_| self.args.user.is_none()),
        };
        progress::watch(&archive.tally, goal, manner(self.args), || {
            self.platform
                .export_all(&self.users, jobs(self.args), target)
                .map_err(explain)
        })?;
        let mut unknown = self.platform.unknown(&self.scope())?;
        unknown.extend(self.config.data_stores.iter().map(Unknown::data_store));
        Ok(unknown)
    }

    /// What the manifest and the report say of it all.
    fn sum_up(
        &self,
        written: Written,
        chain: Option<Link>,
        companions: Vec<Companion>,
    ) -> (Vec<UserDone>, Summary, Told) {
        let Written {
            done,
            mut shared,
            losses,
            unknown,
        } = written;
        let (accepted, unknown): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .partition(|unknown| self.args.accept_loss.contains(&unknown.name));
        let of = |unknown: Unknown| Loss::from(platform::Loss::from(unknown));
        let accepted: Vec<Loss> = accepted.into_iter().map(of).collect();
        shared.losses.extend(unknown.into_iter().map(of));
        let mut platform = losses.platform;
        shared.losses.append(&mut platform);
        shared.losses.extend(self.nameless.iter().map(left_out));
        let of_users: u64 = done.iter().map(|user| user.loss_count).sum();
        let loss_count = shared.losses.len() as u64 + of_users;
        let told = Told {
            stats: done.iter().map(|user| user.brought.clone()).collect(),
            losses: shared.losses.iter().cloned().chain(losses.users).collect(),
            accepted: accepted.clone(),
            more: losses.more,
            withheld: shared.withheld,
            counts: PlatformCounts {
                kept_audit: shared.kept_audit,
                ..PlatformCounts::of(&shared.counts)
            },
        };
        let summary = Summary {
            config: PlatformConfig {
                engine: self.config.base_engine.name().to_owned(),
                domain: self.config.domain.clone(),
            },
            platform: PlatformSection {
                mode: self.mode.name().to_owned(),
                pii_mode: Some(self.config.pii.name().to_owned()),
                engines: Some(self.engines()),
                migration: self.platform.migration(),
            },
            release: self.config.release.clone(),
            losses: shared.losses,
            accepted_losses: accepted,
            chain,
            removed_users: Vec::new(),
            companions,
            loss_count,
        };
        (done, summary, told)
    }

    /// Reads again what was made, if that was asked for.
    fn verified(
        &self,
        folder: &Path,
        finished: &Finished,
    ) -> Result<Option<verify::report::Report>, Failure> {
        if !self.args.verify {
            return Ok(None);
        }
        let key = finished.key.clone();
        let again = verify::made(
            folder,
            key,
            &finished.signer,
            finished.statement.run,
            jobs(self.args),
            manner(self.args),
        );
        again.map(Some).map_err(|failure| Failure {
            message: format!(
                "the backup was made, but could not be verified: {}",
                failure.message
            ),
            ..failure
        })
    }

    fn report(&self, told: Told, finished: &Finished) -> Report {
        Report {
            bytes: finished.bytes,
            platform: told.counts,
            withheld: told.withheld,
            accepted_losses: told.accepted,
            notes: self.platform.notes(),
            more_losses: told.more,
            ..Report::done(
                self.output,
                finished,
                &told.stats,
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
        "a defect of pryv-backup ended the backup (what it is stands above), which was not made; please report it",
    )
}

fn manner(args: &BackupArgs) -> Manner {
    match args {
        _ if args.json => Manner::Events,
        _ if args.quiet => Manner::Silent,
        // The names of the users would break the bar.
        _ if args.verbose => Manner::Lines,
        _ => Manner::for_people(),
    }
}

fn jobs(args: &BackupArgs) -> usize {
    args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8)),
        usize::from,
    )
}

/// The archive's own errors pass through the platform untouched; here they get their exit code back.
fn explain(error: ExportError) -> Failure {
    match error {
        ExportError::User { username, source } => {
            let failure = explain(*source);
            Failure {
                message: format!("user {username}: {}", failure.message),
                ..failure
            }
        }
        ExportError::Sink(source) => match source.downcast::<ArchiveError>() {
            Ok(archive) => (*archive).into(),
            Err(other) => Failure::failed(other.to_string()),
        },
        other => other.into(),
    }
}
