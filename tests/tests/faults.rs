//! Faults of the machine that makes or opens a backup: each is named, counted, and never looks like success; and a run that
//! is stopped leaves nothing that looks like a backup.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    disk::SmallDisk,
    folder::tree,
};
use rusqlite::Connection;
use tempfile::TempDir;

const STAGING: &str = ".pryv-backup-partial";
/// Large enough that a signal comes in time.
const LARGE: u64 = 256 * 1024 * 1024;

struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let stage = Stage { dir };
        let made = run(Command::new(tool())
            .arg("sample")
            .arg(stage.path("platform")));
        assert!(made.status.success(), "{}", text(&made));
        let key = run(Command::new(tool())
            .args(["keygen", "--bits", "2048", "--output"])
            .arg(stage.path("key.pem")));
        assert!(key.status.success(), "{}", text(&key));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the platform, by the end of its name.
    fn file(&self, ending: &str) -> PathBuf {
        let platform = self.path("platform");
        let name = tree(&platform).into_keys().find(|p| p.contains(ending));
        platform.join(name.unwrap_or_else(|| panic!("no {ending}")))
    }

    fn backup(&self, output: &Path) -> Command {
        let mut command = Command::new(tool());
        command
            .arg("--pryv-root")
            .arg(self.path("platform"))
            .arg("--config")
            .arg(self.path("platform/config.yml"))
            .args(["--platform", "none", "--recipient-pubkey"])
            .arg(self.path("key.pub.pem"))
            .arg("--output")
            .arg(output);
        command
    }

    fn decrypt(&self, archive: &Path, out: &Path) -> Command {
        let mut command = Command::new(tool());
        command
            .arg("decrypt")
            .arg(archive)
            .arg("--private-key")
            .arg(self.path("key.pem"))
            .arg("--out")
            .arg(out);
        command
    }

    /// An attachment that takes a while to read, and no space on the disk.
    fn grow_an_attachment(&self) {
        self.resize(LARGE);
    }

    /// Gives an attachment another size, of which its event knows.
    fn resize(&self, size: u64) {
        let path = self.file("/attachments/");
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        let event = path.parent().unwrap();
        let home = event.parent().unwrap().parent().unwrap();
        let events = Connection::open(home.join("local-1.0.0.sqlite")).unwrap();
        let event = event.file_name().unwrap().to_str().unwrap();
        let stored: String = events
            .query_row(
                "SELECT attachments FROM events WHERE eventid = ?",
                [event],
                |row| row.get(0),
            )
            .unwrap();
        let mut list: serde_json::Value = serde_json::from_str(&stored).unwrap();
        let id = path.file_name().unwrap().to_str().unwrap();
        for listed in list.as_array_mut().unwrap() {
            if listed["id"] == id {
                listed["size"] = size.into();
            }
        }
        let change = "UPDATE events SET attachments = ? WHERE eventid = ?";
        events.execute(change, [&list.to_string(), event]).unwrap();
    }
}

/// The archive that was made in spite of a fault, and what its report said: exit code 5, and the archive itself is good.
fn with_losses(stage: &Stage, says: &[&str]) -> String {
    let backup = stage.path("backup");
    let made = run(&mut stage.backup(&backup));
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    let lost: Vec<&str> = said.lines().filter(|l| l.starts_with("LOST:")).collect();
    for word in says {
        assert!(
            lost.iter().any(|l| l.contains(word)),
            "{word:?} is not named in: {said}"
        );
    }
    let opened = run(&mut stage.decrypt(&backup, &stage.path("decrypted")));
    assert!(opened.status.success(), "{}", text(&opened));
    assert!(
        text(&opened).contains("lost when the backup was made"),
        "{}",
        text(&opened)
    );
    said
}

