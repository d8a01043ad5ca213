//! Archives that somebody made or changed with intent: no key leads out of what is the user's own.

use super::{PREFIX, objects, stage, with_bucket};
use crate::draft::Draft;
use pryv_backup_tests::command::{report, text};
use serde_json::json;
use std::fs;

#[test]
fn ids_that_lead_elsewhere_cost_their_user() {
    let Some((stage, store)) = stage() else {
        return;
    };
    for (n, id) in ["../zoe/e", "zoe/e", "..", "a\0b", " e", "e\u{a0}", "a\\b"]
        .into_iter()
        .enumerate()
    {
        let draft = Draft::new(&stage, &format!("archive {n}"));
        let file = draft.at(0, "attachments");
        fs::create_dir_all(&file).unwrap();
        fs::write(file.join("evilfile"), "x").unwrap();
        let event = json!({"id": id, "streamIds": ["x"], "time": 1, "endTime": 1, "type": "x/y",
            "attachments": [{"id": "evilfile", "fileName": "x", "type": "x", "size": 1}]});
        draft.append(0, "events/events-0001.jsonl", &event.to_string());
        for target in std::iter::once(stage.sqlite()).chain(stage.postgres()) {
            let bucket = store.plain();
            bucket.put(&format!("{PREFIX}zoe/e/f"), b"zoe's");
            let before = objects(&bucket);
            let target = with_bucket(target, &bucket, store.port());
            let done = target.restore(&draft.root, &[]);
            assert_eq!(done.status.code(), Some(5), "{}", text(&done));
            let said = report(&done);
            assert_eq!(said["users"][0]["outcome"], "failed", "{said}");
            let reason = said["users"][0]["reason"].as_str().unwrap();
            assert!(reason.contains("is not the name of a file"), "{reason}");
            let now = objects(&bucket);
            let user = draft.id(0);
            assert!(
                !now.keys()
                    .any(|key| key.contains("evilfile") || key.contains(&user)),
                "{now:?}"
            );
            assert!(
                before
                    .iter()
                    .all(|(key, bytes)| now.get(key) == Some(bytes))
            );
            assert!(target.is_left_clean());
            target.remove();
        }
    }
}

/// Ids of users that a client of the store would change into those of others, and the one that is the place aside.
#[test]
fn ids_of_users_that_become_others() {
    let Some((stage, store)) = stage() else {
        return;
    };
    for (n, id) in [" zoe", "zoe\u{a0}", ".pryv-backup-restore"]
        .into_iter()
        .enumerate()
    {
        let mut draft = Draft::new(&stage, &format!("archive {n}"));
        let old = draft.root.join("users").join(draft.id(0));
        draft.manifest["users"][0]["userId"] = id.into();
        fs::rename(old, draft.root.join("users").join(id)).unwrap();
        draft.seal();
        let file = draft.at(0, "attachments");
        fs::create_dir_all(&file).unwrap();
        fs::write(file.join("evilfile"), "x").unwrap();
        let event = json!({"id": "e", "streamIds": ["x"], "time": 1, "endTime": 1, "type": "x/y",
            "attachments": [{"id": "evilfile", "fileName": "x", "type": "x", "size": 1}]});
        draft.append(0, "events/events-0001.jsonl", &event.to_string());
        for target in std::iter::once(stage.sqlite()).chain(stage.postgres()) {
            let bucket = store.plain();
            bucket.put("zoe/e/evilfile", b"zoe's");
            let before = objects(&bucket);
            let target = with_bucket(target, &bucket, store.port())
                .with("storages__engines__s3__keyPrefix", "");
            let done = target.restore(&draft.root, &["--overwrite"]);
            assert!(matches!(done.status.code(), Some(4 | 5)), "{}", text(&done));
            let now = objects(&bucket);
            assert!(
                before
                    .iter()
                    .all(|(key, bytes)| now.get(key) == Some(bytes)),
                "{now:?}"
            );
            assert!(
                !now.keys()
                    .any(|key| key.contains("evilfile") && key != "zoe/e/evilfile"),
                "{now:?}"
            );
            target.remove();
        }
    }
}
