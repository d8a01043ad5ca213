//! A run that is killed at each of the steps in which it moves what it made into place, those around its signature among them: what is
//! there then is whole, or no backup, and the next run is as if there had been none.

use crate::chain::Chain;
use pryv_backup_tests::{
    command::{killed_at, run, text, tool},
    folder, need,
    stage::Stage,
};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Whether there is a signature in a folder, and whether there is a manifest.
type There = (bool, bool);

const RENAMES: &str = "rename,renameat,renameat2";

fn there(folder: &Path) -> There {
    let has = |name: &str| folder.join(name).exists();
    (has("manifest.json.minisig"), has("manifest.json"))
}

fn verify(stage: &Stage, dir: &Path) {
    let done = run(Command::new(tool())
        .arg("verify")
        .arg(dir)
        .arg("--private-key")
        .arg(stage.key()));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

#[test]
fn a_killed_run_leaves_a_whole_backup_or_none() {
    let Some(stage) = Stage::new() else { return };
    if !need::strace() {
        return;
    }
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "first");
    let mut seen: BTreeSet<There> = BTreeSet::new();
    for nth in 1.. {
        if !killed_at(&chain.command(), RENAMES, nth) {
            break;
        }
        let left = there(&chain.dir);
        seen.insert(left);
        // Without a manifest nobody takes it for a backup; with it, all else is there.
        if left.1 {
            verify(&stage, &chain.dir);
        }
        chain.add();
        verify(&stage, &chain.dir);
        for dir in [&chain.dir, &chain.state_dir] {
            fs::remove_dir_all(dir).unwrap();
        }
    }
    assert!(
        seen.contains(&(false, false)) && seen.contains(&(true, false)),
        "{seen:?}"
    );

    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    let places = [
        (&chain.dir, "chain before"),
        (&chain.state_dir, "state before"),
    ];
    let places = places.map(|(dir, name)| (dir, stage.at(name)));
    for (dir, copy) in &places {
        folder::copy(dir, copy);
    }
    let second = chain.dir.join("increments/0002");
    let mut seen: BTreeSet<There> = BTreeSet::new();
    for nth in 1.. {
        if !killed_at(&chain.command(), RENAMES, nth) {
            break;
        }
        seen.insert(there(&second));
        verify(&stage, &chain.dir);
        chain.add_increment();
        verify(&stage, &chain.dir);
        for (dir, copy) in &places {
            fs::remove_dir_all(dir).unwrap();
            folder::copy(copy, dir);
        }
    }
    assert!(
        seen.contains(&(false, false)) && seen.contains(&(true, true)),
        "{seen:?}"
    );
}
