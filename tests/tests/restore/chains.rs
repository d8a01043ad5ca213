//! Chains: the state at every run comes back as the platform was.

use pryv_backup_tests::{
    chain::{Draft, Lock, State, make},
    command::text,
    disk::SmallDisk,
    folder::tree,
    normal::records,
    plain::Plain,
    rich,
    stage::{Platform, Stage},
};
use std::{collections::BTreeSet, fs, path::Path};

/// Writes the chain that these archives of a platform make.
fn chain(
    stage: &Stage,
    archives: &[impl AsRef<Path>],
    lock: &Lock,
    full_at: &[usize],
) -> std::path::PathBuf {
    let drafts: Vec<Draft> = archives
        .iter()
        .enumerate()
        .map(|(at, archive)| {
            let state = State::of(&Plain::read(&stage.open(archive.as_ref())));
            Draft::new(state, lock.clone(), at == 0 || full_at.contains(&at))
        })
        .collect();
    let root = stage.at("chain");
    for (path, bytes) in make(&drafts).files {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
    root
}

/// The differences between the archives of two moments, their times aside.
fn assert_same(stage: &Stage, due: &Path, found: &Path, name: &str) {
    let [due, found] = [due, found].map(|archive| records(&Plain::read(&stage.open(archive))));
    let none = BTreeSet::new();
    for place in due.keys().chain(found.keys()) {
        let [due, found] = [&due, &found].map(|all| all.get(place).unwrap_or(&none));
        let missing: Vec<_> = due.difference(found).collect();
        let added: Vec<_> = found.difference(due).collect();
        assert!(
            missing.is_empty() && added.is_empty(),
            "{name}: {place}: {missing:#?} {added:#?}"
        );
    }
}

fn every_run<'s>(
    stage: &'s Stage,
    source: &Platform<'_>,
    empty: &dyn Fn() -> Option<Platform<'s>>,
    full_at: &[usize],
    changes: &[&dyn Fn()],
) {
    let mut archives = vec![source.backup("full-1")];
    for (at, change) in changes.iter().enumerate() {
        change();
        archives.push(source.backup(&format!("full-{}", at + 2)));
    }
    let root = chain(stage, &archives, &Lock::None, full_at);
    for (at, due) in archives.iter().enumerate().rev() {
        let target = empty().unwrap();
        let run = (at + 1).to_string();
        let done = target.restore(&root, &["--at", &run, "--verify-integrity"]);
        assert_eq!(done.status.code(), Some(0), "run {run}: {}", text(&done));
        let again = target.backup(&format!("again-{run}"));
        assert_same(stage, due, &again, &format!("run {run}"));
    }
}

#[test]
fn a_changed_platform_of_sqlite_comes_back_at_every_run() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite();
    let users = rich::fill(&stage, &source, 3, 21);
    let folder = rich::folder(&source.users, &users[0].id);
    let open = |name: &str| rusqlite::Connection::open(folder.join(name)).unwrap();
    let base = open("baseStorage-1.0.0.sqlite");
    let run = |sql: &str| base.execute_batch(sql).unwrap();
    every_run(
        &stage,
        &source,
        &|| Some(stage.sqlite()),
        &[],
        &[
            &|| run("DELETE FROM profile; DELETE FROM webhooks WHERE rowid % 2 = 0"),
            &|| {
                run("UPDATE profile SET data = json_set(data, '$.new', 1)");
                run(
                    "UPDATE streams SET data = json_set(data, '$.clientData', json('{\"a\":1}')) WHERE deleted IS NULL",
                );
            },
            &|| (),
        ],
    );
}

#[test]
fn a_changed_platform_of_postgres_comes_back_at_every_run() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres() else {
        return;
    };
    let users = rich::fill(&stage, &source, 3, 22);
    let [one, two] = [&users[0].id, &users[1].id];
    let run = |sql: &str| drop(source.sql(sql));
    every_run(
        &stage,
        &source,
        &|| stage.postgres(),
        &[3],
        &[
            &|| {
                run(&format!(
                    "DELETE FROM webhooks WHERE user_id = '{one}'; DELETE FROM events WHERE head_id IS NOT NULL AND user_id = '{two}'; \
                     UPDATE profile SET data = '{{\"x\":1}}' WHERE user_id = '{one}'"
                ));
            },
            &|| {
                run(
                    "DELETE FROM series_data WHERE delta_time % 2 = 0; UPDATE series_data SET fields = '{\"value\":7}' WHERE delta_time % 3 = 0",
                );
                run("DELETE FROM audit_events WHERE time < (SELECT avg(time) FROM audit_events)");
            },
            &|| {
                run(&format!(
                    "UPDATE events SET modified = modified + 1, integrity = NULL WHERE user_id = '{one}' AND head_id IS NULL; \
                     DELETE FROM passwords WHERE user_id = '{two}'"
                ));
            },
            &|| run(&format!("DELETE FROM events WHERE user_id = '{two}'")),
        ],
    );
}

/// The whole folder is the backup: it goes when its newest state was restored, and not for another, nor while a run may add to it.
#[test]
fn a_chain_that_was_restored_is_moved_or_removed_as_a_whole() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite();
    rich::fill(&stage, &source, 1, 23);
    let archives = [source.backup("full-1"), source.backup("full-2")];
    let root = chain(&stage, &archives, &Lock::None, &[]);
    let before = tree(&root);
    let held = fs::File::open(&root).unwrap();
    held.lock().unwrap();
    let target = stage.sqlite();
    for (flags, code, what) in [
        (&["--at", "1", "--delete-on-success"][..], 2, "newest state"),
        (&["--delete-on-success"], 2, "a backup"),
    ] {
        let done = target.restore(&root, flags);
        assert_eq!(done.status.code(), Some(code), "{}", text(&done));
        assert!(text(&done).contains(what), "{}", text(&done));
        assert!(tree(&root) == before);
    }
    drop(held);
    let Some(disk) = SmallDisk::mount(stage.at("other"), "size=200m") else {
        return;
    };
    let moved = disk.0.join("moved");
    let done = target.restore(&root, &["--move-on-success", moved.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(!root.exists());
    assert!(tree(&moved) == before);
    let done = target.restore(&moved, &["--overwrite", "--delete-on-success"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(!moved.exists());
}
