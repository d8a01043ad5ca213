//! What others put while a restore is at work, be it the same, stays; and what a restore needs and others have taken is told.

use super::{
    PREFIX,
    kills::{fill, killed_at, made},
    objects, of_user, restored, small, stage, with_bucket,
};
use crate::draft::Draft;
use pryv_backup_tests::{
    command::{report, text},
    object_store::{Bucket, Fault, StoreProxy},
};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The key below the prefix of an attachment that a request puts.
fn put_key(line: &str) -> Option<String> {
    let key = line.split(' ').nth(1)?.split_once(PREFIX)?.1;
    let key = key.split('?').next()?;
    (line.starts_with("PUT") && !key.starts_with('.')).then(|| format!("{PREFIX}{key}"))
}

/// Two restores of one backup put the same bytes: whichever comes later fails, and takes nothing away from the other.
#[test]
fn the_same_that_somebody_else_has_put_stays() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = super::moved(stage.sqlite_fixture(), &source, store.port());
    let archive = small(&stage, &platform, "archive");
    for target in std::iter::once(stage.sqlite()).chain(stage.postgres()) {
        let bucket = store.plain();
        let (there, from) = (bucket.clone(), source.clone());
        let first = Arc::new(Mutex::new(None::<String>));
        let noted = first.clone();
        let proxy = StoreProxy::start(store.port(), move |_, line| {
            let mut noted = noted.lock().unwrap();
            if let (None, Some(key)) = (noted.as_ref(), put_key(line)) {
                there.put(&key, &from.get(&key));
                *noted = Some(key);
            }
            Fault::None
        });
        let target = with_bucket(target, &bucket, proxy.port);
        let done = target.restore(&archive, &["--jobs", "1"]);
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        let key = first.lock().unwrap().clone().unwrap();
        let now = objects(&bucket);
        let user = key[PREFIX.len()..].split('/').next().unwrap();
        let own = of_user(&now, user);
        assert_eq!(own.keys().collect::<Vec<_>>(), [&key]);
        assert!(now[&key] == source.get(&key) && target.is_left_clean());
    }
}

/// What a killed restore has sent, and somebody has put anew since, belongs to that one.
#[test]
fn what_was_put_anew_after_a_kill_stays() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (archive, due) = made(&stage, store, stage.sqlite_fixture());
    let bucket = store.plain();
    let target = with_bucket(stage.sqlite(), &bucket, store.port());
    let proxy = StoreProxy::start(store.port(), |n, _| match n >= 9 {
        true => Fault::Silent,
        false => Fault::None,
    });
    assert!(killed_at(&target, &archive, &proxy, 9));
    let mut before = objects(&bucket);
    before.retain(|key, _| due.contains_key(key));
    assert!(before.len() > 1 && before.len() < due.len());
    let (left, kept) = before.iter().next().unwrap();
    bucket.put(left, kept);
    let next = target.restore(&archive, &[]);
    assert_eq!(next.status.code(), Some(5), "{}", text(&next));
    let said = text(&next);
    assert!(said.contains("holds attachments of this user"), "{said}");
    let mut now = objects(&bucket);
    now.retain(|key, _| due.contains_key(key));
    assert_eq!(now.keys().collect::<Vec<_>>(), [left]);
    assert!(target.is_left_clean());
    restored(&target.restore(&archive, &["--overwrite"]));
    let mut now = objects(&bucket);
    now.retain(|key, _| !key.contains("/.pryv-backup-restore/"));
    assert!(now == due);
}

/// A store that takes an object where there is one, whatever condition is asked for, is not believed to know conditions.
#[test]
fn a_store_that_passes_over_conditions_is_known() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = super::moved(stage.sqlite_fixture(), &source, store.port());
    let archive = small(&stage, &platform, "archive");
    let bucket = store.plain();
    let (there, came) = (bucket.clone(), AtomicUsize::new(0));
    let proxy = StoreProxy::start(store.port(), move |_, line| {
        if line.starts_with("PUT") && line.contains("/.pryv-backup-restore/probe") {
            return Fault::Unconditional;
        }
        if let Some(key) = put_key(line)
            && came.fetch_add(1, Ordering::SeqCst) == 0
        {
            there.put(&key, b"of somebody else");
        }
        Fault::None
    });
    let target = with_bucket(stage.sqlite(), &bucket, proxy.port);
    restored(&target.restore(&archive, &[]));
    let found = objects(&bucket);
    assert!(found.len() > 5);
    assert!(found.iter().all(|(key, bytes)| source.get(key) == *bytes));
}

/// Where a restore that was stopped keeps what it has noted: journals, and notes of attachments.
fn notes(users: &Path) -> (usize, Vec<PathBuf>) {
    let root = users.join(".pryv-backup-restore");
    let names = fs::read_dir(root).into_iter().flatten();
    let paths: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
    let is_journal = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("journal-")
    };
    let journals = paths.iter().filter(is_journal).count();
    let notes = paths.iter().map(|path| path.join("objects"));
    (journals, notes.filter(|path| path.exists()).collect())
}

