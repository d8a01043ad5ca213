//! `raw-restore`: a raw dump in, into an empty installation of the same version. All that may be wrong is looked at before anything is
//! written.

mod report;
mod servers;
mod staged_tree;
mod target;
mod tree;

use std::{sync::Arc, time::Instant};

use decryptor_wasm::{plan::Finding, raw::RawSection};

pub use self::report::Report;
use self::tree::Trees;
use super::{decrypt, raw::influxdb_backup};
use crate::{
    advice::Advice,
    archive::read::Archive,
    config::Config,
    failure::Failure,
    findings,
    installation::Installation,
    interrupt,
    observer::{Observer, Silent, Step},
    opening::ArchiveOptions,
    progress::Goal,
};

/// The dump, and the platform that it is put into.
#[derive(Debug, Clone)]
pub struct Options {
    /// The dump.
    pub opening: ArchiveOptions,
    /// The platform.
    pub installation: Installation,
    /// Connections of `pg_restore`, and files checked at once; none: one per core.
    pub jobs: Option<u16>,
    /// Look, and write nothing.
    pub dry_run: bool,
    /// Restore although a core seems to be running.
    pub force: bool,
    /// Host and port where InfluxDB takes backups; none: its usual port on the host of the configuration.
    pub influxdb_backup: Option<String>,
}

/// A dump that is put back.
struct Restore<'r> {
    options: &'r Options,
    observer: &'r dyn Observer,
    archive: &'r Archive,
    section: &'r RawSection,
    config: &'r Config,
    /// Where InfluxDB takes backups.
    influxdb: String,
}

/// Puts a raw dump back, and says what came of it. A [`Report`] with losses means exit code 5.
///
/// # Errors
/// When nothing was written, and why; or what was written when a store failed.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let started = Instant::now();
    let archive = options.opening.open(observer)?;
    let Some(section) = archive.raw()? else {
        return Err(Failure::usage(
            "nothing was restored: this backup holds records, and is no raw dump",
        )
        .advise(Advice::RestoreRecords));
    };
    require_maker(&archive, &options.opening)?;
    let config = options.installation.load(true, observer)?;
    let restore = Restore {
        options,
        observer,
        archive: &archive,
        section: &section,
        influxdb: influxdb_backup(&config, options.influxdb_backup.as_deref()),
        config: &config,
    };
    let _graceful = interrupt::finish_gracefully();
    let mut report = Report::of(&archive, &section, options.dry_run);
    target::look(&restore, &mut report)?;
    restore.check()?;
    let trees = Trees::check(&restore)?;
    if !options.dry_run {
        restore.look_again()?;
        restore.write(&trees, &mut report)?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Refuses a dump of which nobody knows who made it. Records cannot run anything; of a dump, the server runs the SQL, and files get any owner.
fn require_maker(archive: &Archive, opening: &ArchiveOptions) -> Result<(), Failure> {
    if !archive.plan.inventoried {
        return Err(Failure::damaged(
            "nothing was restored: the dump lists no files, so nothing says which are its own; it was not made by pryv-backup",
        ));
    }
    let expect = &opening.expect;
    if findings::pinned(archive) || expect.id.is_some() || expect.trust.accept_unsigned {
        return Ok(());
    }
    let signed = findings::signed(archive).unwrap_or("not signed");
    Err(Failure::usage(format!(
        "nothing was restored: it is not known who made this dump ({signed}), and what is in a dump can run anything on the database"
    ))
    .advise(Advice::KnownMaker))
}

impl Restore<'_> {
    /// Reads every file of the dump.
    fn check(&self) -> Result<(), Failure> {
        let outcome = decrypt::check(self.archive, self.options.jobs, self.observer)?;
        for what in &outcome.damaged {
            self.observer.damaged(what);
        }
        let mut found = self.archive.plan.findings.iter();
        let unknown = found.any(Finding::is_left_out);
        match outcome.damaged.is_empty() {
            true if unknown => Err(Failure::damaged(
                "nothing was restored: files of the dump are not known to this version; use the version that made it, or a later one",
            )),
            true => Ok(()),
            false => Err(Failure::damaged(
                "the dump is damaged, as named above: nothing was restored; use another copy",
            )),
        }
    }

    /// Reading all of the dump may have taken hours: looks at the platform again, right before the first write.
    fn look_again(&self) -> Result<(), Failure> {
        let config = self.options.installation.load(false, &Silent)?;
        let again = Restore {
            config: &config,
            influxdb: self.influxdb.clone(),
            ..*self
        };
        let mut said_before = Report::of(self.archive, self.section, false);
        target::look(&again, &mut said_before)
    }

    /// Writes the files aside, then into the servers, and moves the files into their places.
    fn write(&self, trees: &Trees, report: &mut Report) -> Result<(), Failure> {
        let tally = Arc::default();
        let goal = Goal::Bytes(self.archive.files().bytes());
        let shown = self.observer.working(Step::Work, &tally, goal);
        let staged = trees.stage(self, &tally, report)?;
        servers::restore(self, &tally)?;
        let place = staged.place(report);
        drop(shown);
        place.map_err(|failure| {
            let what = failure.message().to_owned();
            failure.with_message(format!(
                "{what}; the databases hold the dump, and the files are not all in their place: empty both, and restore again"
            ))
        })
    }
}
