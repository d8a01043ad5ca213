//! Attachments that are not what their events say: decided when the backup is made, and the same to whoever reads it.

use crate::{backup, file, losses, platforms};
use pryv_backup_tests::{
    command::{report, run, signal, text, tool},
    folder, rich,
    session::Session,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// Output of `verify` with the key.
fn verified(stage: &Stage, archive: &Path) -> (Option<i32>, Value) {
    let done = run(Command::new(tool())
        .arg("verify")
        .arg(archive)
        .args(["--json", "--private-key"])
        .arg(stage.key()));
    (done.status.code(), report(&done))
}

/// An empty platform like another.
fn empty<'s>(stage: &'s Stage, like: &Platform<'_>) -> Platform<'s> {
    match like.database {
        Some(_) => stage.postgres().unwrap(),
        None => stage.sqlite(),
    }
}

/// Everything that each user lost in a restore, and what is noted.
fn restored(done: &Output) -> (String, String) {
    let said = report(done);
    let of = |what: &str| {
        let users = said["users"].as_array().unwrap().iter();
        users.map(|user| user[what].to_string()).collect()
    };
    (of("losses"), of("notes"))
}

#[test]
fn another_size_or_none_is_the_same_loss_to_everybody() {
    let Some(stage) = Stage::new() else { return };
    type Harm = fn(&Path);
    let harms: [(&str, &str, Harm); 2] = [
        ("its event says", "of other size", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.push(b'x');
            fs::write(path, bytes).unwrap();
        }),
        ("cannot be read", "does not hold", |path| {
            fs::remove_file(path).unwrap();
        }),
    ];
    for before in platforms(&stage, 2) {
        for (says, verify_says, harm) in harms {
            let platform = stage.copy(&before);
            let path = live(&platform);
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            harm(&path);
            let archive = stage.at("archive");
            let lost = losses(&backup(&stage, &platform, &archive));
            let named = |all: &str, words: &str| all.contains(&name) && all.contains(words);
            assert_eq!(lost.len(), 1, "{lost:#?}");
            assert!(named(&lost[0].to_string(), says), "{lost:#?}");
            let (code, said) = verified(&stage, &archive);
            assert_eq!(code, Some(5), "{said}");
            assert!(named(&said["problems"].to_string(), verify_says), "{said}");
            let target = empty(&stage, &platform);
            let done = target.restore(&archive, &["--skip-platform", "--delete-on-success"]);
            assert_eq!(done.status.code(), Some(5), "{}", text(&done));
            assert!(named(&restored(&done).0, "attachment"), "{}", text(&done));
            assert!(archive.exists());
            fs::remove_dir_all(archive).unwrap();
            target.remove();
            platform.remove();
        }
    }
}

/// The file of an event that lives.
fn live(platform: &Platform<'_>) -> PathBuf {
    let files = folder::files(&platform.users).into_iter();
    let mut files =
        files.filter(|path| path.is_file() && path.to_str().unwrap().contains("/attachments/"));
    let lives = |path: &PathBuf| {
        let event = path.parent().unwrap();
        let id = event.file_name().unwrap().to_str().unwrap();
        match platform.database {
            Some(_) => platform.count(&format!("SELECT count(*) FROM events WHERE id = '{id}' AND deleted IS NULL AND attachments <> '[]'")) > 0,
            None => {
                let home = event.parent().unwrap().parent().unwrap();
                let events = Connection::open(home.join("local-1.0.0.sqlite")).unwrap();
                let count = "SELECT count(*) FROM events WHERE eventid = ? AND deleted IS NULL AND attachments <> '[]'";
                events.query_row(count, [id], |row| row.get::<_, i64>(0)).unwrap() > 0
            }
        }
    };
    files.find(lives).unwrap()
}

