//! Backups in an object store, as an operator makes, reads and restores them; and stores that fail.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use pryv_backup_tests::{
    command::{alone, run, text},
    folder::tree,
    object_store::{Fault, ObjectStore, StoreProxy},
    rounds,
    sampled::Stage,
};
use serde_json::Value;

const KEY: [&str; 2] = ["--private-key", "key.pem"];
const BACKUP: [&str; 9] = [
    "--platform",
    "none",
    "--config",
    "platform/config.yml",
    "--pryv-root",
    "platform",
    "--recipient-pubkey",
    "key.pub.pem",
    "--output",
];

/// A platform, and a store that is reached directly or by way of a proxy.
struct Work<'s> {
    stage: &'s Stage,
    store: &'s ObjectStore,
    port: u16,
}

impl<'s> Work<'s> {
    fn of(stage: &'s Stage, store: &'s ObjectStore) -> Self {
        Work {
            stage,
            store,
            port: store.port,
        }
    }

    /// The same, by way of a proxy at `port`.
    fn by_way_of(&self, port: u16) -> Self {
        Work { port, ..*self }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(args);
        self.store.reach(&mut command, self.port);
        command.env("PRYV_BACKUP_STATE_DIR", self.stage.at("state"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    fn good(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert!(done.status.success(), "{args:?}: {}", text(&done));
        text(&done)
    }

    fn ends(&self, args: &[&str], code: i32) -> String {
        let done = self.run(args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", text(&done));
        text(&done)
    }

    fn backup(&self, place: &str, more: &[&str]) -> String {
        self.good(&[&BACKUP[..], &[place], more].concat())
    }

    /// Verifies with the key and without it.
    fn is_good(&self, place: &str) {
        for secret in [&KEY[..], &[]] {
            let report = self.good(&[&["verify", place, "--json"], secret].concat());
            let last = report.lines().rfind(|line| line.starts_with('{')).unwrap();
            let report: Value = serde_json::from_str(last).unwrap();
            assert_eq!(report["verdict"], "good", "{place}: {report}");
            assert_eq!(report["warnings"], serde_json::json!([]), "{place}");
        }
    }

    /// Compares two backups, record by record.
    fn is_same(&self, one: &str, other: &str) {
        let said = self.good(&[&["diff", one, other, "--json"], &KEY[..]].concat());
        let last = said.lines().rfind(|line| line.starts_with('{')).unwrap();
        let diff: Value = serde_json::from_str(last).unwrap();
        assert_eq!(diff["same"], true, "{one} and {other}: {diff}");
    }

    /// The content of an archive, decrypted and inflated.
    fn content(&self, place: &str) -> BTreeMap<String, Vec<u8>> {
        let _ = fs::remove_dir_all(self.stage.at("opened"));
        self.good(&[&["decrypt", place, "--gunzip", "--out", "opened"], &KEY[..]].concat());
        let mut files = tree(&self.stage.at("opened"));
        files.retain(|path, _| !path.ends_with("manifest.json"));
        files
    }
}

/// An object for each line that a command must print once, at its end.
fn error_line(said: &str) -> &str {
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    errors[0]
}

#[test]
fn a_chain_is_made_read_and_restored() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("plain");
    store.locked_bucket("locked");
    for bucket in ["plain", "locked"] {
        let place = &format!("s3://{bucket}/host/chain");
        let work = Work::of(&stage, &store);
        work.backup(place, &["--incremental"]);
        work.is_good(place);
        let before = store.list(bucket, "");
        stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        work.backup(place, &["--incremental"]);
        stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        work.backup(place, &["--incremental"]);
        work.is_good(place);
        let after = store.list(bucket, "");
        assert!(
            before.iter().all(|object| after.contains(object)),
            "{bucket}"
        );
        let keys: Vec<&str> = after.iter().map(|object| object.key.as_str()).collect();
        assert!(
            keys.contains(&"host/chain/increments/0003/run.json"),
            "{keys:?}"
        );
        assert!(
            !keys.iter().any(|key| key.ends_with("chain.json")),
            "{keys:?}"
        );
        // The newest state is that of the platform; a folder with the same objects is a chain too, for every reader.
        let _ = fs::remove_dir_all(stage.at("plain-backup"));
        work.good(&[&BACKUP[..], &["plain-backup"]].concat());
        let content = work.content(place);
        work.is_same(place, "plain-backup");
        let down = stage.at("down");
        let _ = fs::remove_dir_all(&down);
        for object in &after {
            let path = down.join(object.key.strip_prefix("host/chain/").unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, store.get(bucket, &object.key)).unwrap();
        }
        assert!(content == work.content("down"), "{bucket}");
        work.is_good("down");
        let script = run(Command::new("node")
            .current_dir(&down)
            .args(["decrypt-backup.mjs", ".", "--verify", "--private-key"])
            .arg(stage.at("key.pem")));
        assert!(script.status.success(), "{}", text(&script));
    }
    // Everything that reads takes such an address.
    let work = Work::of(&stage, &store);
    let place = "s3://plain/host/chain";
    for command in [
        &["list", place][..],
        &["stats", place],
        &["cat", place, "manifest.json"],
        &[
            "extract",
            place,
            "--user",
            "zoe-m",
            "--collection",
            "streams",
        ],
        &["decrypt", place, "--verify"],
        &["--restore", place, "--verify-only"],
    ] {
        work.good(&[command, &KEY[..]].concat());
    }
    let same = [&["diff", "s3://plain/host/chain@2", place], &KEY[..]].concat();
    assert!(!work.good(&same).is_empty());
    let taken = [&BACKUP[..], &[place]].concat();
    assert!(work.ends(&taken, 2).contains("already holds a backup"));
}

#[test]
fn few_bytes_are_read_for_one_user() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("s3://bucket/a", &[]);
    let proxy = StoreProxy::start(store.port, |_, _| Fault::None);
    let by_proxy = work.by_way_of(proxy.port);
    let args = [
        "extract",
        "s3://bucket/a",
        "--user",
        "zoe-m",
        "--collection",
        "streams",
    ];
    by_proxy.good(&[&args[..], &KEY[..]].concat());
    let all: u64 = store
        .list("bucket", "a/volume-")
        .iter()
        .map(|object| object.size)
        .sum();
    let read = proxy.bytes() as u64;
    assert!(
        read < all / 3,
        "{read} of {all} bytes in {} requests",
        proxy.requests()
    );
}

#[test]
fn requests_that_fail_for_a_while_are_made_again() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    type ByRequest = fn(usize, &str) -> Fault;
    let faults: [(&str, ByRequest); 3] = [
        ("busy", |number, _| match number % 3 {
            1 => Fault::Status([503, 500][number / 3 % 2]),
            _ => Fault::None,
        }),
        ("cut", |number, first| {
            match first.starts_with("PUT") && number % 3 == 1 {
                true => Fault::Cut(1000),
                false => Fault::None,
            }
        }),
        ("unanswered", |number, _| match number % 3 {
            1 => Fault::NoAnswer,
            _ => Fault::None,
        }),
    ];
    for (name, fault) in faults {
        let proxy = StoreProxy::start(store.port, fault);
        let work = Work::of(&stage, &store).by_way_of(proxy.port);
        let place = &format!("s3://bucket/{name}");
        work.backup(place, &["--incremental", "--volume-size", "64K"]);
        let direct = work.by_way_of(store.port);
        direct.is_good(place);
        assert!(!direct.content(place).is_empty());
    }
}

#[test]
fn a_store_that_refuses_is_one_line() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let backup = [&BACKUP[..], &["s3://bucket/a"]].concat();
    let none = [&BACKUP[..], &["s3://nosuchbucket/a"]].concat();
    let said = work.ends(&none, 1);
    assert!(error_line(&said).contains("NoSuchBucket"), "{said}");
    let mut wrong = work.command(&backup);
    wrong.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let done = run(&mut wrong);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        error_line(&text(&done)).contains("the store refuses"),
        "{}",
        text(&done)
    );
    assert!(!text(&done).contains("wrong"), "{}", text(&done));
    let mut nobody = work.command(&backup);
    nobody
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let done = run(&mut nobody);
    assert_eq!(done.status.code(), Some(1));
    let _ = error_line(&text(&done));
    for elsewhere in [
        &[
            "rekey",
            "s3://bucket/a",
            "--remove-recipient",
            &"0".repeat(64),
        ][..],
        &["prune", "s3://bucket", "--keep-last", "1"],
        &["consolidate", "s3://bucket/a", "--into", "s3://bucket/b"],
    ] {
        let said = work.ends(elsewhere, 2);
        assert!(said.contains("only a folder can be given here"), "{said}");
    }
    let inside = ["copy", "s3://bucket/a", "s3://bucket/a/b"];
    assert!(work.ends(&inside, 2).contains("inside the backup"));
    let said = work.ends(&["verify", "s3://bucket/nothing"], 2);
    assert!(said.contains("s3://bucket/nothing"), "{said}");
    assert_eq!(store.list("bucket", "").len(), 0);
}

