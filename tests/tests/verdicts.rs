//! The test kit opened by every decryptor: each gives the expected verdict, and all say the same, word for word.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    chain::Files,
    command::{alone, tool},
    disk::CaselessDisk,
    folder::tree,
    is_nightly, kit,
    volumes::{in_one_tar, in_volumes},
};
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Case {
    line: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    exit: i32,
    says: Vec<String>,
    exactly: Vec<String>,
    never: Vec<String>,
    out: Option<BTreeMap<String, String>>,
    #[serde(rename = "oneOnDisk")]
    one_on_disk: Option<[String; 2]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    exit: Option<i32>,
    said: Vec<String>,
    out: Option<BTreeMap<String, String>>,
}

const DECRYPTORS: [&str; 3] = ["native", "host", "wasm"];

/// Cases about manifests, chains and signatures, which `host` and `wasm` read by the same code: they differ in ciphers and keys only. `wasm`
/// opens these at night.
const ALIKE: [&str; 4] = ["chain-", "forged-", "signed-", "unsigned-"];

fn decryptors(case: &str) -> &'static [&'static str] {
    if !is_nightly() && ALIKE.iter().any(|start| case.starts_with(start)) {
        return &DECRYPTORS[..2];
    }
    &DECRYPTORS
}

fn decryptor(name: &str) -> Command {
    if name == "native" {
        let mut command = Command::new(tool());
        command.arg("decrypt");
        return command;
    }
    let mut command = Command::new("node");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../npm/dist/decrypt-backup.mjs"))
        .args(["--engine", name]);
    command
}