#[test]
fn a_corrupt_database_costs_what_is_in_it_and_nothing_else() {
    let stage = Stage::new();
    let local = stage.file("ken/local-1.0.0.sqlite");
    let mut bytes = fs::read(&local).unwrap();
    bytes[4096..].fill(0xaa);
    fs::write(&local, bytes).unwrap();
    with_losses(&stage, &["local-1.0.0.sqlite"]);
    let whole = tree(&stage.path("decrypted"));
    for user in ["alice", "zoe"] {
        let events = whole
            .keys()
            .filter(|p| p.contains(user) && p.contains("/events/"));
        assert_eq!(events.count(), 1, "{user}");
    }
    assert!(whole.keys().any(|p| p.contains("ken/streams.jsonl")));
}

/// A backup of nothing would look like one.
#[test]
fn a_wrong_or_empty_folder_of_users_is_no_backup() {
    let stage = Stage::new();
    let users = stage.path("platform/users");
    let users = if users.is_dir() {
        users
    } else {
        stage.path("platform/var-pryv/users")
    };
    let index = Connection::open(users.join("user-index.db")).unwrap();
    index.execute_batch("DELETE FROM id4name").unwrap();
    drop(index);
    let empty = run(&mut stage.backup(&stage.path("backup")));
    one_line(&empty, 1, "no users in");
    fs::rename(&users, stage.path("elsewhere")).unwrap();
    let gone = run(&mut stage.backup(&stage.path("backup")));
    one_line(&gone, 1, "user-index.db");
    assert!(!stage.path("backup").exists());
}

#[test]
fn a_user_whose_folder_is_gone_is_named() {
    let stage = Stage::new();
    let local = stage.file("ken/local-1.0.0.sqlite");
    fs::remove_dir_all(local.parent().unwrap()).unwrap();
    let said = with_losses(&stage, &["ken"]);
    assert!(said.contains("backup of 3 users"), "{said}");
}

#[test]
fn an_attachment_that_cannot_be_read_is_named() {
    let stage = Stage::new();
    let attachment = stage.file("alice/attachments/");
    fs::remove_file(&attachment).unwrap();
    fs::create_dir(&attachment).unwrap();
    let name = attachment.file_name().unwrap().to_str().unwrap().to_owned();
    with_losses(&stage, &[&name]);
    assert!(
        tree(&stage.path("decrypted"))
            .keys()
            .all(|p| !(p.contains("alice") && p.ends_with(&name)))
    );
}

