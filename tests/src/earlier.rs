//! Archives of a small platform that always becomes the same. Those that earlier versions made of it are part of the test kit.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rusqlite::Connection;

use crate::command::{run, text};

/// The passphrase of the archive that opens with one.
pub const PASSPHRASE: &str = "of earlier days 🔋";

/// Where the archives of earlier versions lie.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testkit/earlier")
}

/// The archives: name, and how many runs they have. Those that are decrypted are what the command decrypts of a sealed one, so that
/// nobody signs them.
pub const ARCHIVES: [(&str, u32); 7] = [
    ("recipients", 1),
    ("passphrase", 1),
    ("clear", 1),
    ("chain", 3),
    ("clear-chain", 3),
    ("decrypted", 1),
    ("decrypted-chain", 1),
];

/// People of the sample platform who stay, with their user ids.
const PEOPLE: [(&str, &str); 2] = [
    ("alice", "csample0000000000000alice"),
    ("zoe-m", "csample00000000000000zoe"),
];

/// Makes the sample smaller; every user is treated alike. `{other}` is the user who goes.
const SMALLER: [(&str, &str); 3] = [
    (
        "local-1.0.0.sqlite",
        "DELETE FROM events WHERE eventid LIKE 'event-00%' AND eventid > 'event-0007';
         UPDATE events SET attachments = replace(attachments, '200000', '900') WHERE eventid = 'event-files';",
    ),
    (
        "audit-1.0.0.sqlite",
        "DELETE FROM events WHERE eventid > 'audit-0003';",
    ),
    (
        "series-1.0.0.sqlite",
        "DELETE FROM series_data WHERE point_time > 5000000035;",
    ),
];

/// What happens to Alice before the second and the third run.
const LATER: [&[(&str, &str)]; 2] = [
    &[
        (
            "local-1.0.0.sqlite",
            "UPDATE events SET content = '\"written anew ✍️\"', modified = 1780100000.25 WHERE eventid = 'event-0002';
             UPDATE events SET streamIds = '..', time = NULL, endTime = NULL, type = NULL, content = NULL, attachments = NULL,
                 created = NULL, createdBy = NULL, modified = NULL, modifiedBy = NULL, deleted = 1780100001.5
                 WHERE eventid IN ('event-0004', 'event-files');
             DELETE FROM events WHERE eventid = 'event-0006';
             INSERT INTO events (eventid, streamIds, time, endTime, type, attachments, created, createdBy, modified, modifiedBy)
                 VALUES ('event-new', 'diary ..', 1780100002, 1780100002, 'picture/attached',
                     '[{\"id\":\"file-new\",\"fileName\":\"new.bin\",\"type\":\"application/octet-stream\",\"size\":300}]',
                     1780100002, 'acc-app', 1780100002, 'acc-app');",
        ),
        (
            "series-1.0.0.sqlite",
            "DELETE FROM series_data WHERE point_time = 2000000014;",
        ),
    ],
    &[
        (
            "local-1.0.0.sqlite",
            "UPDATE events SET content = '61.5', modified = 1780200000.25 WHERE eventid = 'event-0001';
             DELETE FROM events WHERE eventid = 'event-0003';",
        ),
        (
            "baseStorage-1.0.0.sqlite",
            "DELETE FROM streams WHERE id = 'night';",
        ),
        (
            "account-1.0.0.sqlite",
            "INSERT INTO account_fields VALUES ('language', '\"de\"', 1780200000, 'acc-app');",
        ),
    ],
];

/// A version that makes archives of the platform.
pub struct Maker<'a> {
    /// The command.
    pub tool: &'a Path,
    /// An empty folder.
    pub scratch: &'a Path,
}

