//! Refusals of the system: threads, memory, and errors that it reports only when a file is closed. Each ends in one line, or in the work done
//! all the same; never in a panic, and never in a file that counts as whole.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    need,
};
use rusqlite::Connection;
use tempfile::TempDir;

/// A sample platform, its backup, and an empty platform of the same kind.
struct Stage(TempDir);

impl Stage {
    fn new() -> Option<Self> {
        if !need::strace() {
            return None;
        }
        let stage = Stage(TempDir::new().unwrap());
        stage.done(&["sample", "platform"]);
        stage.done(&["keygen", "--bits", "2048", "--output", "key.pem"]);
        let config = fs::read_to_string(stage.at("platform/config.yml")).unwrap();
        let there = stage.at("platform").display().to_string();
        let empty = stage.at("empty").display().to_string();
        fs::create_dir_all(stage.at("empty/users")).unwrap();
        fs::write(stage.at("empty/config.yml"), config.replace(&there, &empty)).unwrap();
        stage.done(&words(&backup("archive")));
        Some(stage)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn done(&self, args: &[&str]) {
        let done = run(Command::new(tool()).args(args).current_dir(self.0.path()));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    }

    /// Runs the tool under `strace`.
    fn traced(&self, options: &[&str], command: &str) -> Output {
        run(Command::new("strace")
            .args(["-f", "-qq"])
            .args(options)
            .arg(tool())
            .args(words(command))
            .env("PRYV_BACKUP_PASSPHRASE", "")
            .current_dir(self.0.path()))
    }

    fn remove(&self, name: &str) {
        let _ = fs::remove_dir_all(self.at(name));
        let _ = fs::remove_file(self.at(name));
    }
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

fn backup(output: &str) -> String {
    format!(
        "--pryv-root platform --config platform/config.yml --platform none --quiet --recipient-pubkey key.pub.pem --output {output}"
    )
}

const RESTORE: &str = "--pryv-root empty --config empty/config.yml --restore archive --private-key key.pem --skip-platform";

#[test]
fn without_threads_the_work_is_done_by_one() {
    let Some(stage) = Stage::new() else { return };
    let none = [
        "-o",
        "/dev/null",
        "-e",
        "trace=clone,clone3",
        "-e",
        "inject=clone,clone3:error=EAGAIN",
    ];
    for command in [
        &backup("again"),
        "verify archive --private-key key.pem",
        "decrypt archive --private-key key.pem --out decrypted --jobs 4",
        "list archive --private-key key.pem",
        "stats archive --private-key key.pem",
        "diff archive archive --private-key key.pem",
        "consolidate archive --private-key key.pem --into consolidated --jobs 4",
        RESTORE,
    ] {
        let done = stage.traced(&none, command);
        assert_eq!(done.status.code(), Some(0), "{command}: {}", text(&done));
    }
    // The platform's own database is asked by a thread of its own.
    let alone = backup("no-thread").replace("--platform none ", "");
    let done = stage.traced(&none, &alone);
    let said = text(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no further thread can be had") && said.lines().count() == 1,
        "{said}"
    );
    assert!(!stage.at("no-thread").exists());
}

#[test]
fn too_little_memory_is_said() {
    let Some(stage) = Stage::new() else { return };
    fs::write(stage.at("passphrase"), "a secret\n").unwrap();
    // The passphrase is stretched in 16 MiB.
    let sealed = backup("sealed").replace(
        "--recipient-pubkey key.pub.pem",
        "--passphrase-file passphrase",
    );
    stage.done(&words(&sealed));
    let open = "decrypt sealed --passphrase-file passphrase --out decrypted --jobs 1";
    let limited = |megabytes: u32| {
        let limited = format!("ulimit -v {}; exec \"$@\"", megabytes * 1024);
        run(Command::new("sh")
            .args(["-c", &limited, "sh"])
            .arg(tool())
            .args(words(open))
            .current_dir(stage.0.path()))
    };
    // From where it can begin on; how much that is depends on how it was built.
    let begun = (16..200)
        .map(limited)
        .find(|done| !matches!(done.status.code(), None | Some(127)));
    let done = begun.unwrap();
    let said = text(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: there is not enough memory") && said.lines().count() == 1,
        "{said}"
    );
    assert!(!stage.at("decrypted").exists());
    let done = limited(1000);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

#[test]
fn a_system_that_keeps_core_files_is_told_of() {
    let Some(stage) = Stage::new() else { return };
    let refused = [
        "-o",
        "/dev/null",
        "-e",
        "trace=prlimit64",
        "-e",
        "inject=prlimit64:error=EPERM",
    ];
    let done = stage.traced(&refused, "list archive --private-key key.pem");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(text(&done).contains("core files"), "{}", text(&done));
}

/// On NFS, and under quotas, the last word on a file comes when it is closed.
#[test]
fn a_file_that_cannot_be_closed_does_not_count() {
    let Some(stage) = Stage::new() else { return };
    stage.done(&["keygen", "--bits", "2048", "--output", "second.pem"]);
    let extract = |format: &str| {
        format!("extract archive --private-key key.pem --user alice --format {format} --out made")
    };
    // Of how many files a close has to fail at the least.
    for (command, output, least) in [
        (backup("made"), "made", 1),
        (backup("made --incremental --state-dir state"), "made", 1),
        (
            "decrypt archive --private-key key.pem --out made --jobs 1".to_owned(),
            "made",
            1,
        ),
        (extract("csv"), "made", 1),
        (extract("parquet"), "made", 1),
        ("keygen --bits 2048 --output made.pem".to_owned(), "made", 2),
        (
            "rekey made --private-key key.pem --add-recipient second.pub.pem".to_owned(),
            "made",
            1,
        ),
        (
            "consolidate archive --private-key key.pem --into made --jobs 1".to_owned(),
            "made",
            1,
        ),
        (format!("{RESTORE} --jobs 1"), "empty/users", 1),
    ] {
        let mut written = 0;
        // Which close is which differs a little from run to run.
        for _ in 0..3 {
            for nth in stage.closes(&command, output) {
                written += u32::from(stage.closes_badly(&command, output, nth).is_some());
            }
            if written >= least {
                break;
            }
        }
        assert!(written >= least, "{command}: {written}");
    }
}

/// A disk that is not mounted: what would be made there lies on another one.
#[test]
fn a_folder_whose_parent_is_missing_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let run_here = |command: &str| {
        run(Command::new(tool())
            .args(words(command))
            .current_dir(stage.0.path()))
    };
    let consolidate =
        |into: &str| format!("consolidate archive --private-key key.pem --into {into}");
    for (command, more) in [
        (backup("disk/pryv/today"), " --create-parents"),
        (
            backup("disk2/chain --incremental --state-dir state"),
            " --create-parents",
        ),
        (backup("disk3/today --dry-run"), ""),
        (consolidate("disk4/new"), " --create-parents"),
        (
            "decrypt archive --private-key key.pem --out disk5/pryv/opened".to_owned(),
            " --create-parents",
        ),
    ] {
        let done = run_here(&command);
        let said = text(&done);
        assert_eq!(done.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("is not there") && said.contains("--create-parents"),
            "{said}"
        );
        if !more.is_empty() {
            let done = run_here(&format!("{command}{more}"));
            assert_eq!(done.status.code(), Some(0), "{command}: {}", text(&done));
        }
    }
    assert!(stage.at("disk/pryv/today/manifest.json").exists() && !stage.at("disk3").exists());
    // Beside others, as Pryv's guide has it, and where the folder itself is there.
    fs::create_dir_all(stage.at("backups/there")).unwrap();
    for output in ["backups/pryv-20261126", "backups/there", "./here"] {
        let done = run_here(&backup(output));
        assert_eq!(done.status.code(), Some(0), "{output}: {}", text(&done));
    }
}

/// The most closes of one command that are tried.
const CLOSES: usize = 12;

/// A line of `strace -f -y`: `17 close(5</path>) = 0`, and before it `17 openat(…, O_WRONLY…) = 5</path>`.
fn closed(line: &str) -> Option<&str> {
    Some(line.split_once("close(")?.1.split_once(')')?.0)
}

impl Stage {
    /// Runs a command whose `nth` close of each thread fails; what `strace` says of it.
    fn closing(&self, command: &str, nth: u32) -> (Output, String) {
        for name in ["made", "made.pem", "made.pub.pem", "state"] {
            self.remove(name);
        }
        self.remove("log");
        self.remove("empty/users");
        fs::create_dir(self.at("empty/users")).unwrap();
        if command.starts_with("rekey") {
            run(Command::new("cp")
                .arg("-r")
                .arg(self.at("archive"))
                .arg(self.at("made")));
        }
        let inject = format!("inject=close:error=EDQUOT:when={nth}");
        let trace = "trace=close,open,openat";
        let done = self.traced(&["-y", "-o", "log", "-e", trace, "-e", &inject], command);
        (done, fs::read_to_string(self.at("log")).unwrap())
    }

    /// The path of a file that was written for `output`, where that is closed at a line.
    fn written(&self, lines: &[&str], at: usize, output: &str) -> Option<String> {
        let place = self.at(output).display().to_string();
        let descriptor = closed(lines[at])?;
        let path = descriptor.split_once('<')?.1.trim_end_matches('>');
        let opened = format!("= {descriptor}");
        let mut before = lines[..at].iter().rev();
        let opened = before.find(|line| line.ends_with(&opened))?;
        let sqlite = path.contains(".sqlite") || path.contains("/user-index.db");
        let ours = path.starts_with(&place) && !sqlite;
        let writes = opened.contains("O_WRONLY") || opened.contains("O_RDWR");
        (ours && writes).then(|| path.to_owned())
    }

    /// Which closes of a thread are those of files that are written for `output`: some of them, from the first to the last.
    fn closes(&self, command: &str, output: &str) -> Vec<u32> {
        let (done, log) = self.closing(command, u32::from(u16::MAX));
        assert_eq!(done.status.code(), Some(0), "{command}: {}", text(&done));
        let lines: Vec<&str> = log.lines().collect();
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let mut closes = BTreeSet::new();
        for (at, line) in lines.iter().enumerate() {
            if closed(line).is_some() {
                let thread = line.split_once(' ').unwrap().0;
                let count = counts.entry(thread).or_default();
                *count += 1;
                if self.written(&lines, at, output).is_some() {
                    closes.insert(*count);
                }
            }
        }
        let step = closes.len().div_ceil(CLOSES).max(1);
        closes.into_iter().step_by(step).collect()
    }

    /// Makes the `nth` close of each thread fail. Where that was one of a file that was written for `output`, the command fails and
    /// names it; the answer is its path.
    fn closes_badly(&self, command: &str, output: &str, nth: u32) -> Option<String> {
        let (done, log) = self.closing(command, nth);
        let said = text(&done);
        assert!(!said.contains("panicked"), "{nth}: {command}: {said}");
        let lines: Vec<&str> = log.lines().collect();
        let mut failed = (0..lines.len()).filter(|at| lines[*at].contains("(INJECTED)"));
        let written = failed.find_map(|at| self.written(&lines, at, output))?;
        let code = done.status.code();
        assert!(
            code == Some(1) || code == Some(5),
            "{nth} {written}: {command}: {code:?} {said}"
        );
        assert!(said.contains("quota"), "{written}: {said}");
        Some(written)
    }
}

/// Somebody else has a SQLite file locked: a signal ends the wait for it.
#[test]
fn a_signal_ends_the_wait_for_a_lock() {
    let Some(stage) = Stage::new() else { return };
    let other = Connection::open(stage.at("platform/users/user-index.db")).unwrap();
    other
        .execute_batch(
            "SELECT count(*) FROM sqlite_master; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
        )
        .unwrap();
    let restore = RESTORE.replace("empty", "platform") + " --overwrite";
    for command in [backup("again"), restore] {
        let mut child = Command::new(tool())
            .args(words(&command))
            .current_dir(stage.0.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Once it has the file open, it waits for ten seconds.
        let open = PathBuf::from(format!("/proc/{}/fd", child.id()));
        let is_open = || {
            let files = fs::read_dir(&open).into_iter().flatten().flatten();
            let mut files = files.filter_map(|file| fs::read_link(file.path()).ok());
            files.any(|file| file.ends_with("platform/users/user-index.db"))
        };
        while !is_open() {
            assert!(child.try_wait().unwrap().is_none(), "{command}");
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_secs(1));
        assert!(
            child.try_wait().unwrap().is_none(),
            "it should wait: {command}"
        );
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let started = Instant::now();
        let ended = child.wait().unwrap();
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "it waits on: {command}"
        );
        assert!(
            matches!(ended.code(), None | Some(143)),
            "{command}: {ended}"
        );
    }
}
