//! `backup`: a platform in, an archive out.

use std::{
    collections::HashMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::Instant,
};

use decryptor_wasm::{
    Kdf,
    layout::is_safe_name,
    manifest::{Engines, Loss, PlatformConfig, PlatformSection, UserStats},
};
use zeroize::Zeroizing;

use super::{ask_twice, public_key, read_passphrase, verify};
use crate::note;
use crate::{
    archive::{
        ArchiveError, ArchiveWriter, IndexDone, Options, Sealing, Summary, UserDone, UserWriter,
    },
    cli::{BackupArgs, KdfArg, PlatformArg},
    config::{Config, Engine},
    failure::Failure,
    interrupt,
    platform::{
        self, ExportError, Only, Platform, PlatformMode, Scope, Shared, SinkError, Target, User,
        UserSink, UserTarget,
    },
    progress::{self, Goal, Manner},
    report::{PlatformCounts, Report},
};

/// Losses of users that the report names; the manifests of the users name more.
const NAMED: usize = 10_000;

/// Makes the backup and says how it went. A [`Report`] with losses means exit code 5.
pub fn run(args: &BackupArgs) -> Result<Report, Failure> {
    if args.incremental {
        return Err(Failure::failed(
            "--incremental is not available yet in this version; nothing was done",
        ));
    }
    let output = args.output.as_deref().ok_or_else(|| {
        Failure::usage("nothing to do: give --output DIR for a backup, or see --help")
    })?;
    let started = Instant::now();
    let config = Config::load(
        &args.pryv_root,
        args.config.as_deref(),
        env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    )?;
    let mode = match args.platform {
        PlatformArg::None => PlatformMode::None,
        PlatformArg::Pryv => PlatformMode::Pryv,
        PlatformArg::Full => PlatformMode::Full,
    };
    let platform = platform::open(&config, mode)?;
    // Before the platform's instant is fixed, because somebody may be asked, and take their time.
    let sealing = sealing(args)?;
    let users = chosen(platform.users()?, args.user.as_deref(), &config)?;
    let (users, nameless): (Vec<User>, Vec<User>) = users
        .into_iter()
        .partition(|user| is_safe_name(&user.user_id));
    let token = match users.as_slice() {
        [user] if args.user.is_some() => Some(token(&config, mode, user)?),
        _ => None,
    };
    if args.dry_run {
        return Ok(Report::dry_run(&users, &sealing));
    }
    let options = Options {
        compress: !args.no_compress,
        chunk_bytes: args.max_chunk_size * 1024 * 1024,
        created_at: None,
    };
    // A signal ends the run in order: what is there of the archive is removed.
    let _graceful = interrupt::finish_gracefully();
    let (mut archive, leftover) =
        ArchiveWriter::create(output, &sealing, options, platform.instant()?)?;
    if leftover && !args.quiet {
        note!(
            "{}: an earlier run did not finish; what it left was removed",
            output.display()
        );
    }
    let scope = Scope {
        mode,
        ephemeral: args.include_ephemeral,
        sealed: !matches!(sealing, Sealing::None),
        only: token.as_deref().zip(users.first()).map(only),
    };
    let written = AssertUnwindSafe(|| write(&mut archive, platform.as_ref(), &users, &scope, args));
    let (done, mut shared, losses) = match catch_unwind(written).unwrap_or_else(|_| Err(defect())) {
        Ok(done) => done,
        Err(failure) => {
            archive.abandon();
            interrupt::failure()?;
            return Err(failure);
        }
    };
    let Losses {
        mut platform,
        users,
        more,
    } = losses;
    shared.losses.append(&mut platform);
    shared.losses.extend(nameless.into_iter().map(left_out));
    let losses = shared.losses.iter().cloned().chain(users).collect();
    let stats: Vec<UserStats> = done.iter().map(|u| u.entry.stats.clone()).collect();
    let finished = archive.finish(
        done,
        Summary {
            config: PlatformConfig {
                engine: config.base_engine.name().to_owned(),
                domain: config.domain.clone(),
            },
            platform: PlatformSection {
                mode: mode.name().to_owned(),
                pii_mode: Some(config.pii.name().to_owned()),
                engines: Some(Engines {
                    base: config.base_engine.name().to_owned(),
                    audit: config.audit_engine.name().to_owned(),
                    series: config.series_engine.name().to_owned(),
                    file: config.file_engine.name().to_owned(),
                    platform: config.platform_engine.name().to_owned(),
                }),
            },
            losses: shared.losses,
        },
    )?;
    let verified = if args.verify {
        let again = verify::made(output, finished.key, jobs(args), manner(args));
        Some(again.map_err(|failure| Failure {
            message: format!(
                "the backup was made, but could not be verified: {}",
                failure.message
            ),
            ..failure
        })?)
    } else {
        None
    };
    Ok(Report {
        bytes: finished.bytes,
        verified,
        platform: PlatformCounts::of(&shared.counts),
        withheld: shared.withheld,
        more_losses: more,
        ..Report::done(
            output,
            &finished.id,
            &stats,
            losses,
            &sealing,
            started.elapsed(),
        )
    })
}

