//! Reading a real SQLite platform: in use, damaged, incomplete. That a sound one is read right is tested through the archive, in
//! tests/tests/fixture_platform.rs.

#![allow(clippy::unwrap_used)]

mod keeper;

use pryv_backup_engine::config::Config;
use pryv_backup_engine::platform::{
    Attachment, Collection, Platform, PlatformLoss, PlatformMode, SinkError, User, UserSink, open,
};
use pryv_backup_test_need as need;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Collected {
    lines: HashMap<Collection, Vec<Value>>,
    raw: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    losses: Vec<PlatformLoss>,
}

impl UserSink for Collected {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        assert!(!line.contains(&b'\n'));
        self.raw.push(String::from_utf8(line.to_vec())?);
        self.lines
            .entry(collection)
            .or_default()
            .push(serde_json::from_slice(line)?);
        Ok(())
    }
    fn attachment(
        &mut self,
        file: &Attachment,
        _: Option<u64>,
        reader: &mut dyn Read,
    ) -> Result<(), SinkError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        assert!(
            self.files.insert(file.id.clone(), bytes).is_none(),
            "{} twice",
            file.id
        );
        Ok(())
    }
    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        self.losses.push(loss);
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// A writable copy of the platform, or `None` where the fixtures are absent.
fn platform() -> Option<(tempfile::TempDir, PathBuf)> {
    let source = need::fixtures()?.join("platform-sqlite/users");
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    copy(&source, &users);
    Some((dir, users))
}

fn opened(users: &Path) -> Box<dyn Platform> {
    let env = [
        ("storages__base__engine", "sqlite"),
        ("storages__series__engine", "sqlite"),
        ("storages__engines__sqlite__path", users.to_str().unwrap()),
    ];
    let env = env.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
    open(
        &Config::load(Path::new("/nowhere"), None, env).unwrap(),
        PlatformMode::None,
    )
    .unwrap()
}

fn export(platform: &dyn Platform, user: &User) -> Collected {
    keeper::export(platform, user)
}

#[test]
fn a_live_log_is_read() {
    let Some((_dir, users)) = platform() else {
        return;
    };
    let file = users.join("b/c/n/kxlegbfexvcpxgxfyft5ancb/local-1.0.0.sqlite");
    let writer = rusqlite::Connection::open(&file).unwrap();
    writer.execute_batch("INSERT INTO events(eventid, streamIds, time, type, content, attachments) VALUES ('new', 'root ..', -0.0, 'note/txt', '12345678901234567890', '[{\"id\":\"gone\"},{\"id\":\"../x\"}]')").unwrap();
    assert!(
        fs::metadata(file.with_file_name("local-1.0.0.sqlite-wal"))
            .unwrap()
            .len()
            > 0
    );
    let platform = opened(&users);
    let ours = export(platform.as_ref(), &platform.users().unwrap()[0]);
    let line = ours
        .raw
        .iter()
        .find(|line| line.ends_with("\"id\":\"new\"}"))
        .unwrap();
    assert!(
        line.contains("\"time\":0,\"endTime\":null")
            && line.contains("\"content\":12345678901234567890,"),
        "{line}"
    );
    let losses: Vec<_> = ours
        .losses
        .iter()
        .map(|loss| loss.collection.as_deref().unwrap())
        .collect();
    assert_eq!(losses, ["attachments", "attachments"]);
}

#[test]
fn damage_and_absence_are_losses() {
    let Some((_dir, users)) = platform() else {
        return;
    };
    let folder = users.join("b/c/n/kxlegbfexvcpxgxfyft5ancb");
    fs::write(folder.join("local-1.0.0.sqlite"), "no database").unwrap();
    fs::remove_file(folder.join("account-1.0.0.sqlite")).unwrap();
    let _ = fs::remove_file(folder.join("local-1.0.0.sqlite-wal"));
    let platform = opened(&users);
    let ours = export(platform.as_ref(), &platform.users().unwrap()[0]);
    assert_eq!(ours.losses.len(), 2, "{:?}", ours.losses);
    assert!(
        ours.losses[0]
            .path
            .as_deref()
            .unwrap()
            .ends_with("local-1.0.0.sqlite")
    );
    assert!(
        ours.losses[1]
            .path
            .as_deref()
            .unwrap()
            .ends_with("account-1.0.0.sqlite")
    );
    assert!(!folder.join("account-1.0.0.sqlite").exists());
    assert!(
        !ours.lines[&Collection::Streams].is_empty() && !ours.lines[&Collection::Audit].is_empty()
    );
}

