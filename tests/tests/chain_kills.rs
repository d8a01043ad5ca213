//! Commands that are killed while they are at work on chains.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use pryv_backup_tests::{
    command::{STEPS, killed_at, run, text, tool},
    disk::SmallDisk,
    folder::{copy, tree},
    kit, need, sampled, sign,
};
use tempfile::TempDir;

/// In front of the name of what is being removed.
const DOOMED: &str = ".pryv-backup-pruned-";
static ALONE: Mutex<()> = Mutex::new(());

/// A chain of three runs to Alice, and the keys of the test kit.
struct Stage {
    dir: TempDir,
    chain: BTreeMap<String, Vec<u8>>,
}

impl Stage {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        kit::make(env!("CARGO_BIN_EXE_testkit"), dir.path());
        let chain = tree(&dir.path().join("chain/archive"));
        Stage { dir, chain }
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("chain/archive")
    }

    fn key(&self, name: &str) -> String {
        let file = self.dir.path().join("keys").join(name);
        file.to_str().unwrap().to_owned()
    }

    fn work(&self) -> TempDir {
        TempDir::new_in(self.dir.path()).unwrap()
    }

    /// Verified without a key and with those of these people, and decrypted.
    fn is_good(&self, chain: &Path, people: &[&str], due: &BTreeMap<String, Vec<u8>>) {
        succeeds(Command::new(tool()).arg("verify").arg(chain));
        for name in people {
            let key = self.key(&format!("{name}.pem"));
            let key = ["--private-key", &key];
            succeeds(Command::new(tool()).arg("verify").arg(chain).args(key));
        }
        let state = self.state(chain, people[0]);
        assert!(state == *due, "{}", chain.display());
    }

    /// The content of a chain or an archive, without its manifests.
    fn state(&self, chain: &Path, who: &str) -> BTreeMap<String, Vec<u8>> {
        let out = self.work();
        let mut command = Command::new(tool());
        command
            .arg("decrypt")
            .arg(chain)
            .args(["--gunzip", "--force"]);
        command.args(["--private-key", &self.key(&format!("{who}.pem"))]);
        succeeds(command.arg("--out").arg(out.path()));
        let mut files = tree(out.path());
        // A collection without records need not have a file.
        files.retain(|path, bytes| !path.ends_with("manifest.json") && !bytes.is_empty());
        files
    }
}

fn succeeds(command: &mut Command) -> Output {
    let done = run(command);
    assert!(done.status.success(), "{command:?}: {}", text(&done));
    done
}