#[test]
fn of_two_runs_at_once_one_wins() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let place = "s3://bucket/chain";
    work.backup(place, &["--incremental"]);
    // Two hosts, each with its own state: the key is the same, so that each knows the chain.
    fs::create_dir(stage.at("other")).unwrap();
    for (path, bytes) in tree(&stage.at("state")) {
        let to = stage.at("other").join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    private(&stage.at("other"));
    // The first one's last files are held back until the second one is done.
    static HELD: AtomicUsize = AtomicUsize::new(0);
    let slow = StoreProxy::start(store.port, |_, first| {
        if first.starts_with("PUT") && first.contains("0002/run.json") {
            HELD.store(1, Ordering::SeqCst);
            while HELD.load(Ordering::SeqCst) == 1 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Fault::None
    });
    let args = [&BACKUP[..], &[place, "--incremental"]].concat();
    let held = work.by_way_of(slow.port);
    let mut first = held.command(&args);
    let first = alone(&mut first)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while HELD.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    // On the same host, one waits for the other.
    assert!(
        work.ends(&args, 2)
            .contains("another backup is being written")
    );
    let mut second = work.command(&args);
    second.env("PRYV_BACKUP_STATE_DIR", stage.at("other"));
    let second = run(&mut second);
    assert!(second.status.success(), "{}", text(&second));
    HELD.store(2, Ordering::SeqCst);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", text(&first));
    assert!(error_line(&text(&first)).contains("was finished first"));
    work.is_good(place);
    work.backup(place, &["--incremental"]);
    work.is_good(place);
}

fn private(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap(),
            }
        }
    }
}

