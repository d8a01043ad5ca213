//! The backups of several cores, for people.

use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration};
use pryv_backup_engine::{
    operations::fleet::{Fleet, FleetCore, FleetRun},
    text::count,
};

use super::advice::{put_in_words, say};
use crate::stdio::{answer, note};

/// Shows them.
pub fn show(fleet: &Fleet) {
    for core in &fleet.cores {
        for line in text(core) {
            answer!("{line}");
        }
    }
    if let Some(platform) = &fleet.platform {
        let names = count(platform.names, "name", "names");
        let line = format!(
            "the platform sends {names} to its cores, as the backup of {} of {} says",
            platform.prefix, platform.made
        );
        answer!("{line}");
    }
    for said in &fleet.notes {
        note!("note: {}", say(said));
    }
    for problem in &fleet.problems {
        let line = format!("{}: {}", problem.kind.name(), say(&problem.message));
        note!("{line}");
    }
    let more = fleet.more_users_on_two_cores as u64;
    if more > 0 {
        let users = count(more, "further user is", "further users are");
        note!("user-on-two-cores: {users} on two cores too");
    }
    let more = fleet.more_users_in_no_backup;
    if more > 0 {
        let users = count(more, "further user is", "further users are");
        note!("user-in-no-backup: {users} in no backup that is new enough");
    }
    let good = fleet.cores.iter().filter(|core| core.newest.is_some());
    let good = good.count() as u64;
    let cores = count(fleet.cores.len() as u64, "core", "cores");
    let problems = count(fleet.problems.len() as u64, "problem", "problems");
    answer!("{cores}, {good} with a good run, {problems}");
}

/// Puts the advice in words, for an outcome that becomes JSON.
pub fn finish(fleet: &mut Fleet) {
    fleet.notes.iter_mut().for_each(put_in_words);
    let problems = fleet.problems.iter_mut();
    problems.for_each(|problem| put_in_words(&mut problem.message));
}

fn text(core: &FleetCore) -> Vec<String> {
    let named = match &core.core {
        Some(name) if *name == core.prefix => String::new(),
        Some(name) => format!("  core {name}"),
        None if core.newest.is_some() => "  (its runs name no core)".to_owned(),
        None => String::new(),
    };
    let mut lines = vec![format!("{}{named}", core.prefix)];
    lines.push(match &core.newest {
        Some(run) => format!("  {}", newest(run)),
        None => format!(
            "  no good run, {}",
            count(core.archives as u64, "archive", "archives")
        ),
    });
    if let Some(run) = &core.newest {
        let number = run.run.map(|run| format!("run {run} of "));
        lines.push(format!(
            "  {}{}, archive {}",
            number.unwrap_or_default(),
            run.place,
            run.archive_id
        ));
        let known = match run.pinned {
            true => "as expected",
            false => "who is not pinned",
        };
        lines.push(format!(
            "  source {}, signed by {}, {known}",
            run.source, run.signer
        ));
    }
    lines
}

fn newest(run: &FleetRun) -> String {
    let age = Duration::from_secs(run.age_seconds.unsigned_abs());
    let users = match run.users {
        Some(users) => format!(", {}", count(users as u64, "user", "users")),
        None => String::new(),
    };
    let losses = match run.losses {
        0 => String::new(),
        losses => format!(", {} when it was made", count(losses, "loss", "losses")),
    };
    format!(
        "newest good run {}, {} ago, {}{users}{losses}",
        run.made,
        HumanDuration(age),
        HumanBytes(run.bytes)
    )
}