/// What lies aside in a bucket, but for a probe.
fn aside(bucket: &Bucket) -> Vec<String> {
    let listed = bucket
        .list(&format!("{PREFIX}.pryv-backup-restore/"))
        .into_iter();
    let whole = listed.filter(|object| object.size > 0);
    whole.map(|object| object.key).collect()
}

/// A decided restore whose content aside is gone does not end as if all were in place.
#[test]
fn content_that_is_gone_from_aside_is_told() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (archive, due) = made(&stage, store, stage.sqlite_fixture());
    let user = due.keys().next().unwrap()[PREFIX.len()..].split('/').next();
    let users = [user.unwrap().to_owned()];
    let bucket = store.plain();
    let fresh = || with_bucket(stage.sqlite_fixture(), &bucket, store.port());
    fill(&bucket, &due, &users);
    let counting = StoreProxy::start(store.port(), |_, _| Fault::None);
    let target = with_bucket(fresh(), &bucket, counting.port);
    restored(&target.restore(&archive, &["--overwrite", "--jobs", "1"]));
    let (changed, mut in_place) = (due.keys().nth(1).unwrap(), false);
    for at in (2..=counting.requests()).rev() {
        fill(&bucket, &due, &users);
        let proxy = StoreProxy::start(store.port(), move |n, _| match n >= at {
            true => Fault::Silent,
            false => Fault::None,
        });
        let target = fresh();
        killed_at(&target, &archive, &proxy, at);
        let (journals, notes) = notes(&target.users);
        let [content] = &aside(&bucket)[..] else {
            continue;
        };
        if journals == 0 {
            continue;
        }
        bucket.delete(content);
        let before = objects(&bucket);
        let next = target.restore(&archive, &[]);
        // It may have come into its place before.
        if before.get(changed) == due.get(changed) {
            assert_eq!(next.status.code(), Some(5), "{}", text(&next));
            assert!(of_user(&objects(&bucket), &users[0]) == due);
            assert!(target.is_left_clean());
            in_place = true;
            continue;
        }
        assert_eq!(next.status.code(), Some(1), "{}", text(&next));
        let said = text(&next);
        assert!(said.contains("is not there any more"), "{said}");
        let [note] = &notes[..] else {
            panic!("{notes:?}")
        };
        assert!(said.contains(note.to_str().unwrap()), "{said}");
        assert!(objects(&bucket) == before);
        // What is to be done helps.
        fs::remove_file(note).unwrap();
        restored(&target.restore(&archive, &["--overwrite"]));
        let now = of_user(&objects(&bucket), &users[0]);
        assert!(now == due && target.is_left_clean() && in_place);
        return;
    }
    panic!("nothing was killed with content aside");
}

/// Content that is compared and then read again is the same, or the user is as before.
#[test]
fn an_attachment_that_changes_while_it_is_compared_is_not_mixed() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let draft = Draft::new(&stage, "archive");
    let large: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
    let folder = draft.at(0, "attachments");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("large"), &large).unwrap();
    let event = json!({"id": "e1", "streamIds": ["x"], "time": 1, "endTime": 1, "type": "x/y",
        "attachments": [{"id": "large", "fileName": "x", "type": "x", "size": large.len()}]});
    draft.append(0, "events/events-0001.jsonl", &event.to_string());
    let key = format!("{PREFIX}{}/e1/large", draft.id(0));
    let mut there = large.clone();
    *there.last_mut().unwrap() ^= 1;
    let other = vec![7; large.len()];
    let mut changed = 0;
    // The first two requests compare it, the third begins to read it again.
    for at in 1..=4 {
        let bucket = store.plain();
        bucket.put(&key, &there);
        let gets = Arc::new(AtomicUsize::new(0));
        let (counted, put) = (gets.clone(), (bucket.clone(), key.clone(), other.clone()));
        let of_key = format!("GET /{}/{key} ", bucket.name());
        let proxy = StoreProxy::start(store.port(), move |_, line| {
            if line.starts_with(&of_key) && counted.fetch_add(1, Ordering::SeqCst) + 1 == at {
                put.0.put(&put.1, &put.2);
            }
            Fault::None
        });
        let target = with_bucket(stage.sqlite(), &bucket, proxy.port);
        let done = target.restore(&draft.root, &["--overwrite", "--jobs", "1"]);
        let now = bucket.get(&key);
        let user = draft.id(0);
        let said = report(&done);
        let of_user = said["users"].as_array().unwrap().iter();
        let outcome = of_user.clone().find(|one| one["userId"] == user.as_str());
        match outcome.unwrap()["outcome"].as_str().unwrap() {
            "restored" => assert!(now == large, "{at}"),
            _ => {
                changed += 1;
                assert!(now == other, "{at}");
            }
        }
        assert!(aside(&bucket).is_empty() && target.is_left_clean());
        if gets.load(Ordering::SeqCst) >= 3 && at == 3 {
            assert!(
                text(&done).contains("was changed or removed"),
                "{}",
                text(&done)
            );
        }
    }
    assert!(changed > 0);
}
