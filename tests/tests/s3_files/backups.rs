//! Backups of attachments in a bucket: all that events list, and what is there besides.

use super::{PREFIX, archive, backup, losses, moved, objects, read, stage, with_bucket};
use pryv_backup_tests::{
    command::text,
    object_store::{Bucket, Fault, ObjectStore, StoreProxy, reach},
    plain::Plain,
    stage::{Platform, Stage},
};
use std::thread;

/// Both engines, each with its attachments in a bucket.
fn platforms<'s>(stage: &'s Stage, store: &ObjectStore) -> Vec<(Platform<'s>, Bucket)> {
    std::iter::once(stage.sqlite_fixture())
        .chain(stage.postgres_fixture())
        .map(|platform| {
            let bucket = store.plain();
            (moved(platform, &bucket, store.port()), bucket)
        })
        .collect()
}

/// An attachment of more than a byte that a live event lists: user, event and file.
fn listed(stage: &Stage, archive: &std::path::Path) -> [String; 3] {
    let plain = Plain::read(&stage.open(archive));
    for user in plain.json("manifest.json")["users"].as_array().unwrap() {
        let id = user["userId"].as_str().unwrap();
        for event in plain.records(&format!("users/{id}/events")) {
            let is_live = event["headId"].is_null()
                && event["deleted"].is_null()
                && event["attachments"][0]["size"].as_u64() > Some(1);
            if let (true, Some(file)) = (is_live, event["attachments"][0]["id"].as_str()) {
                let event = event["id"].as_str().unwrap();
                return [id, event, file].map(str::to_owned);
            }
        }
    }
    panic!("no attachment");
}

#[test]
fn attachments_come_from_the_bucket() {
    let Some((stage, store)) = stage() else {
        return;
    };
    for (n, source) in std::iter::once(stage.sqlite_fixture())
        .chain(stage.postgres_fixture())
        .enumerate()
    {
        let bucket = store.plain();
        let due = read(&stage, &archive(&source, &format!("files {n}")));
        let platform = moved(source, &bucket, store.port());
        let before = objects(&bucket);
        let made = archive(&platform, &format!("bucket {n}"));
        assert_eq!(read(&stage, &made), due);
        assert!(objects(&bucket) == before);
        let manifest = Plain::read(&stage.open(&made)).json("manifest.json");
        assert_eq!(manifest["platform"]["engines"]["file"], "s3");
    }
}

/// The prefix is what comes before the id, whatever it ends with; the key may be one of the environment.
#[test]
fn keys_are_as_the_configuration_says() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = stage.sqlite_fixture();
    let due = read(&stage, &archive(&source, "files"));
    let bucket = store.plain();
    let mut platform = moved(source, &bucket, store.port());
    for prefix in ["", "a-", "a/b c/", "é/+&=%"] {
        bucket.clear("");
        for (name, bytes) in super::attachments_of(&stage.sqlite_fixture()) {
            bucket.put(&format!("{prefix}{name}"), &bytes);
        }
        platform = platform
            .with("storages__engines__s3__keyPrefix", prefix)
            .with("storages__engines__s3__forcePathStyle", "true");
        let made = archive(&platform, &format!("prefix {}", prefix.len()));
        assert_eq!(read(&stage, &made), due, "{prefix}");
    }
    let platform = platform.with("storages__engines__s3__secretAccessKey", "null");
    let mut command = platform.command();
    reach(&mut command, store.port());
    let made = pryv_backup_tests::command::run(
        command
            .args(["--include-ephemeral", "--output"])
            .arg(stage.at("environment")),
    );
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

#[test]
fn an_attachment_that_the_bucket_lacks_is_named() {
    let Some((stage, store)) = stage() else {
        return;
    };
    for (n, (platform, bucket)) in platforms(&stage, store).into_iter().enumerate() {
        let whole = archive(&platform, &format!("whole {n}"));
        let [user, event, file] = listed(&stage, &whole);
        let key = format!("{PREFIX}{user}/{event}/{file}");
        let content = bucket.get(&key);
        bucket.delete(&key);
        let made = backup(&stage, &platform, &format!("lost {n}"), &[]);
        assert_eq!(made.status.code(), Some(5), "{}", text(&made));
        let lost = losses(&made);
        let due = format!(
            "s3://{}/{key}: attachment {file} of event {event} is not in the bucket",
            bucket.name()
        );
        assert_eq!(lost, [due]);
        // Another size is one too.
        bucket.put(&key, b"x");
        let made = backup(&stage, &platform, &format!("short {n}"), &[]);
        let lost = losses(&made);
        assert_eq!(lost.len(), 1, "{lost:#?}");
        assert!(
            lost[0].contains("has 1 bytes, and its event says"),
            "{lost:?}"
        );
        bucket.put(&key, b"");
        let made = backup(&stage, &platform, &format!("empty {n}"), &[]);
        assert!(losses(&made)[0].contains("has 0 bytes, and its event says"));
        bucket.put(&key, &content);
    }
}

