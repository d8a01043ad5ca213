//! What a backup holds of a platform's configuration, for people.

use std::{collections::BTreeMap, fmt::Write};

use pryv_backup_engine::{
    operations::capsule::{CapsuleContents, RunningVersion, SavedCapsule},
    text::{count, printable},
};

/// How a capsule is saved.
pub const HOW: &str = "`pryv-backup capsule DIR --out FOLDER` saves it";

/// The lines of a report of a backup.
pub fn taken(capsule: &CapsuleContents) -> String {
    let mut text = format!(
        "capsule: {} of the configuration; {HOW}\n",
        count(capsule.files.len() as u64, "file", "files")
    );
    text.push_str(&facts(
        &capsule.versions,
        &capsule.migrations,
        &capsule.absent,
    ));
    text
}

/// A capsule that was saved.
pub fn saved(saved: &SavedCapsule) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", printable(&line));
    };
    if let Some(signed) = &saved.signed {
        line(signed.clone());
    }
    let record = &saved.record;
    for file in &record.files {
        line(format!("{}  {}", file.path, file.from));
    }
    for link in &record.links {
        line(format!("link: {} -> {}", link.from, link.to));
    }
    text.push_str(&facts(&record.versions, &record.migrations, &record.absent));
    for loss in &record.losses {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", printable(&format!("LOST: {loss}")));
    }
    let run = saved.run.map(|run| format!(" of run {run}"));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}",
        printable(&format!(
            "saved the capsule{} in {}: {}; capsule.json says where each belongs, and whose it was",
            run.unwrap_or_default(),
            saved.output,
            count(record.files.len() as u64, "file", "files")
        ))
    );
    text
}

/// What ran, and what is not there.
fn facts(
    versions: &BTreeMap<String, RunningVersion>,
    migrations: &BTreeMap<String, RunningVersion>,
    absent: &[String],
) -> String {
    let mut text = String::new();
    let versions = versions
        .iter()
        .map(|(name, version)| (name.clone(), version));
    let migrations = migrations
        .iter()
        .map(|(name, version)| (format!("last migration of {name}"), version));
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (name, found) in versions.chain(migrations) {
        match (&found.version, &found.why) {
            (Some(version), _) => known.push(format!("{name} {version}")),
            (None, why) => unknown.push((name, why.as_deref().unwrap_or_default())),
        }
    }
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", printable(&line));
    };
    if !known.is_empty() {
        line(format!("runs: {}", known.join(", ")));
    }
    for (name, why) in unknown {
        line(format!("not known: {name}: {why}"));
    }
    for place in absent {
        line(format!("not there: {place}"));
    }
    text
}