/// In the database too.
#[test]
fn another_size_in_the_database_is_a_loss() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres() else {
        return;
    };
    rich::fill(&stage, &source, 1, 5);
    let archive = source.backup("first");
    let platform = stage
        .postgres()
        .unwrap()
        .with("storages__file__engine", "postgresql");
    let done = platform.restore(&archive, &["--skip-platform"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    platform.sql(
        "UPDATE attachment_files SET data = data || 'x' WHERE (event_id, file_id) IN (SELECT id, attachments -> 0 ->> 'id' FROM events \
         WHERE head_id IS NULL AND deleted IS NULL AND attachments <> '[]' ORDER BY id LIMIT 1)",
    );
    let lost = losses(&backup(&stage, &platform, &stage.at("archive")));
    assert_eq!(lost.len(), 1, "{lost:#?}");
    assert!(lost[0].to_string().contains("its event says"), "{lost:#?}");
}

/// Each run of a chain says so again, as long as it is so.
#[test]
fn every_run_of_a_chain_names_another_size() {
    let Some(stage) = Stage::new() else { return };
    for (n, platform) in platforms(&stage, 2).into_iter().enumerate() {
        let path = live(&platform);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        let chain = || {
            run(platform
                .command()
                .args(["--incremental", "--json", "--recipient-pubkey"])
                .arg(stage.fixtures.join("keys/recipient.pub.pem"))
                .arg("--output")
                .arg(stage.at(&format!("chain {n}")))
                .arg("--state-dir")
                .arg(stage.at(&format!("state {n}"))))
        };
        for _ in 0..3 {
            let lost = losses(&chain());
            assert_eq!(lost.len(), 1, "{lost:#?}");
            assert!(lost[0].to_string().contains("its event says"), "{lost:#?}");
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(chain().status.code(), Some(0));
    }
}

fn begun(platform: &Platform<'_>, stage: &Stage, archive: &Path) -> Child {
    platform
        .command()
        .args(["--json", "--jobs", "1", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(archive)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A file that goes with its event, after the backup has fixed its instant.
#[test]
fn what_is_deleted_meanwhile_is_no_loss_to_anybody() {
    let Some(stage) = Stage::new() else { return };
    for platform in platforms(&stage, 1) {
        let path = live(&platform);
        let event = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let archive = stage.at("archive");
        let done = if platform.database.is_some() {
            let mut somebody = Session::of(&stage, &platform);
            somebody.lock("webhooks");
            let mut child = begun(&platform, &stage, &archive);
            somebody.wait_for_waiting(&mut child);
            platform.sql(&format!(
                "UPDATE events SET deleted = 1, attachments = NULL WHERE id = '{event}'"
            ));
            fs::remove_file(&path).unwrap();
            drop(somebody);
            child.wait_with_output().unwrap()
        } else {
            // So many events that there is time between the first of them and their attachments.
            let store = file(&platform, "local-1.0.0.sqlite");
            let user = store.parent().unwrap().file_name().unwrap().to_owned();
            let store = Connection::open(store).unwrap();
            store
                .execute_batch(
                    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000) \
                     INSERT INTO events (eventid, streamIds, time, type, content) SELECT 'many-' || n, 'a ..', n, 't', '\"' || hex(randomblob(50)) || '\"' FROM n",
                )
                .unwrap();
            let made = archive.join(".pryv-backup-partial/users").join(user);
            // Until it is stopped between the two; on a busy machine that may come too late.
            let child = (0..20).find_map(|_| {
                let mut child = begun(&platform, &stage, &archive);
                while !made.join("events").exists() {
                    assert!(child.try_wait().unwrap().is_none());
                }
                signal(&child, "-STOP");
                if made.parent().unwrap().exists() && !made.join("attachments").exists() {
                    return Some(child);
                }
                child.kill().unwrap();
                child.wait().unwrap();
                fs::remove_dir_all(&archive).unwrap();
                None
            });
            let child = child.unwrap_or_else(|| panic!("it was always stopped too late"));
            let delete = "UPDATE events SET deleted = 1, attachments = NULL WHERE eventid = ?";
            store.execute(delete, [event]).unwrap();
            fs::remove_file(&path).unwrap();
            signal(&child, "-CONT");
            child.wait_with_output().unwrap()
        };
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let (code, said) = verified(&stage, &archive);
        assert_eq!(code, Some(0), "{said}");
        let note = said["notes"].to_string();
        assert!(
            note.contains("deleted with their events") && note.contains(name),
            "{said}"
        );
        let target = empty(&stage, &platform);
        let done = target.restore(&archive, &["--skip-platform", "--delete-on-success"]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let (losses, notes) = restored(&done);
        assert_eq!(losses, "[]");
        assert!(
            notes.contains(name) && notes.contains("deleted with its event"),
            "{notes}"
        );
        assert!(!archive.exists());
    }
}