/// A user for whom there can be no folder.
fn left_out(user: User) -> Loss {
    Loss {
        what: format!(
            "user {:?} was left out: its id {:?} cannot be the name of a folder",
            user.username, user.user_id
        ),
        user_id: Some(user.user_id),
        collection: None,
        path: None,
    }
}

/// A panic that came this far.
fn defect() -> Failure {
    Failure::failed(
        "a defect of pryv-backup ended the backup (what it is stands above), which was not made; please report it",
    )
}

fn chosen(users: Vec<User>, wanted: Option<&str>, config: &Config) -> Result<Vec<User>, Failure> {
    let Some(wanted) = wanted else {
        if users.is_empty() {
            return Err(Failure::failed(match config.base_engine {
                Engine::Postgresql => format!(
                    "no users in PostgreSQL at {}; is storages.engines.postgresql.database right?",
                    config.postgres.address()
                ),
                _ => format!(
                    "no users in {}; is storages.engines.sqlite.path right?",
                    config.users_dir.display()
                ),
            }));
        }
        return Ok(users);
    };
    let found: Vec<User> = users
        .into_iter()
        .filter(|u| u.user_id == wanted || u.username == wanted)
        .collect();
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "no user {wanted:?} on this platform (neither a user id nor a username)"
        )));
    }
    Ok(found)
}

/// What stands for the only user of the backup in the platform's own database.
fn token(config: &Config, mode: PlatformMode, user: &User) -> Result<String, Failure> {
    match config.pii.username(&user.username) {
        Some(token) => Ok(token),
        None if mode == PlatformMode::None => Ok(String::new()),
        None => Err(Failure::failed(
            "platform.piiMode is hashed, and platform.piiHmacKey is not set: without it the entries of one user cannot be \
             told from the others; set it, or pass --platform none",
        )),
    }
}

fn only<'a>((token, user): (&'a str, &'a User)) -> Only<'a> {
    Only { user, token }
}

fn sealing(args: &BackupArgs) -> Result<Sealing, Failure> {
    if !args.recipient_pubkey.is_empty() {
        let files = args.recipient_pubkey.iter();
        return files
            .map(|path| public_key(path))
            .collect::<Result<_, _>>()
            .map(Sealing::Recipients);
    }
    let given = match (&args.encrypt_passphrase, &args.passphrase_file) {
        (Some(None), _) => Some(ask_twice("Passphrase for the backup: ")?),
        (Some(Some(passphrase)), _) => Some(Zeroizing::new(passphrase.clone())),
        (None, Some(file)) => Some(read_passphrase(file)?),
        (None, None) => env::var("PRYV_BACKUP_PASSPHRASE")
            .ok()
            .filter(|p| !p.is_empty())
            .map(Zeroizing::new),
    };
    let kdf = match args.kdf {
        KdfArg::Scrypt => Kdf::Scrypt,
        KdfArg::Pbkdf2 => Kdf::Pbkdf2,
    };
    Ok(
        given.map_or(Sealing::None, |passphrase| Sealing::Passphrase {
            passphrase,
            kdf,
        }),
    )
}

fn write(
    archive: &mut ArchiveWriter,
    platform: &dyn Platform,
    users: &[User],
    scope: &Scope<'_>,
    args: &BackupArgs,
) -> Result<(Vec<UserDone>, IndexDone, Losses), Failure> {
    // First, because it takes seconds, and a wrong address or password must not show after hours.
    let mut index = archive.index();
    if scope.mode != PlatformMode::None {
        // A reader finds it even when the platform has no entries.
        index.begin(Shared::Index)?;
    }
    platform
        .export_platform(scope, &mut index)
        .map_err(explain)?;
    let mut shared = index.finish()?;
    archive.add_index(&mut shared)?;
    let goal = Goal::Users {
        users: users.len() as u64,
        records: platform.records().filter(|_| args.user.is_none()),
    };
    let done = progress::watch(&archive.tally, goal, manner(args), || {
        write_users(archive, platform, users, jobs(args), args.verbose)
    })?;
    let (done, losses) = done;
    Ok((done, shared, losses))
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