fn one_line(output: &Output, code: i32, says: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_full_disk_leaves_no_backup() {
    let stage = Stage::new();
    // Full at the first files, and later.
    for (name, size) in [("first", "size=400k"), ("later", "size=2100k")] {
        let Some(disk) = SmallDisk::mount(stage.path(name), size) else {
            return;
        };
        let failed = run(&mut stage.backup(&disk.0.join("backup")));
        one_line(&failed, 1, "No space left on device");
        assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_full_disk_leaves_no_part_of_a_decrypted_file() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::mount(stage.path("disk"), "size=200k") else {
        return;
    };
    let (backup, due) = (stage.path("backup"), stage.path("due"));
    assert!(run(&mut stage.backup(&backup)).status.success());
    assert!(run(&mut stage.decrypt(&backup, &due)).status.success());
    let failed = run(&mut stage.decrypt(&backup, &disk.0.join("out")));
    one_line(&failed, 1, "No space left on device");
    for (path, bytes) in tree(&disk.0) {
        let due = due.join(path.strip_prefix("out/").unwrap());
        assert!(fs::read(due).unwrap() == bytes, "{path} is not whole");
    }
}

/// Where other tools read a file at once, or count in 32 bits.
#[test]
fn files_of_more_than_two_gib_pass() {
    let stage = Stage::new();
    stage.resize((2 << 30) + 4097);
    let backup = stage.path("backup");
    let made = run(&mut stage.backup(&backup));
    assert!(made.status.success(), "{}", text(&made));
    let verified = run(Command::new("node")
        .current_dir(&backup)
        .args(["decrypt-backup.mjs", ".", "--verify", "--private-key"])
        .arg(stage.path("key.pem")));
    let said = text(&verified);
    assert!(verified.status.success(), "{said}");
    assert!(said.contains("all good"), "{said}");
}

fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a file below `folder` has some bytes.
fn wait_for_data(folder: &Path, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let grown = |folder: &Path| -> bool {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.len() > 4 * 1024 * 1024 {
                    return true;
                }
            }
        }
        false
    };
    while !grown(folder) {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(Instant::now() < deadline, "nothing was written");
        sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_stopped_run_ends_clean_with_a_code_of_its_own() {
    let stage = Stage::new();
    stage.grow_an_attachment();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let output = stage.path(name);
        let mut child = start(&mut stage.backup(&output));
        wait_for_data(&output, &mut child);
        if cfg!(target_os = "linux") {
            let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
            let core = limits
                .lines()
                .find(|l| l.starts_with("Max core file size"))
                .unwrap();
            assert!(
                core.split_whitespace().nth(4) == Some("0"),
                "secrets could reach a core file: {core}"
            );
        }
        signal(&child, name);
        one_line(&child.wait_with_output().unwrap(), code, "interrupted");
        assert!(!output.exists(), "{name}");
    }
}

#[test]
fn two_runs_never_write_to_one_folder() {
    let stage = Stage::new();
    stage.grow_an_attachment();
    let output = stage.path("backup");
    let mut first = start(&mut stage.backup(&output));
    wait_for_data(&output, &mut first);
    let second = run(&mut stage.backup(&output));
    one_line(&second, 2, "another backup is being written to");
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", text(&first));
    let opened = run(&mut stage.decrypt(&output, &stage.path("d")));
    assert!(opened.status.success(), "{}", text(&opened));
}

#[test]
fn a_killed_run_is_no_backup_and_the_next_one_starts_clean() {
    let stage = Stage::new();
    let before = stage.path("before");
    assert!(run(&mut stage.backup(&before)).status.success());
    let stood = tree(&before);
    let attachment = stage.file("/attachments/");
    let size = fs::metadata(&attachment).unwrap().len();
    stage.grow_an_attachment();
    let output = stage.path("backup");
    let mut child = start(&mut stage.backup(&output));
    wait_for_data(&output, &mut child);
    signal(&child, "KILL");
    child.wait().unwrap();
    assert!(output.join(STAGING).is_dir());
    assert!(!output.join("manifest.json").exists());
    let opened = run(&mut stage.decrypt(&output, &stage.path("d1")));
    assert_eq!(opened.status.code(), Some(2), "{}", text(&opened));
    assert!(
        text(&opened).contains("is not a backup"),
        "{}",
        text(&opened)
    );
    assert!(tree(&before) == stood, "what stood before was touched");

    stage.resize(size);
    let again = run(&mut stage.backup(&output));
    assert!(again.status.success(), "{}", text(&again));
    assert!(
        text(&again).contains("an earlier run did not finish"),
        "{}",
        text(&again)
    );
    assert!(!output.join(STAGING).exists());
    let opened = run(&mut stage.decrypt(&output, &stage.path("d2")));
    assert!(opened.status.success(), "{}", text(&opened));
}

#[test]
fn a_stopped_decryption_leaves_nothing_unfinished() {
    let stage = Stage::new();
    stage.grow_an_attachment();
    let backup = stage.path("backup");
    assert!(run(&mut stage.backup(&backup)).status.success());
    let out = stage.path("out");
    let mut child = start(&mut stage.decrypt(&backup, &out));
    wait_for_data(&out, &mut child);
    signal(&child, "TERM");
    one_line(&child.wait_with_output().unwrap(), 143, "interrupted");
    let left = fs::read_dir(&out).into_iter().flatten().flatten();
    assert!(
        left.map(|e| e.file_name())
            .all(|name| !name.to_str().unwrap().starts_with(".decrypting"))
    );
    assert!(
        tree(&out)
            .values()
            .all(|bytes| (bytes.len() as u64) < LARGE)
    );
    assert!(!out.join("manifest.json").exists());
}
