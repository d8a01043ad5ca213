//! `restore`: an archive in, its users on the platform, each whole or as before.

mod account;
mod attachments;
mod conflicts;
mod disposal;
mod integrity;
mod lines;
mod names;
mod next;
mod obstacles;
mod open;
pub mod report;
mod restored_user;
mod same_secrets;
mod selection;
mod series;
mod shared;
mod unique;
mod user;
mod users;

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use decryptor_wasm::plan::Severity;

use self::{
    disposal::Disposal,
    obstacles::Coming,
    report::{Outcome, Report, Restored, SameSecrets},
    selection::Selection,
};
use super::capsule;
use crate::{
    advice::Advice,
    archive::read::Archive,
    config::{Config, Engine},
    failure::Failure,
    findings::{sentence, signed},
    installation::Installation,
    interrupt,
    observer::{Observer, Step},
    opening::ArchiveOptions,
    pii::Pii,
    platform::{self, Restoring, write::PlatformWriter},
    progress::Goal,
};

/// Whether a record that never matched its hash, in a backup proven intact, fails its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// It does not.
    #[default]
    Normal,
    /// It does; and hashes are checked.
    Strict,
}

/// Source, destination and manner of a restore.
#[derive(Debug, Clone)]
pub struct Options {
    /// The archive.
    pub opening: ArchiveOptions,
    /// The platform.
    pub installation: Installation,
    /// Only this user, by id or name.
    pub user: Option<String>,
    /// Groups of users at once; none: one per core, at most 4.
    pub jobs: Option<u16>,
    /// Write nothing.
    pub dry_run: bool,
    /// Replace users that are there.
    pub overwrite: bool,
    /// Leave out users who clash with others, and restore the rest.
    pub skip_conflicts: bool,
    /// Check the hashes of events, accesses and attachments.
    pub verify_integrity: bool,
    /// How strictly.
    pub integrity: Strictness,
    /// Remove the backup when every user of it was restored.
    pub delete_on_success: bool,
    /// Move the backup there when every user of it was restored.
    pub move_on_success: Option<PathBuf>,
    /// Check the backup, restore nothing.
    pub verify_only: bool,
    /// Users under other names: old and new.
    pub remap_user: Vec<(String, String)>,
    /// Leave the platform's own database alone.
    pub skip_platform: bool,
    /// Restore although a core seems to be running.
    pub force: bool,
    /// Make the folder of the users' files, where there is none yet.
    pub create_users_dir: bool,
}

impl Options {
    /// Whether the backup goes away when all is well.
    fn disposes(&self) -> bool {
        self.delete_on_success || self.move_on_success.is_some()
    }

    /// Whether hashes are checked.
    fn verifies(&self) -> bool {
        self.verify_integrity || self.integrity == Strictness::Strict
    }

    /// Whether what the platform gives back is compared with what the backup holds: when that is asked for, and whenever the
    /// backup is not to stay.
    fn compares(&self) -> bool {
        self.verifies() || self.disposes()
    }
}

