//! From each engine of attachments into each other: a backup of what was restored holds the same records and the same bytes.

use super::{
    Objects, PREFIX, Records, archive, attachments_of, objects, read, restored, stage, with_bucket,
};
use pryv_backup_tests::{
    command::run,
    object_store::Bucket,
    stage::{Platform, Stage},
};
use std::path::{Path, PathBuf};

/// Restores an archive into an empty platform, whose backup is returned.
fn carry(
    stage: &Stage,
    archive_of: &Path,
    target: &Platform<'_>,
    name: &str,
    due: &Records,
) -> PathBuf {
    restored(&target.restore(archive_of, &["--verify-integrity"]));
    assert!(target.is_left_clean(), "{name}");
    let again = archive(target, name);
    let found = read(stage, &again);
    for (place, records) in due {
        let differ = |found: &_| {
            records
                .symmetric_difference(found)
                .take(4)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found.get(place),
            Some(records),
            "{name}: {place}: {:?}",
            found.get(place).map(differ)
        );
    }
    again
}

/// What a bucket holds is what the folders of users held.
fn is_in(bucket: &Bucket, files: &Objects) {
    let due = files
        .iter()
        .map(|(name, bytes)| (format!("{PREFIX}{name}"), bytes.clone()));
    assert!(objects(bucket) == due.collect());
}

#[test]
fn through_every_engine() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = stage.sqlite_fixture();
    let made = archive(&source, "files");
    let due = read(&stage, &made);
    let (first, second, third) = (store.plain(), store.plain(), store.versioned());
    let port = store.port();

    let target = with_bucket(stage.sqlite(), &first, port);
    let made = carry(&stage, &made, &target, "bucket", &due);
    // Files that no event lists are in no backup.
    let listed: Objects = objects(&first)
        .into_iter()
        .map(|(key, bytes)| (key[PREFIX.len()..].to_owned(), bytes))
        .collect();
    let files = attachments_of(&source);
    assert!(
        listed.len() > 10
            && listed
                .iter()
                .all(|(name, bytes)| files.get(name) == Some(bytes))
    );
    assert!(attachments_of(&target).is_empty());

    let target = with_bucket(stage.sqlite(), &second, port);
    let made = carry(&stage, &made, &target, "another bucket", &due);
    is_in(&second, &listed);

    if let Some(postgres) = stage.postgres() {
        let inside = postgres.with("storages__file__engine", "postgresql");
        let made = carry(&stage, &made, &inside, "postgres", &due);
        let target = with_bucket(stage.postgres().unwrap(), &third, port);
        let made = carry(&stage, &made, &target, "postgres with a bucket", &due);
        is_in(&third, &listed);
        assert_eq!(target.count("SELECT count(*) FROM attachment_files"), 0);
        let beside = stage.postgres().unwrap();
        carry(&stage, &made, &beside, "postgres with files", &due);
        assert!(attachments_of(&beside) == listed);
    }
    let target = stage.sqlite();
    carry(&stage, &made, &target, "files again", &due);
    assert!(attachments_of(&target) == listed);
}

/// Base, audit trail, series and the platform's own entries in PostgreSQL, attachments in a bucket: nobody needs a folder.
#[test]
fn without_a_folder_of_users() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let made = archive(&stage.sqlite_fixture(), "files");
    let due = read(&stage, &made);
    let bucket = store.plain();
    let Some(postgres) = stage.postgres() else {
        return;
    };
    let mut target = with_bucket(postgres, &bucket, store.port());
    target.users = stage.at("no/such/folder");
    let restore = |flags: &[&str]| {
        run(target
            .command()
            .arg("--restore")
            .arg(&made)
            .args(["--json", "--private-key"])
            .arg(stage.key())
            .args(flags))
    };
    for flags in [
        &["--dry-run"][..],
        &["--verify-integrity"],
        &["--overwrite"],
    ] {
        restored(&restore(flags));
        assert!(!stage.at("no").exists(), "{flags:?}");
    }
    let again = archive(&target, "again");
    assert_eq!(read(&stage, &again), due);
    assert!(!stage.at("no").exists());
    let chain = |code| {
        let made = run(target
            .command()
            .env("PRYV_BACKUP_STATE_DIR", stage.at("state"))
            .args(["--incremental", "--json", "--output"])
            .arg(stage.at("chain")));
        assert_eq!(
            made.status.code(),
            Some(code),
            "{}",
            pryv_backup_tests::command::text(&made)
        );
    };
    chain(0);
    chain(0);
    // With an engine in files, the folder is needed.
    target = target.with("storages__audit__engine", "sqlite");
    let refused = run(target
        .command()
        .arg("--restore")
        .arg(&made)
        .arg("--private-key")
        .arg(stage.key()));
    assert_eq!(refused.status.code(), Some(2));
}