/// Opens a case; `scratch` is an empty folder.
fn verdict(name: &str, case: &Case, folder: &Path, keys: &Path, scratch: &Path) -> Verdict {
    let out = scratch.join("out");
    let mut command = decryptor(name);
    command.arg(folder.join("archive"));
    command.args(
        case.args
            .iter()
            .map(|a| a.replace("{keys}", keys.to_str().unwrap())),
    );
    let command = alone(&mut command).envs(&case.env);
    if !case.args.iter().any(|a| a == "--list" || a == "--verify") {
        command.arg("--out").arg(&out);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let mut said: Vec<String> = String::from_utf8(text)
        .unwrap()
        .lines()
        .map(|line| line.replace(out.to_str().unwrap(), "{out}"))
        .collect();
    said.sort();
    Verdict {
        exit: output.status.code(),
        said,
        out: out.exists().then(|| {
            tree(&out)
                .into_iter()
                .map(|(path, bytes)| (path, sha256_hex(&bytes)))
                .collect()
        }),
    }
}

fn kit() -> (TempDir, Vec<PathBuf>) {
    let kit = TempDir::new().unwrap();
    kit::make(env!("CARGO_BIN_EXE_testkit"), kit.path());
    let folders = fs::read_dir(kit.path()).unwrap().map(|e| e.unwrap().path());
    let cases: Vec<_> = folders.filter(|f| f.join("case.json").exists()).collect();
    assert!(cases.len() > 60, "only {} cases", cases.len());
    let names = cases.iter().filter_map(|f| f.file_name()?.to_str());
    let by_wasm = names.filter(|name| decryptors(name).len() == DECRYPTORS.len());
    assert!(by_wasm.count() > 100, "few cases for wasm");
    (kit, cases)
}

fn expected(case: &Case, folder: &Path, keys: &Path) -> Vec<String> {
    let archive = folder.join("archive");
    let id =
        fs::read(archive.join("manifest.json")).map_or_else(|_| String::new(), |m| sha256_hex(&m));
    let fill = |line: &String| {
        line.replace("{archive}", archive.to_str().unwrap())
            .replace("{keys}", keys.to_str().unwrap())
            .replace("{id}", &id)
    };
    let mut lines: Vec<String> = case.exactly.iter().map(fill).collect();
    lines.sort();
    lines
}

fn case_of(folder: &Path) -> Case {
    serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap()
}

/// The mistakes in one case.
fn complaints(folder: &Path, keys: &Path) -> Vec<String> {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let case = case_of(folder);
    let verdicts = decryptors(name).iter().map(|decryptor| {
        let scratch = TempDir::new().unwrap();
        let verdict = verdict(decryptor, &case, folder, keys, scratch.path());
        (decryptor, verdict)
    });
    let verdicts: Vec<_> = verdicts.collect();
    let mut wrong = Vec::new();
    for (decryptor, verdict) in &verdicts {
        let said = verdict.said.join("\n  ");
        let mut complain = |what: String| {
            wrong.push(format!(
                "{name} ({}), {decryptor}: {what}, but says:\n  {said}",
                case.line
            ));
        };
        if verdict.exit != Some(case.exit) {
            complain(format!("exit {:?}, not {}", verdict.exit, case.exit));
        }
        for text in &case.says {
            if !verdict.said.iter().any(|line| line.contains(text)) {
                complain(format!("does not say {text:?}"));
            }
        }
        for text in &case.never {
            if verdict.said.iter().any(|line| line.contains(text)) {
                complain(format!("says {text:?}"));
            }
        }
        if !case.exactly.is_empty() && verdict.said != expected(&case, folder, keys) {
            complain(format!("not exactly {:#?}", expected(&case, folder, keys)));
        }
        if verdict.out.is_some() != case.out.is_some() {
            complain(format!("writes a folder: {}", verdict.out.is_some()));
        }
        let (out, due) = (verdict.out.iter().flatten(), case.out.iter().flatten());
        let (out, due): (BTreeSet<_>, BTreeSet<_>) = (out.collect(), due.collect());
        for (path, _) in out.symmetric_difference(&due) {
            complain(format!(
                "{path} comes out, does not come out, or comes out changed"
            ));
        }
        if verdict.said != verdicts[0].1.said {
            complain(format!(
                "says other words than native ({:#?})",
                verdicts[0].1.said
            ));
        }
    }
    wrong
}

fn on_all_cores(
    folders: &[PathBuf],
    complaints: impl Fn(&Path) -> Vec<String> + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = complaints(folder);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn every_decryptor_gives_the_expected_verdict_in_the_same_words() {
    let (kit, folders) = kit();
    let keys = kit.path().join("keys");
    let wrong = on_all_cores(&folders, |folder| complaints(folder, &keys));
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Cases whose archive cannot lie in another way, or is another one then, and why.
const OTHERS: [(&str, &str); 0] = [];

/// The mistakes of the native command and of the script with a case whose archive lies in another way. What is said may be said in other words.
fn complaints_elsewhere(folder: &Path, keys: &Path, lay: impl Fn(&Files, &Path)) -> Vec<String> {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let archive = folder.join("archive");
    if archive.is_file() || OTHERS.iter().any(|(known, _)| *known == name) {
        return Vec::new();
    }
    let all = pryv_backup_tests::folder::files(&archive);
    // Tar files of ours hold no links.
    if all.iter().any(|path| path.is_symlink()) {
        return Vec::new();
    }
    let files = tree(&archive);
    if files.keys().any(|path| path.contains("volume")) {
        return Vec::new();
    }
    let case = case_of(folder);
    let mut wrong = Vec::new();
    for decryptor in &decryptors(name)[..2] {
        let scratch = TempDir::new().unwrap();
        let copy = scratch.path().join("case");
        fs::create_dir(&copy).unwrap();
        lay(&files, &copy.join("archive"));
        let Verdict { exit, said, out } = verdict(decryptor, &case, &copy, keys, scratch.path());
        if (exit, &out) == (Some(case.exit), &case.out) {
            continue;
        }
        let (line, said) = (&case.line, said.join("\n  "));
        let due = case.out.iter().flatten().collect::<BTreeSet<_>>();
        let found = out.iter().flatten().collect::<BTreeSet<_>>();
        let differ: Vec<_> = due.symmetric_difference(&found).collect();
        let due = case.exit;
        wrong.push(format!(
            "{name} ({line}), {decryptor}: exit {exit:?}, not {due}; other files: {differ:?}; says:\n  {said}"
        ));
    }
    wrong
}

fn every_archive_elsewhere(lay: impl Fn(&Files, &Path) + Sync) {
    let (kit, folders) = kit();
    let keys = kit.path().join("keys");
    let wrong = on_all_cores(&folders, |folder| complaints_elsewhere(folder, &keys, &lay));
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_archive_has_the_same_verdict_in_volumes() {
    every_archive_elsewhere(|files, archive| {
        fs::create_dir(archive).unwrap();
        for (path, bytes) in in_volumes(files) {
            let place = archive.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
    });
}

#[test]
fn every_archive_has_the_same_verdict_as_one_tar() {
    every_archive_elsewhere(|files, archive| fs::write(archive, in_one_tar(files)).unwrap());
}

#[test]
fn files_that_would_be_one_on_the_disk_are_refused_by_every_decryptor() {
    let scratch = TempDir::new().unwrap();
    let Some(disk) = CaselessDisk::mount(scratch.path().join("disk")) else {
        return;
    };
    let (kit, folders) = kit();
    let keys = kit.path().join("keys");
    let mut tried = 0;
    for folder in folders {
        let case = case_of(&folder);
        let Some([one, other]) = &case.one_on_disk else {
            continue;
        };
        for decryptor in DECRYPTORS {
            let verdict = verdict(decryptor, &case, &folder, &keys, &disk.0);
            let said = verdict.said.join("\n");
            let refused = format!("error: {one} and {other} would overwrite each other in {{out}}");
            assert!(said.contains(&refused), "{decryptor}: {said}");
            assert_eq!(verdict.exit, Some(1), "{decryptor}: {said}");
            assert_eq!(verdict.out, None, "{decryptor}: {said}");
        }
        tried += 1;
    }
    assert!(tried >= 3, "only {tried} cases");
}