/// Restores, and says what became of each user.
///
/// # Errors
/// When nothing was restored, and why.
pub fn run(how: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let started = Instant::now();
    let archive = open::open(how, observer)?;
    let disposal = Disposal::plan(how)?;
    let _graceful = interrupt::finish_gracefully();
    open::verify(&archive, how, observer)?;
    let mut report = empty_report(&archive, how);
    if how.verify_only {
        report.seconds = started.elapsed().as_secs_f64();
        return Ok(report);
    }
    restore_into_platform(&archive, how, observer, &mut report)?;
    if !how.dry_run && report.complete() {
        disposal
            .iter()
            .for_each(|disposal| disposal.run(&archive, &mut report));
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Restores the users of an archive that was checked, and notes in the report what became of each.
fn restore_into_platform(
    archive: &Archive,
    how: &Options,
    observer: &dyn Observer,
    report: &mut Report,
) -> Result<(), Failure> {
    let config = load_platform(how, observer)?;
    let restoring = Restoring {
        archive_id: archive.id(),
        from_sqlite: archive.manifest.config.engine == "sqlite",
        from_influxdb: series_from_influxdb(archive),
        skip_platform: how.skip_platform,
        dry_run: how.dry_run,
        ask: &|collection, names| lines::have(archive, collection, names),
        observer,
    };
    let writer = platform::open_writer(&config, restoring)?;
    let writer = writer.as_ref();
    if !how.dry_run {
        for recovered in writer.recover()? {
            let of = match recovered.finished {
                true => &mut report.recovered,
                false => &mut report.undone,
            };
            of.push(recovered.user.username);
        }
    }
    let there = writer.users()?;
    let selection = Selection::of(archive, &how.remap_user, &there)?;
    let restored_before = writer.restored_users()?;
    let found = conflicts::find(
        writer,
        archive,
        &selection,
        &there,
        &restored_before,
        how.overwrite,
        &config,
    )?;
    let coming = Coming {
        writer,
        archive,
        selection: &selection,
        found: &found,
        there: &there,
    };
    coming.look(&config, how, report)?;
    report.secrets = same_secrets::try_secrets(archive, &selection, &config, how.skip_platform)?;
    for warning in report.secrets.warnings() {
        observer.warn(&warning);
    }
    if !how.skip_conflicts && !how.dry_run {
        conflicts::refuse(&found)?;
    }
    let users = users::Users {
        writer,
        from: user::RestoreSource {
            archive,
            options: how,
            known: &config.account_fields,
            owners: &selection.owners,
            tally: &Arc::default(),
        },
        selection: &selection,
        found: &found,
        stopped: !how.skip_conflicts && conflicts::any(&found),
    };
    let mut done = restore_users(&users, observer)?;
    if !how.dry_run {
        restore_shared(
            writer,
            archive,
            how,
            &config,
            &restored_before,
            &mut done,
            report,
        )?;
    }
    report.users = done.into_iter().map(|done| done.report).collect();
    Ok(())
}

/// Whether the series of an archive come from InfluxDB. Pryv's own archives do not say, and hold floats only.
fn series_from_influxdb(archive: &Archive) -> bool {
    let engines = archive.manifest.platform.as_ref();
    let engines = engines.and_then(|platform| platform.engines.as_ref());
    engines.is_some_and(|engines| engines.series == Engine::Influxdb.name())
}

/// Restores users, and shows how far it is; an error when it was interrupted.
fn restore_users(
    users: &users::Users<'_>,
    observer: &dyn Observer,
) -> Result<Vec<restored_user::RestoredUser>, Failure> {
    let selection = users.selection;
    let goal = Goal::Users {
        users: selection.users.len() as u64,
        records: Some(selection.records()).filter(|count| *count > 0),
    };
    let shown = observer.working(Step::Work, users.from.tally, goal);
    let done = users.restore()?;
    drop(shown);
    Failure::unless_interrupted().map_err(|failure| {
        let restored = done.iter().filter(|one| one.is_restored()).count();
        failure.with_message(format!(
            "interrupted: {restored} of {} users are restored, the others are as before; run the same restore again to go on",
            selection.users.len()
        ))
    })?;
    Ok(done)
}

/// The report before anything was restored.
fn empty_report(archive: &Archive, how: &Options) -> Report {
    Report {
        event: "report",
        archive_id: archive.id().to_owned(),
        dry_run: how.dry_run || how.verify_only,
        verified_only: how.verify_only,
        recovered: Vec::new(),
        undone: Vec::new(),
        signed: signed(archive).map(str::to_owned),
        warnings: warnings(archive),
        secrets: SameSecrets::default(),
        left_out: left_out(archive),
        users: Vec::new(),
        platform: 0,
        platform_left_out: BTreeMap::new(),
        platform_lost: BTreeMap::new(),
        platform_failed: None,
        archive_failed: None,
        capsule: capsule::is_in(archive),
        next: Vec::new(),
        archive: Some(how.opening.dir.to_string()),
        seconds: 0.0,
    }
}

/// Reads the configuration of the platform that is restored into.
fn load_platform(how: &Options, observer: &dyn Observer) -> Result<Config, Failure> {
    let config = how.installation.load(!how.skip_platform, observer)?;
    if !how.skip_platform && matches!(config.pii, Pii::Hashed(None)) {
        return Err(Failure::usage(
            "nothing was restored: platform.piiMode is hashed, so the names in the platform's own database need platform.piiHmacKey; set it as Pryv.io has it",
        )
        .advise(Advice::RestoreWithoutIndex));
    }
    if config.has_files() && !config.users_dir.exists() && !how.create_users_dir {
        return Err(Failure::usage(format!(
            "nothing was restored: there is no folder {} (storages.engines.sqlite.path): correct the configuration",
            config.users_dir.display()
        ))
        .advise(Advice::CreateUsersDir));
    }
    Ok(config)
}

/// Restores the entries that all users share, for the users in `done` that were committed.
fn restore_shared(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    how: &Options,
    config: &Config,
    restored_before: &HashSet<String>,
    done: &mut [restored_user::RestoredUser],
    report: &mut Report,
) -> Result<(), Failure> {
    let manner = shared::How {
        overwrite: how.overwrite,
        skip_platform: how.skip_platform,
        everybody: how.user.is_none(),
    };
    let mut outcome = shared::restore(writer, archive, done, config, manner, report);
    if done.iter().any(restored_user::RestoredUser::is_restored) {
        report.next = next::steps(
            &archive.manifest.core_version,
            outcome.cores,
            report.secrets,
        );
    }
    for one in done.iter_mut() {
        let lost = outcome.losses.remove(&one.report.user_id);
        one.report.losses.extend(lost.unwrap_or_default());
    }
    Failure::unless_interrupted().map_err(|failure| {
        failure.with_message("interrupted: the users are restored, but the entries that all users share are not yet; run the same restore again to go on")
    })?;
    // The next run looks again at users of whom it is not known whether they were committed, and at those that an earlier run
    // committed without their shared entries.
    let ended: HashSet<String> = done
        .iter()
        .filter(|one| one.is_restored())
        .map(|one| one.report.user_id.clone())
        .filter(|id| !how.skip_platform || !restored_before.contains(id))
        .collect();
    // The users are committed, whatever became of the rest: so the report names them.
    if let Err(error) = outcome.result.and_then(|()| writer.ended(&ended)) {
        report.platform_failed = Some(error.sentence());
    }
    Ok(())
}

/// Warnings about the archive itself, for the operator.
fn warnings(archive: &Archive) -> Vec<String> {
    let findings = archive.plan.findings.iter();
    findings
        .filter(|finding| finding.severity != Severity::Error)
        .filter(|finding| !finding.is_left_out() && !finding.names_signer())
        .map(|finding| match finding.path.as_str() {
            "" => finding.message.clone(),
            path => format!("{path}: {}", finding.message),
        })
        .collect()
}

/// Files of the archive that this version does not know.
fn left_out(archive: &Archive) -> Vec<String> {
    let findings = archive.plan.findings.iter();
    findings
        .filter(|finding| finding.is_left_out())
        .map(sentence)
        .collect()
}

impl Restored {
    fn of(user: &selection::SelectedUser, outcome: Outcome) -> Self {
        Self {
            user_id: user.target.user_id.clone(),
            username: user.target.username.clone(),
            outcome,
            reason: None,
            records: BTreeMap::new(),
            losses: Vec::new(),
            notes: Vec::new(),
            earlier: false,
            integrity: None,
        }
    }
}
