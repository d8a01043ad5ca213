//! Files of a SQLite platform that nobody has written to are known again, and those that somebody has written to are not.

#![allow(clippy::unwrap_used)]

mod keeper;

use pryv_backup_engine::config::Config;
use pryv_backup_engine::platform::{
    Attachment, Collection, PlatformLoss, PlatformMode, SinkError, UserSink, open,
};
use pryv_backup_engine::sample::create_sample_platform;
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Files of a collection when they were last asked about.
static KNOWN: Mutex<Option<HashMap<&str, Vec<u8>>>> = Mutex::new(None);

/// The collections that were asked about, and those that were read.
#[derive(Default)]
struct Seen {
    asked: BTreeSet<&'static str>,
    read: BTreeSet<&'static str>,
    files: usize,
}

impl UserSink for Seen {
    fn record(&mut self, collection: Collection, _: &[u8]) -> Result<(), SinkError> {
        self.read.insert(collection.name());
        Ok(())
    }
    fn attachment(
        &mut self,
        _: &Attachment,
        _: Option<u64>,
        _: &mut dyn Read,
    ) -> Result<(), SinkError> {
        self.files += 1;
        Ok(())
    }
    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        unreachable!("{loss:?}");
    }
    fn as_it_was(&mut self, collections: &[Collection], looks: &[u8]) -> bool {
        let name = collections[0].name();
        self.asked.insert(name);
        let mut known = KNOWN.lock().unwrap();
        let before = known.get_or_insert_default().insert(name, looks.to_vec());
        before.as_deref() == Some(looks)
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return find(&path, name);
        }
        path.ends_with(name).then_some(path)
    })
}

#[test]
fn what_nobody_has_written_to_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("platform");
    create_sample_platform(&root).unwrap();
    let config = Config::load(&root, Some(&root.join("config.yml")), std::iter::empty()).unwrap();
    let platform = open(&config, PlatformMode::None).unwrap();
    let local = find(&root, "local-1.0.0.sqlite").unwrap();
    let id = local
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    let users = platform.users().unwrap();
    let user = users.iter().find(|user| user.user_id == id).unwrap();
    let export = || -> Seen { keeper::export(platform.as_ref(), user) };
    let all = [
        "accesses", "account", "audit", "events", "profile", "series", "streams", "webhooks",
    ];
    let groups = BTreeSet::from(["streams", "events", "audit", "series"]);

    // Written a moment ago: that could happen again without showing.
    let fresh = export();
    assert!(fresh.asked.is_empty(), "{:?}", fresh.asked);
    assert_eq!(fresh.read, BTreeSet::from(all));
    std::thread::sleep(Duration::from_millis(2100));
    let first = export();
    assert_eq!(
        (first.asked, first.read),
        (groups.clone(), BTreeSet::from(all))
    );
    assert!(first.files > 0);
    let second = export();
    assert_eq!(
        (second.asked, second.read),
        (groups.clone(), BTreeSet::from(["account"]))
    );
    assert_eq!(second.files, 0);

    // Through the log, as Pryv.io writes.
    let database = rusqlite::Connection::open(&local).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE events SET modified = 7")
        .unwrap();
    let third = export();
    assert!(!third.asked.contains("events") && third.read.contains("events"));
    std::thread::sleep(Duration::from_millis(2100));
    let fourth = export();
    assert_eq!(fourth.asked, groups);
    assert_eq!(fourth.read, BTreeSet::from(["account", "events"]));
    assert_eq!(export().read, BTreeSet::from(["account"]));
    database
        .execute_batch("UPDATE events SET modified = 8")
        .unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(export().read, BTreeSet::from(["account", "events"]));
}