#[test]
fn a_name_given_up_brings_no_series_of_its_other_owners() {
    let Some((_dir, users)) = platform() else {
        return;
    };
    let folder = users.join("b/c/n/kxlegbfexvcpxgxfyft5ancb");
    let open = |path: &std::path::Path| rusqlite::Connection::open(path).unwrap();
    open(&folder.join("account-1.0.0.sqlite"))
        .execute_batch("INSERT INTO account_fields VALUES ('username', '\"bob00\"', 1, 'x')")
        .unwrap();
    let event: String = open(&folder.join("local-1.0.0.sqlite"))
        .query_row("SELECT eventid FROM events LIMIT 1", [], |row| row.get(0))
        .unwrap();
    open(&users.join("0/0/b/user.bob00/series-1.0.0.sqlite"))
        .execute(
            "INSERT INTO series_data VALUES ('event.' || ?, 1, 1, '{}')",
            [&event],
        )
        .unwrap();
    let series = || {
        let platform = opened(&users);
        let ours = export(platform.as_ref(), &platform.users().unwrap()[0]);
        let lines = ours.lines[&Collection::Series].iter();
        lines
            .filter(|line| line["namespace"] == "user.bob00")
            .map(|line| line["measurement"].clone())
            .collect::<Vec<_>>()
    };
    // Its own, and nothing of its other owner, who bears the name or gave it up too.
    assert_eq!(series(), [format!("event.{event}")]);
    let index = open(&users.join("user-index.db"));
    let bob: String = index
        .query_row(
            "SELECT userId FROM id4name WHERE username = 'bob00'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    index
        .execute_batch("UPDATE id4name SET username = 'bob01' WHERE username = 'bob00'")
        .unwrap();
    drop(index);
    let shards: Vec<String> = bob.chars().rev().take(3).map(String::from).collect();
    let account = users
        .join(shards.join("/"))
        .join(&bob)
        .join("account-1.0.0.sqlite");
    open(&account)
        .execute_batch("INSERT INTO account_fields VALUES ('username', '\"bob00\"', 1, 'x')")
        .unwrap();
    assert_eq!(series(), [format!("event.{event}")]);
}

#[test]
fn a_malformed_record_is_a_loss_and_the_others_pass() {
    let Some((_dir, users)) = platform() else {
        return;
    };
    let folder = users.join("b/c/n/kxlegbfexvcpxgxfyft5ancb");
    let platform = opened(&users);
    let alice = &platform.users().unwrap()[0];
    let before = export(platform.as_ref(), alice);
    let writer = rusqlite::Connection::open(folder.join("local-1.0.0.sqlite")).unwrap();
    writer.execute_batch("UPDATE events SET content = '{\"cut\":' WHERE rowid = 3; UPDATE events SET type = CAST(x'ff' AS TEXT) WHERE rowid = 5").unwrap();
    drop(writer);
    let after = export(platform.as_ref(), alice);
    assert_eq!(after.losses.len(), 2, "{:?}", after.losses);
    assert_eq!(
        after.lines[&Collection::Events].len() + 2,
        before.lines[&Collection::Events].len()
    );
}

#[test]
fn a_damaged_page_is_a_loss() {
    let Some((_dir, users)) = platform() else {
        return;
    };
    let file = users.join("b/c/n/kxlegbfexvcpxgxfyft5ancb/local-1.0.0.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 400_000].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    let platform = opened(&users);
    let ours = export(platform.as_ref(), &platform.users().unwrap()[0]);
    assert!(
        ours.losses
            .iter()
            .any(|loss| loss.collection.as_deref() == Some("events")),
        "{:?}",
        ours.losses
    );
    assert!(ours.lines.contains_key(&Collection::Account));
}
