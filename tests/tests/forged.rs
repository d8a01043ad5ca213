//! The forged archives of the test kit, given to the commands that act on what they read: what no reader takes changes no platform, costs
//! no backup and makes no new one.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use decryptor_wasm::PublicKey;
use pryv_backup_tests::{
    chain::{Draft, Lock, State, make},
    command::{report, run, text, tool},
    folder::tree,
    kit,
    plain::Plain,
    rich, sign,
    stage::{Platform, Stage},
};
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Case {
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    archive: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    exit: i32,
    says: Vec<String>,
    forger: Option<String>,
}

struct Kit {
    dir: TempDir,
    cases: Vec<Case>,
}

impl Kit {
    /// The cases that somebody forged, and those good ones of which they were made.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        kit::make(env!("CARGO_BIN_EXE_testkit"), dir.path());
        let keys = dir.path().join("keys");
        let mut cases = Vec::new();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let folder = entry.unwrap().path();
            let Ok(json) = fs::read(folder.join("case.json")) else {
                continue;
            };
            let mut case: Case = serde_json::from_slice(&json).unwrap();
            for arg in &mut case.args {
                *arg = arg.replace("{keys}", keys.to_str().unwrap());
            }
            case.name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            case.archive = folder.join("archive");
            cases.push(case);
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Kit { dir, cases }
    }

    /// Those that no reader takes.
    fn refused(&self) -> Vec<&Case> {
        let forged = self.cases.iter().filter(|case| case.forger.is_some());
        let refused: Vec<&Case> = forged.filter(|case| case.exit != 0).collect();
        assert!(refused.len() > 50, "only {} cases", refused.len());
        refused
    }

    fn case(&self, name: &str) -> &Case {
        let found = self.cases.iter().find(|case| case.name == name);
        found.unwrap_or_else(|| panic!("no case {name}"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The private key that opens them.
    fn key(&self) -> [String; 2] {
        let key = self.at("keys/alice.pem");
        ["--private-key".to_owned(), key.to_str().unwrap().to_owned()]
    }
}

impl Case {
    /// The result of a command on the archive, opened as the case says.
    fn given(&self, command: &mut Command) -> Output {
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            // Not every command takes one from its arguments.
            if arg == "--passphrase" {
                command.env("PRYV_BACKUP_PASSPHRASE", args.next().unwrap());
            } else {
                command.arg(arg);
            }
        }
        run(command.envs(&self.env))
    }

    /// The files and the links of the archive.
    fn stored(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.archive.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_symlink() {
                    let target = fs::read_link(&path).unwrap();
                    found.insert(path, target.to_str().unwrap().as_bytes().to_vec());
                } else {
                    found.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        found
    }

    /// The mistakes in the result of a command: it must end as a reader does, and say so in the same words.
    fn complaint(&self, what: &str, done: &Output) -> Option<String> {
        let said = text(done);
        let silent = self.says.iter().find(|text| !said.contains(*text));
        let (name, code) = (&self.name, done.status.code());
        match silent {
            _ if code != Some(self.exit) => Some(format!(
                "{name}, {what}: {code:?}, not {}:\n{said}",
                self.exit
            )),
            Some(silent) => Some(format!("{name}, {what}: does not say {silent:?}:\n{said}")),
            None => None,
        }
    }
}

/// Every case on as many threads as there are cores; what is wrong.
fn each(cases: &[&Case], check: impl Fn(&Case) -> Vec<String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = check(case);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn restore(platform: &Platform<'_>, archive: &Path) -> Command {
    let mut command = platform.command();
    command.arg("--restore").arg(archive);
    command
}

/// Of a platform that can be restored: what is refused is refused for what was put in, since without it all comes back.
#[test]
fn what_nobody_forged_is_restored() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite();
    rich::fill(&stage, &source, 1, 24);
    let state = State::of(&Plain::read(&stage.open(&source.backup("full"))));
    let public = fs::read(stage.fixtures.join("keys/recipient.pub.pem")).unwrap();
    let lock = Lock::To(vec![PublicKey::parse(&public).unwrap()]);
    let of_host = |full| Draft::new(state.clone(), lock.clone(), full);
    let of_mallory = |lock, full| Draft {
        signer: sign::mallory(),
        ..Draft::new(state.clone(), lock, full)
    };
    let real = [of_host(true), of_host(false)];
    let full = of_mallory(lock.clone(), true);
    for (name, put_in, flags, code) in [
        ("real", None, &[][..], 0),
        ("full", Some(full.clone()), &[], 2),
        ("full-at-2", Some(full), &["--at", "2"], 0),
        ("increment", Some(of_mallory(lock.clone(), false)), &[], 4),
        ("clear", Some(of_mallory(Lock::None, false)), &[], 4),
    ] {
        let root = stage.at(name);
        let runs: Vec<Draft> = real.iter().cloned().chain(put_in).collect();
        for (path, bytes) in make(&runs).files {
            let place = root.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
        let target = stage.sqlite();
        let (before, stored) = (target.rows(), tree(&root));
        let done = target.restore(&root, flags);
        assert_eq!(done.status.code(), Some(code), "{name}: {}", text(&done));
        assert_eq!(
            target.rows() == before,
            code != 0,
            "{name}: {}",
            text(&done)
        );
        assert!(tree(&root) == stored, "{name}");
    }
}

#[test]
fn nothing_is_restored_and_no_backup_deleted() {
    let Some(stage) = Stage::new() else { return };
    let kit = Kit::new();
    let target = stage.sqlite();
    let before = target.rows();
    let mut wrong = Vec::new();
    for case in kit.refused() {
        let stored = case.stored();
        let at = case.args.iter().any(|arg| arg == "--at");
        let mut command = restore(&target, &case.archive);
        if !at {
            command.arg("--delete-on-success");
        }
        let done = case.given(&mut command);
        wrong.extend(case.complaint("restore", &done));
        if !case.archive.exists() || case.stored() != stored {
            wrong.push(format!("{}: the backup was changed", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(target.rows() == before && target.is_left_clean());
}

#[test]
fn nothing_is_made_of_them() {
    let kit = Kit::new();
    each(&kit.refused(), |case| {
        let into = kit.at(&format!("of-{}", case.name));
        let mut command = Command::new(tool());
        command.arg("consolidate").arg(&case.archive);
        let done = case.given(command.arg("--into").arg(&into));
        let mut wrong = Vec::from_iter(case.complaint("consolidate", &done));
        if into.exists() && !tree(&into).is_empty() {
            wrong.push(format!("{}: a new archive was made", case.name));
        }
        wrong
    });
}

#[test]
fn verify_names_them_with_the_key() {
    let kit = Kit::new();
    each(&kit.refused(), |case| {
        let done = case.given(Command::new(tool()).arg("verify").arg(&case.archive));
        Vec::from_iter(case.complaint("verify", &done))
    });
}

#[test]
fn verify_takes_the_state_that_is_asked_for() {
    let kit = Kit::new();
    let at = |case: &&Case| case.exit == 0 && case.args.iter().any(|arg| arg == "--at");
    let forged = kit.cases.iter().filter(|case| case.forger.is_some());
    let cases: Vec<&Case> = forged.filter(at).collect();
    assert!(cases.len() > 2, "{}", cases.len());
    each(&cases, |case| {
        let done = case.given(Command::new(tool()).arg("verify").arg(&case.archive));
        let good = text(&done).contains(": all good");
        match done.status.code() {
            Some(0) if good => Vec::new(),
            code => vec![format!("{}: {code:?}: {}", case.name, text(&done))],
        }
    });
    let mut keyless = Command::new(tool());
    keyless.arg("verify").arg(&kit.case("chain").archive);
    let done = run(keyless.args(["--at", "1"]));
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
}

/// The finding about the signer decides the claim, with the key and without.
#[test]
fn the_origin_of_what_an_expected_signer_made_is_proven() {
    let kit = Kit::new();
    let pin = kit.at("keys/host.pub");
    for (name, pinned) in [("chain", true), ("chain", false), ("signed-pinned", true)] {
        let case = kit.case(name);
        for keyed in [true, false] {
            let verify = |json: &[&str]| {
                let mut command = Command::new(tool());
                command.arg("verify").arg(&case.archive).args(json);
                if keyed {
                    command.args(kit.key());
                }
                if pinned {
                    command.arg("--signer").arg(&pin);
                }
                run(&mut command)
            };
            let done = verify(&[]);
            let said = text(&done);
            assert_eq!(done.status.code(), Some(0), "{name}: {said}");
            assert_eq!(said.contains("as expected"), pinned, "{name}: {said}");
            let unknown = [
                "who made it was not checked",
                "who made that list is not known",
            ];
            let unknown = unknown.iter().any(|words| said.contains(words));
            assert_eq!(unknown, !pinned, "{name}: {said}");
            let found = report(&verify(&["--json"]));
            assert_eq!(found["pinned"], pinned, "{name}: {found}");
            let host = (keyed || pinned).then(|| sign::host().signer().as_str());
            assert_eq!(found["signer"].as_str(), host, "{name}: {found}");
            let source = (keyed || pinned).then_some(sign::SOURCE);
            assert_eq!(found["source"].as_str(), source, "{name}: {found}");
            assert_eq!(found["compared"], true, "{name}: {found}");
        }
    }
}

/// The findings of somebody who has no key, but knows the signer.
#[test]
fn verify_and_list_name_them_without_the_key() {
    let kit = Kit::new();
    let key = kit.key();
    let pin = kit.at("keys/host.pub");
    let code = |look: &str, case: &Case, pinned: bool| {
        let mut command = Command::new(tool());
        command.arg(look).arg(&case.archive);
        if pinned {
            command.arg("--signer").arg(&pin);
        }
        let done = run(&mut command);
        (done.status.code(), text(&done))
    };
    let good = kit.case("chain");
    assert!(good.args.starts_with(&key));
    let looks = ["verify", "list"];
    for (look, pinned) in looks.into_iter().zip([false, true]) {
        let (code, said) = code(look, good, pinned);
        assert_eq!(code, Some(0), "{look}: {said}");
    }
    // Exit code where nobody is pinned, and where the host is.
    for (name, alone, pinned) in [
        ("forged-clear-increment", 4, 4),
        ("forged-clear-increment-unlisted", 4, 4),
        ("forged-clear-increment-without-index", 4, 4),
        ("forged-clear-first", 4, 4),
        ("forged-envelope-removed", 4, 4),
        ("forged-link-to-a-run", 4, 4),
        ("forged-link-to-runs", 4, 4),
        ("forged-signature-missing", 4, 4),
        ("forged-signature-of-a-run-missing", 4, 4),
        ("forged-signature-anew", 4, 4),
        ("forged-script", 4, 4),
        ("forged-sums-out-of-the-folder", 4, 4),
        // It takes a key, or the signer, to see these.
        ("forged-archive", 0, 4),
        ("forged-increment", 0, 4),
        ("forged-increment-in-the-hosts-name", 0, 4),
        ("forged-full", 0, 4),
        // Nobody but the reader can choose.
        ("forged-fork", 2, 2),
    ] {
        for (pin, due) in [(false, alone), (true, pinned)] {
            for look in looks {
                let (code, said) = code(look, kit.case(name), pin);
                assert_eq!(code, Some(due), "{look} {name}, pinned: {pin}: {said}");
            }
        }
    }
}

#[test]
fn list_names_them_with_the_key() {
    let kit = Kit::new();
    let key = kit.key();
    for (name, due) in [
        ("chain", 0),
        ("forged-script", 4),
        ("forged-increment", 4),
        ("forged-full", 2),
        ("forged-fork", 2),
    ] {
        let mut command = Command::new(tool());
        command.arg("list").arg(&kit.case(name).archive).args(&key);
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(due), "{name}: {}", text(&done));
    }
}

/// Who can open them is not changed where no reader takes them.
#[test]
fn their_recipients_stay() {
    let kit = Kit::new();
    let key = kit.key();
    let (pin, other) = (kit.at("keys/host.pub"), kit.at("keys/bob.pub.pem"));
    for (name, alone, pinned) in [
        ("forged-clear-increment", 4, 4),
        ("forged-signature-missing", 4, 4),
        ("forged-signature-of-a-run-missing", 4, 4),
        ("forged-archive", 0, 4),
        ("forged-increment", 4, 4),
        ("forged-increment-in-the-hosts-name", 4, 4),
        ("forged-full", 2, 4),
        ("forged-fork", 2, 2),
    ] {
        let case = kit.case(name);
        for (pin, due) in [(Some(&pin), pinned), (None, alone)] {
            let before = case.stored();
            let mut command = Command::new(tool());
            command.arg("rekey").arg(&case.archive).args(&key);
            command.arg("--add-recipient").arg(&other);
            if let Some(pin) = pin {
                command.arg("--signer").arg(pin);
            }
            let done = run(&mut command);
            assert_eq!(done.status.code(), Some(due), "{name}: {}", text(&done));
            assert_eq!(case.stored() == before, due != 0, "{name}");
        }
    }
}