/// A bucket that is another one, or a wrong prefix, is not one in which nobody has anything.
#[test]
fn a_wrong_prefix_is_a_loss_of_everything() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let bucket = store.plain();
    let platform = moved(stage.sqlite_fixture(), &bucket, store.port());
    let count = bucket.list("").len();
    let made = backup(
        &stage,
        &platform.with("storages__engines__s3__keyPrefix", "elsewhere/"),
        "nothing",
        &[],
    );
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let lost = losses(&made);
    assert!(lost.len() >= count / 2, "{lost:#?}");
    assert!(
        lost.iter()
            .all(|line| line.contains("is not in the bucket"))
    );
}

#[test]
fn objects_of_nobody_are_named() {
    let Some((stage, store)) = stage() else {
        return;
    };
    for (n, (platform, bucket)) in platforms(&stage, store).into_iter().enumerate() {
        // More than a store lists at once.
        thread::scope(|scope| {
            for part in 0..4 {
                let bucket = &bucket;
                scope.spawn(move || {
                    for i in 0..256 {
                        bucket.put(&format!("{PREFIX}zoe/e{part}/{i}"), b"z");
                    }
                });
            }
        });
        bucket.put(&format!("{PREFIX}other/software/has/it"), b"o");
        bucket.put(&format!("{PREFIX}readme"), b"r");
        bucket.put(&format!("{PREFIX}.pryv-backup-restore/ab"), b"aside");
        bucket.put("beside/the/prefix", b"b");
        let made = backup(&stage, &platform, &format!("unknown {n}"), &[]);
        assert_eq!(made.status.code(), Some(5), "{}", text(&made));
        let rest =
            "in the bucket of attachments, of no user who is in the index of users; left out";
        let due = [
            format!("s3/: 1 object {rest}"),
            format!("s3/other: 1 object {rest}"),
            format!("s3/zoe: 1024 objects {rest}"),
        ];
        assert_eq!(losses(&made), due);
        let accepted = [
            "--accept-loss",
            "s3/",
            "--accept-loss",
            "s3/other",
            "--accept-loss",
            "s3/zoe",
        ];
        let made = backup(&stage, &platform, &format!("accepted {n}"), &accepted);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        // Of one user, only what is its own is looked at.
        let made = backup(
            &stage,
            &platform,
            &format!("alice {n}"),
            &["--user", "alice"],
        );
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        bucket.clear(&format!("{PREFIX}other"));
    }
}

/// Read in parts, and of one content.
#[test]
fn a_large_attachment_is_of_one_content() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let bucket = store.plain();
    let platform = moved(stage.sqlite_fixture(), &bucket, store.port());
    let [user, event, file] = listed(&stage, &archive(&platform, "first"));
    let key = format!("{PREFIX}{user}/{event}/{file}");
    let large: Vec<u8> = (0..20_000_003_u32).map(|i| (i % 251) as u8).collect();
    bucket.put(&key, &large);
    let made = backup(&stage, &platform, "large", &[]);
    // Its event says another size.
    assert_eq!(losses(&made).len(), 1, "{}", text(&made));
    let all = Plain::read(&stage.open(&stage.at("large")));
    assert!(all.attachments(&user)[file.as_str()] == large);

    let (other, name) = (bucket.clone(), key.clone());
    let gets = std::sync::atomic::AtomicUsize::new(0);
    let of_key = format!("GET /{}/{key}", bucket.name());
    let proxy = StoreProxy::start(store.port(), move |_, first| {
        let is_second = first.starts_with(&of_key)
            && gets.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
        if is_second {
            other.put(&name, &vec![7; 20_000_003]);
        }
        Fault::None
    });
    let made = backup(
        &stage,
        &with_bucket(platform, &bucket, proxy.port),
        "changed",
        &[],
    );
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let lost = losses(&made);
    assert_eq!(lost.len(), 1, "{lost:#?}");
    assert!(lost[0].contains("could not be read"), "{lost:?}");
}