/// Kills a command of each kind at its steps, on all cores; `every` how many of them.
fn killed(
    kinds: std::ops::Range<u32>,
    every: usize,
    prepare: impl Fn(u32) -> (TempDir, Command) + Sync,
    check: impl Fn(u32, &Path) + Sync,
) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for kind in kinds {
        let steps = Mutex::new((1..).step_by(every));
        let (ended, killed) = (AtomicBool::new(false), AtomicU32::new(0));
        let work = || {
            while !ended.load(Ordering::Relaxed) {
                let nth = steps.lock().unwrap().next().unwrap();
                let (dir, command) = prepare(kind);
                if killed_at(&command, STEPS, nth) {
                    killed.fetch_add(1, Ordering::Relaxed);
                } else {
                    ended.store(true, Ordering::Relaxed);
                }
                check(kind, dir.path());
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        let killed = killed.into_inner();
        println!("kind {kind}: {killed} kills");
        assert!(killed > 2, "{killed} kills");
    }
}

fn rekey(stage: &Stage, chain: &Path, kind: u32) -> Command {
    let mut command = Command::new(tool());
    command.arg("rekey").arg(chain);
    command.args(["--private-key", &stage.key("alice.pem")]);
    match kind {
        0 => command.args(["--add-recipient", &stage.key("mallory.pub.pem")]),
        _ => command.args(["--remove-recipient", &fingerprint(stage, "bob.pub.pem")]),
    };
    command
}

fn fingerprint(stage: &Stage, name: &str) -> String {
    let key = fs::read(stage.key(name)).unwrap();
    let key = decryptor_wasm::PublicKey::parse(&key).unwrap();
    key.fingerprint().unwrap()
}

#[test]
fn the_same_rekey_again_completes_one_that_was_killed() {
    if !need::strace() {
        return;
    }
    let stage = Stage::new();
    let due = stage.state(&stage.source(), "alice");
    // To Alice and Bob.
    let both = stage.work();
    copy(&stage.source(), both.path());
    let mut add = Command::new(tool());
    add.arg("rekey").arg(both.path());
    add.args(["--private-key", &stage.key("alice.pem"), "--add-recipient"]);
    succeeds(add.arg(stage.key("bob.pub.pem")));
    killed(
        0..2,
        2,
        |kind| {
            let dir = stage.work();
            copy(both.path(), dir.path());
            let command = rekey(&stage, dir.path(), kind);
            (dir, command)
        },
        |kind, chain| {
            let alice = ["--private-key", &stage.key("alice.pem")];
            succeeds(Command::new(tool()).arg("verify").arg(chain).args(alice));
            let again = run(&mut rekey(&stage, chain, kind));
            // A run that was complete no longer has such a recipient.
            let gone = kind == 1 && text(&again).contains("is no recipient of this archive");
            assert!(again.status.success() || gone, "{}", text(&again));
            let signer = ["--signer", sign::host().signer().as_str()];
            let warned = succeeds(Command::new(tool()).arg("verify").arg(chain).args(signer));
            assert!(!text(&warned).contains("warning"), "{}", text(&warned));
            let left = tree(chain).into_keys().find(|path| path.contains(".rekey"));
            assert_eq!(left, None);
            match kind {
                0 => stage.is_good(chain, &["alice", "mallory"], &due),
                _ => {
                    stage.is_good(chain, &["alice"], &due);
                    let bob = ["--private-key", &stage.key("bob.pem")];
                    let closed = run(Command::new(tool()).arg("verify").arg(chain).args(bob));
                    assert_eq!(closed.status.code(), Some(3), "{}", text(&closed));
                }
            }
            let index = String::from_utf8(tree(chain)["chain.json"].clone()).unwrap();
            let has = |name| index.matches(&fingerprint(&stage, name)).count();
            assert_eq!(has("mallory.pub.pem"), if kind == 0 { 3 } else { 0 });
            assert_eq!(has("bob.pub.pem"), if kind == 0 { 3 } else { 0 });
        },
    );
}

/// A moment between two files is met by chance only: these are all that there are.
#[test]
fn whatever_a_rekey_had_replaced_the_same_one_completes_it() {
    let stage = Stage::new();
    let due = stage.state(&stage.source(), "alice");
    let done = stage.work();
    copy(&stage.source(), done.path());
    succeeds(&mut rekey(&stage, done.path(), 0));
    let after = tree(done.path());
    let order = [
        "encryption.json",
        "increments/0002/encryption.json",
        "increments/0003/encryption.json",
        "chain.json",
    ];
    let sums = String::from_utf8(stage.chain["SHA256SUMS"].clone()).unwrap();
    let kept = |line: &&str| !order.contains(&line[66..].trim_end());
    let kept: String = sums.split_inclusive('\n').filter(kept).collect();
    for replaced in 0..=order.len() {
        let chain = stage.work();
        copy(&stage.source(), chain.path());
        fs::write(chain.path().join("SHA256SUMS"), &kept).unwrap();
        for path in &order[..replaced] {
            fs::write(chain.path().join(path), &after[*path]).unwrap();
        }
        // A file that was being written, also on a full disk.
        for left in [
            ".encryption.json.rekey",
            ".SHA256SUMS.rekey",
            "increments/0002/.encryption.json.rekey",
        ] {
            fs::write(chain.path().join(left), "x").unwrap();
        }
        succeeds(Command::new(tool()).arg("verify").arg(chain.path()));
        succeeds(&mut rekey(&stage, chain.path(), 0));
        let warned = succeeds(Command::new(tool()).arg("verify").arg(chain.path()));
        assert!(!text(&warned).contains("warning"), "{}", text(&warned));
        stage.is_good(chain.path(), &["alice", "mallory"], &due);
        let mut paths: Vec<String> = tree(chain.path()).into_keys().collect();
        paths.sort();
        assert_eq!(paths, stage.chain.keys().cloned().collect::<Vec<_>>());
    }
}

#[test]
fn on_a_full_disk_a_rekey_leaves_nothing_in_the_way() {
    let stage = Stage::new();
    let due = stage.state(&stage.source(), "alice");
    let small = stage.dir.path().join("small");
    let Some(disk) = SmallDisk::mount(small, "size=400k") else {
        return;
    };
    let chain = disk.0.join("chain");
    copy(&stage.source(), &chain);
    // Whatever room is left, a page more each time, until it is enough.
    let filler = disk.0.join("filler");
    let mut refused = 0;
    for pages in 0..32 {
        let room = rustix::fs::statvfs(&disk.0).unwrap();
        let free = (room.f_bavail * room.f_frsize) as usize;
        fs::write(&filler, vec![1; free.saturating_sub(pages * 4096)]).unwrap();
        let done = run(&mut rekey(&stage, &chain, 0));
        fs::remove_file(&filler).unwrap();
        let left = tree(&chain)
            .into_keys()
            .find(|path| path.contains(".rekey"));
        assert_eq!(left, None);
        succeeds(Command::new(tool()).arg("verify").arg(&chain));
        if done.status.success() {
            break;
        }
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        refused += 1;
    }
    assert!(refused > 0);
    succeeds(&mut rekey(&stage, &chain, 0));
    stage.is_good(&chain, &["alice", "mallory"], &due);
}

fn prune(all: &Path, signer: &str) -> Command {
    let mut command = Command::new(tool());
    command.arg("prune").arg(all).args(["--keep-last", "1"]);
    command.args(["--signer", signer]);
    command
}

#[test]
fn a_killed_prune_leaves_whole_backups_or_none() {
    if !need::strace() {
        return;
    }
    // Backups of one platform, `c1` the oldest.
    let made = sampled::Stage::new();
    for name in ["all/c1", "all/c2", "all/c3"] {
        let place = ["--create-parents", "--state-dir", "state"];
        made.backup_with(
            name,
            &[&place[..], &["--recipient-pubkey", "key.pub.pem"]].concat(),
        );
    }
    let all = made.at("all");
    let signer = fs::read_to_string(made.at("state/host.pub")).unwrap();
    let signer = signer.lines().nth(1).unwrap();
    let whole = |name: &str| tree(&all.join(name.trim_start_matches(DOOMED)));
    killed(
        0..1,
        9,
        |_| {
            let dir = TempDir::new().unwrap();
            copy(&all, dir.path());
            let command = prune(dir.path(), signer);
            (dir, command)
        },
        |_, left| {
            for entry in fs::read_dir(left).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let whole = tree(&entry.path()) == whole(&name);
                let doomed = name.starts_with(DOOMED);
                assert!(
                    whole || doomed,
                    "{name} is no longer whole and has its old name"
                );
                // Half a backup does not open.
                if !whole {
                    assert!(!entry.path().join("manifest.json").exists(), "{name}");
                }
            }
            succeeds(&mut prune(left, signer));
            let names: Vec<_> = fs::read_dir(left)
                .unwrap()
                .map(|e| e.unwrap().path())
                .collect();
            assert_eq!(names, [left.join("c3")]);
            assert!(tree(&names[0]) == whole("c3"));
        },
    );
}

#[test]
fn a_killed_consolidate_leaves_the_chain_and_no_half_archive() {
    if !need::strace() {
        return;
    }
    let stage = Stage::new();
    let due = stage.state(&stage.source(), "alice");
    let source = stage.source();
    let consolidate = |into: &Path| {
        let mut command = Command::new(tool());
        command.arg("consolidate").arg(&source);
        command.args(["--private-key", &stage.key("alice.pem")]);
        command.arg("--into").arg(into.join("new"));
        command
    };
    killed(
        0..1,
        1,
        |_| {
            let dir = stage.work();
            let command = consolidate(dir.path());
            (dir, command)
        },
        |_, dir| {
            assert!(tree(&source) == stage.chain);
            if !dir.join("new/manifest.json").exists() {
                succeeds(&mut consolidate(dir));
            }
            // Nothing but its own files: the folder that they were made in is empty, if it is there.
            let left = tree(&dir.join("new")).into_keys();
            let left: Vec<String> = left.filter(|path| path.starts_with('.')).collect();
            assert_eq!(left, Vec::<String>::new());
            stage.is_good(&dir.join("new"), &["alice"], &due);
        },
    );
    stage.is_good(&source, &["alice"], &due);
}