impl Maker<'_> {
    /// Makes an archive of that name in `out`, and what this version decrypts of it at each run in `decrypted`, below the run's number.
    ///
    /// # Panics
    /// When the command fails.
    pub fn make(&self, name: &str, runs: u32, out: &Path, decrypted: &Path) {
        let platform = self.scratch.join(format!("platform-of-{name}"));
        self.run(name, Command::new(self.tool).arg("sample").arg(&platform));
        smaller(&platform);
        let sealed = self.scratch.join(format!("sealed-{name}"));
        let into = if name.starts_with("decrypted") {
            &sealed
        } else {
            out
        };
        for run in 1..=if name.ends_with("chain") { 3 } else { 1 } {
            if run > 1 {
                later(&platform, run);
            }
            self.back_up(name, &platform, into);
        }
        if into != out {
            let mut command = Command::new(self.tool);
            command.arg("decrypt").arg(sealed).arg("--out").arg(out);
            command.args(["--private-key", &key("alice.pem")]);
            self.run(name, &mut command);
        }
        fs::create_dir_all(decrypted).unwrap();
        for run in 1..=runs {
            let mut command = Command::new(self.tool);
            command.arg("decrypt").arg(out).arg("--out");
            command.arg(decrypted.join(run.to_string()));
            command.args(secret(name, run));
            if runs > 1 {
                command.args(["--at", &run.to_string()]);
            }
            self.run(name, &mut command);
        }
    }

    fn back_up(&self, name: &str, platform: &Path, out: &Path) {
        let mut command = Command::new(self.tool);
        command.args(["--platform", "none", "--pryv-root"]);
        command.arg(platform).arg("--config");
        command.arg(platform.join("config.yml"));
        command.arg("--output").arg(out);
        if has_recipients(name) || name.starts_with("decrypted") {
            for owner in ["alice", "bob"] {
                command.arg("--recipient-pubkey");
                command.arg(key(&format!("{owner}.pub.pem")));
            }
        }
        if name.ends_with("chain") {
            command.arg("--incremental");
        }
        command.env("PRYV_BACKUP_STATE_DIR", self.scratch.join("state"));
        command.arg("--sign-key").arg(key("host.key"));
        self.run(name, &mut command);
    }

    /// Runs a command to do with the archive of that name.
    fn run(&self, name: &str, command: &mut Command) {
        if name == "passphrase" {
            command.env("PRYV_BACKUP_PASSPHRASE", PASSPHRASE);
        }
        let done = run(command);
        assert!(done.status.success(), "{command:?}: {}", text(&done));
    }
}

/// What opens an archive of that name.
#[must_use]
pub fn secret(name: &str, run: u32) -> Vec<String> {
    if !has_recipients(name) {
        return Vec::new();
    }
    let owner = if run == 2 { "bob.pem" } else { "alice.pem" };
    vec!["--private-key".to_owned(), key(owner)]
}

fn has_recipients(name: &str) -> bool {
    matches!(name, "recipients" | "chain")
}

/// A key of the test kit.
fn key(name: &str) -> String {
    let keys = folder().with_file_name("keys");
    keys.join(name).to_str().unwrap().to_owned()
}

/// The folder of an id, which lies below its last three characters.
fn sharded(platform: &Path, id: &str) -> PathBuf {
    let mut folder = platform.join("users");
    folder.extend(id.chars().rev().take(3).map(String::from));
    folder.join(id)
}

/// Runs SQL in a user's databases; those of series have a folder of their own.
fn change(platform: &Path, (username, id): (&str, &str), changes: &[(&str, &str)]) {
    for (database, sql) in changes {
        let owner = match *database {
            "series-1.0.0.sqlite" => format!("user.{username}"),
            _ => id.to_owned(),
        };
        let file = sharded(platform, &owner).join(database);
        Connection::open(file).unwrap().execute_batch(sql).unwrap();
    }
}

fn smaller(platform: &Path) {
    let index = platform.join("users/user-index.db");
    let gone = "DELETE FROM id4name WHERE username = 'ken01';";
    Connection::open(index)
        .unwrap()
        .execute_batch(gone)
        .unwrap();
    for owner in ["csample00000000000000ken", "user.ken01"] {
        fs::remove_dir_all(sharded(platform, owner)).unwrap();
    }
    for person in PEOPLE {
        change(platform, person, &SMALLER);
        let files = sharded(platform, person.1).join("attachments/event-files");
        let portrait: Vec<u8> = (0..900_u32).map(|i| (i * i % 251) as u8).collect();
        fs::write(files.join("file-portrait"), portrait).unwrap();
    }
}

/// What happens before a run that is not the first.
fn later(platform: &Path, run: u32) {
    change(platform, PEOPLE[0], LATER[run as usize - 2]);
    let attachments = sharded(platform, PEOPLE[0].1).join("attachments");
    if run == 2 {
        fs::remove_dir_all(attachments.join("event-files")).unwrap();
        fs::create_dir(attachments.join("event-new")).unwrap();
        fs::write(attachments.join("event-new/file-new"), [7; 300]).unwrap();
    }
}