#[test]
fn a_run_that_was_killed_is_finished_or_forgotten() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let place = "s3://bucket/chain";
    let args = [
        &BACKUP[..],
        &[place, "--incremental", "--volume-size", "64K"],
    ]
    .concat();
    // Killed at requests in turn: before one, and after it was done.
    let mut runs = 0;
    for nth in (1..60).step_by(rounds(9, 1) as usize) {
        static KILL: AtomicUsize = AtomicUsize::new(0);
        static AT: AtomicUsize = AtomicUsize::new(0);
        AT.store(nth, Ordering::SeqCst);
        let proxy = StoreProxy::start(store.port, move |number, _| {
            if number >= AT.load(Ordering::SeqCst) {
                KILL.store(1, Ordering::SeqCst);
                // Nothing of it comes back.
                return match nth % 4 / 2 {
                    0 => Fault::NoAnswer,
                    _ => Fault::Cut(0),
                };
            }
            Fault::None
        });
        KILL.store(0, Ordering::SeqCst);
        stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        let by_proxy = work.by_way_of(proxy.port);
        let mut command = by_proxy.command(&args);
        let mut child = alone(&mut command)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let ended = loop {
            if KILL.load(Ordering::SeqCst) == 1 {
                thread::sleep(Duration::from_millis(30));
                let _ = child.kill();
            }
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            thread::sleep(Duration::from_millis(5));
        };
        // What stood before is good, whatever lies beside it.
        if runs > 0 {
            for secret in [&KEY[..], &[]] {
                let done = work.run(&[&["verify", place], secret].concat());
                assert_eq!(
                    done.status.code(),
                    Some(0),
                    "killed at {nth}: {}",
                    text(&done)
                );
            }
        }
        work.backup(place, &["--incremental"]);
        runs += 1;
        if ended.success() {
            break;
        }
    }
    assert!(runs > 3, "{runs}");
    let done = work.run(&[&["verify", place], &KEY[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let _ = fs::remove_dir_all(stage.at("plain-backup"));
    work.good(&[&BACKUP[..], &["plain-backup"]].concat());
    work.is_same(place, "plain-backup");
}

#[test]
fn what_was_overwritten_or_deleted_is_read_as_it_was() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.locked_bucket("locked");
    let work = Work::of(&stage, &store);
    let place = "s3://locked/chain";
    work.backup(place, &["--incremental"]);
    work.backup(place, &["--incremental"]);
    let before = work.content(place);
    for object in store.list("locked", "chain/") {
        match object.key.contains("volume") {
            true => store.delete("locked", &object.key),
            false => store.put("locked", &object.key, b"encrypted by somebody else"),
        }
    }
    let said = work.ends(&[&["verify", place], &KEY[..]].concat(), 0);
    assert!(
        said.contains("overwritten or deleted in the store"),
        "{said}"
    );
    assert!(work.content(place) == before);
    work.backup(place, &["--incremental"]);
    assert!(work.content(place) == before);
    let early = [&["verify", place, "--as-of", "2020"], &KEY[..]].concat();
    assert!(work.ends(&early, 2).contains(place));
}

#[test]
fn copies_go_either_way() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("chain", &["--incremental"]);
    work.good(&["copy", "chain", "s3://bucket/copy"]);
    stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    work.backup("chain", &["--incremental"]);
    let said = work.good(&["copy", "chain", "s3://bucket/copy", "--json"]);
    assert!(said.contains("\"runsThere\":1"), "{said}");
    work.is_good("s3://bucket/copy");
    work.is_same("chain", "s3://bucket/copy");
    for layout in ["files", "volumes"] {
        let back = &format!("back-{layout}");
        work.good(&["copy", "s3://bucket/copy", back, "--layout", layout]);
        work.is_good(back);
        work.is_same("chain", back);
    }
    // A copy of a store in a store; and a backup that is none of its first runs.
    work.good(&["copy", "s3://bucket/copy", "s3://bucket/again"]);
    work.is_good("s3://bucket/again");
    work.backup("other", &[]);
    let said = work.ends(&["copy", "other", "s3://bucket/copy"], 2);
    assert!(said.contains("nothing was copied"), "{said}");
    work.is_good("s3://bucket/copy");
}

#[test]
fn listings_are_read_to_their_end() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("s3://bucket/z", &[]);
    for number in 0..1_050 {
        store.put("bucket", &format!("z/aaa/{number:04}"), b"x");
    }
    let report = work.good(&[&["verify", "s3://bucket/z"], &KEY[..]].concat());
    assert!(report.contains("aaa/1049"), "{report}");
}
