//! The sample platform can be read without any loss, and is always the same.

#![allow(clippy::unwrap_used, clippy::panic)]

mod keeper;

use pryv_backup_engine::config::Config;
use pryv_backup_engine::platform::{
    Attachment, Collection, PlatformLoss, PlatformMode, SinkError, UserSink, open,
};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

#[derive(Default, PartialEq, Debug)]
struct Counted {
    lines: Vec<Vec<u8>>,
    counts: BTreeMap<&'static str, usize>,
    bytes: u64,
}

impl UserSink for Counted {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        serde_json::from_slice::<serde_json::Value>(line)?;
        self.lines.push(line.to_vec());
        *self.counts.entry(collection.name()).or_default() += 1;
        Ok(())
    }
    fn attachment(
        &mut self,
        _: &Attachment,
        _: Option<u64>,
        reader: &mut dyn Read,
    ) -> Result<(), SinkError> {
        *self.counts.entry("attachments").or_default() += 1;
        self.bytes += std::io::copy(reader, &mut std::io::sink())?;
        Ok(())
    }
    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        panic!("{loss:?}");
    }
}

fn read(dir: &Path) -> Vec<Counted> {
    pryv_backup_engine::sample::create_sample_platform(dir).unwrap();
    let config = Config::load(dir, Some(&dir.join("config.yml")), std::iter::empty()).unwrap();
    let platform = open(&config, PlatformMode::None).unwrap();
    let users = platform.users().unwrap();
    let export = |user| keeper::export(platform.as_ref(), user);
    users.iter().map(export).collect()
}

#[test]
fn the_sample_is_complete_and_always_the_same() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let users = read(one.path());
    assert_eq!(users, read(two.path()));
    assert_eq!(users.len(), 3);
    let counts = [
        ("accesses", 4),
        ("account", 1),
        ("attachments", 3),
        ("audit", 20),
        ("events", 44),
        ("profile", 1),
        ("series", 1),
        ("streams", 6),
        ("webhooks", 1),
    ];
    assert!(
        users
            .iter()
            .all(|user| user.counts == BTreeMap::from(counts) && user.bytes > 200_000)
    );
    let profile = users[0]
        .lines
        .iter()
        .any(|line| String::from_utf8_lossy(line).contains("9007199254740993"));
    assert!(profile, "a number beyond doubles passes as it is");
}

#[test]
fn what_pryv_has_only_beside_a_base_in_postgresql_is_refused_by_name() {
    for (kind, mode) in [
        ("series", PlatformMode::None),
        ("platform", PlatformMode::Full),
    ] {
        let dir = tempfile::tempdir().unwrap();
        pryv_backup_engine::sample::create_sample_platform(dir.path()).unwrap();
        let variable = (format!("storages__{kind}__engine"), "postgresql".to_owned());
        let config = Config::load(
            dir.path(),
            Some(&dir.path().join("config.yml")),
            std::iter::once(variable),
        )
        .unwrap();
        let error = open(&config, mode).err().unwrap().to_string();
        assert!(
            error.contains(&format!("storages.{kind}.engine is postgresql"))
                && error.contains("set storages."),
            "{error}"
        );
    }
}
