//! Increments: of attachments that an earlier run brought, it is only asked whether they are there.

use super::{PREFIX, losses, moved, objects, restored, stage, with_bucket};
use pryv_backup_tests::{
    command::{run, text},
    folder,
    object_store::{Fault, StoreProxy},
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

fn increment(stage: &Stage, platform: &Platform<'_>, chain: &str, code: i32) -> Output {
    let made = run(platform
        .command()
        .env("PRYV_BACKUP_STATE_DIR", stage.at("state"))
        .args(["--incremental", "--json", "--output"])
        .arg(stage.at(chain)));
    assert_eq!(made.status.code(), Some(code), "{}", text(&made));
    made
}

/// Attachments that a run of a chain brought.
fn brought(stage: &Stage, chain: &str, run: &str) -> Vec<PathBuf> {
    let files = folder::files(&stage.at(chain).join("increments").join(run));
    let is_attachment =
        |path: &PathBuf| path.is_file() && path.to_string_lossy().contains("/attachments/");
    files.into_iter().filter(is_attachment).collect()
}

/// Gives an event another attachment; returns the key of the new one.
fn attach(platform: &Platform<'_>, key: &str, file: &str) -> String {
    let parts: Vec<&str> = key[PREFIX.len()..].split('/').collect();
    let (user, event) = (parts[0], parts[1]);
    let new = format!(r#"{{"id": "{file}", "fileName": "n", "type": "t", "size": 4}}"#);
    match platform.database {
        Some(_) => {
            platform.sql(&format!(
                "UPDATE events SET attachments = attachments || '[{new}]'::jsonb, modified = modified + 1 WHERE user_id = '{user}' AND id = '{event}'"
            ));
        }
        None => {
            let events = folder::files(&platform.users).into_iter();
            let mut events =
                events.filter(|path| path.ends_with(format!("{user}/local-1.0.0.sqlite")));
            let changed = Connection::open(events.next().unwrap()).unwrap().execute(
                "UPDATE events SET attachments = json_insert(attachments, '$[#]', json(?)), modified = modified + 1 WHERE eventid = ? AND headId IS NULL",
                [new.as_str(), event],
            );
            assert_eq!(changed.unwrap(), 1);
        }
    }
    format!("{PREFIX}{user}/{event}/{file}")
}

#[test]
fn a_run_brings_what_is_new() {
    let Some((stage, store)) = stage() else {
        return;
    };
    for (n, source) in std::iter::once(stage.sqlite_fixture())
        .chain(stage.postgres_fixture())
        .enumerate()
    {
        let bucket = store.plain();
        let platform = moved(source, &bucket, store.port());
        let chain = format!("chain {n}");
        increment(&stage, &platform, &chain, 0);
        // One of a live event: the backup of a lost one says so.
        let keys: Vec<String> = objects(&bucket).into_keys().collect();
        let live = keys.iter().find(|key| is_live(&platform, key)).unwrap();
        let key = attach(&platform, live, "newone");
        bucket.put(&key, b"new!");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = asked.clone();
        let proxy = StoreProxy::start(store.port(), move |_, first| {
            noted.lock().unwrap().push(first.to_owned());
            Fault::None
        });
        let platform = with_bucket(platform, &bucket, proxy.port);
        increment(&stage, &platform, &chain, 0);
        let new = brought(&stage, &chain, "0002");
        assert_eq!(new.len(), 1, "{new:?}");
        assert!(new[0].ends_with("newone"));
        let fetched = asked.lock().unwrap().clone();
        let fetched: Vec<&String> = fetched
            .iter()
            .filter(|first| first.starts_with("GET") && !first.contains("list-type"))
            .collect();
        assert_eq!(fetched.len(), 1, "{fetched:#?}");
        // One that is gone is named, and asked for again.
        let lost = attach(&platform, live, "lostone");
        for _ in 0..2 {
            let made = increment(&stage, &platform, &chain, 5);
            let named = losses(&made);
            assert!(named.len() == 1 && named[0].contains(&lost), "{named:#?}");
        }
        bucket.put(&lost, b"here");
        increment(&stage, &platform, &chain, 0);
        let due = objects(&bucket);
        let other = store.plain();
        let empty = match platform.database {
            Some(_) => stage.postgres().unwrap(),
            None => stage.sqlite(),
        };
        let target = with_bucket(empty, &other, store.port());
        restored(&target.restore(&stage.at(&chain), &[]));
        assert!(objects(&other) == due);
    }
}

/// Whether the event of an attachment is there.
fn is_live(platform: &Platform<'_>, key: &str) -> bool {
    let parts: Vec<&str> = key[PREFIX.len()..].split('/').collect();
    let (user, event) = (parts[0], parts[1]);
    match platform.database {
        Some(_) => platform.count(&format!(
            "SELECT count(*) FROM events WHERE user_id = '{user}' AND id = '{event}' AND deleted IS NULL AND attachments <> '[]'"
        )) == 1,
        None => {
            let events = folder::files(&platform.users).into_iter();
            let mut events = events.filter(|path| path.ends_with(format!("{user}/local-1.0.0.sqlite")));
            let count = "SELECT count(*) FROM events WHERE eventid = ? AND headId IS NULL AND deleted IS NULL AND json_array_length(attachments) > 0";
            let events = Connection::open(events.next().unwrap()).unwrap();
            events.query_row(count, [event], |row| row.get::<_, i64>(0)).unwrap() == 1
        }
    }
}
