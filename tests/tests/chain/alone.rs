//! A full run without `--incremental`: what it held is remembered, so that an increment can follow; and it goes with the archive.

use crate::chain::Chain;
use pryv_backup_tests::{
    command::{report, run, text},
    disk::SmallDisk,
    folder,
    stage::Stage,
};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

/// The flags of [`Chain::command`], but for `--incremental`.
fn alone(chain: &Chain<'_>) -> Command {
    let increment = chain.command();
    let mut command = Command::new(increment.get_program());
    command.args(increment.get_args().filter(|arg| *arg != "--incremental"));
    for (name, value) in increment.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The ids of the chains of which there is a state.
fn states(state_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(state_dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.len() == 64).collect()
}

#[test]
fn an_increment_follows_a_full_run() {
    let Some(stage) = Stage::new() else { return };
    let platforms = [
        ("sqlite", Some(stage.sqlite_fixture())),
        ("postgres", stage.postgres_fixture()),
    ];
    for (name, platform) in platforms {
        let Some(platform) = platform else { continue };
        let chain = Chain::new(&stage, &platform, name);
        let done = run(&mut alone(&chain));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let first = report(&done);
        assert!(!chain.dir.join("chain.json").exists(), "{first}");
        assert_eq!(
            states(&chain.state_dir),
            [first["archiveId"].as_str().unwrap()]
        );
        let before = folder::tree(&chain.dir);
        let said = chain.add_increment();
        assert_eq!(said["chain"]["parent"], first["archiveId"], "{said}");
        let now = folder::tree(&chain.dir);
        let same = |path: &String| path == "SHA256SUMS" || now.get(path) == before.get(path);
        assert!(before.keys().all(same));
    }
}

#[test]
fn a_state_that_cannot_be_kept_costs_an_increment_and_no_backup() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let mut chain = Chain::new(&stage, &platform, "chain");
    // Room for the key of this host, and for nothing that becomes large.
    let Some(disk) = SmallDisk::mount(stage.at("disk"), "size=16k") else {
        return;
    };
    chain.state_dir = disk.0.join("state");
    let done = run(&mut alone(&chain));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let said = text(&done);
    assert!(
        said.contains("warning: ") && said.contains("will be a full one"),
        "{said}"
    );
    assert!(states(&chain.state_dir).iter().all(|id| {
        let state = chain.state_dir.join(id);
        fs::read_dir(state).unwrap().count() == 0
    }));
    // Nothing can follow it where nothing can be remembered.
    let next = run(&mut chain.command());
    assert_eq!(next.status.code(), Some(1), "{}", text(&next));
    chain.state_dir = stage.at("room");
    fs::create_dir(&chain.state_dir).unwrap();
    for name in ["host.key", "host.pub"] {
        fs::copy(disk.0.join("state").join(name), chain.state_dir.join(name)).unwrap();
    }
    assert_eq!(chain.add()["chain"]["kind"], "full");
}

#[test]
fn a_state_goes_with_its_archive() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let restored = Chain::new(&stage, &platform, "restored");
    run(&mut alone(&restored));
    let state_dir = restored.state_dir.clone();
    assert_eq!(states(&state_dir).len(), 1);
    let target = stage.sqlite();
    let at = state_dir.display().to_string();
    let done = target.restore(&restored.dir, &["--delete-on-success", "--state-dir", &at]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(!restored.dir.exists() && states(&state_dir).is_empty());

    // One that was removed by hand, or moved, is forgotten after a month without a run; one that is there is not.
    let mut ids = Vec::new();
    for name in ["gone", "there", "moved"] {
        let mut chain = Chain::new(&stage, &platform, name);
        chain.state_dir.clone_from(&state_dir);
        let said = report(&run(&mut alone(&chain)));
        ids.push(said["archiveId"].as_str().unwrap().to_owned());
    }
    fs::remove_dir_all(stage.at("gone")).unwrap();
    fs::rename(stage.at("moved"), stage.at("elsewhere")).unwrap();
    let month = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
    for id in &ids[..2] {
        let state = fs::File::options()
            .write(true)
            .open(state_dir.join(id).join("state"));
        state.unwrap().set_modified(month).unwrap();
    }
    let mut elsewhere = Chain::new(&stage, &platform, "elsewhere");
    elsewhere.state_dir.clone_from(&state_dir);
    elsewhere.add_increment();
    let mut left = states(&state_dir);
    left.sort();
    let mut due = ids[1..].to_vec();
    due.sort();
    assert_eq!(left, due);
}
