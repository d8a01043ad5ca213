//! A platform, and what its operator does with an object store.

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command, Output, Stdio},
    rc::Rc,
    thread,
    time::Duration,
};

use pryv_backup_tests::{
    command::{alone, run, text},
    folder::tree,
    object_store::{Bucket, Fault, ObjectStore, StoreProxy, reach},
    sampled::Stage,
};
use serde_json::Value;

pub const KEY: [&str; 2] = ["--private-key", "key.pem"];
pub const BACKUP: [&str; 9] = [
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

/// A platform, and a bucket that is reached directly or by way of a proxy.
#[derive(Clone)]
pub struct Work {
    pub stage: Rc<Stage>,
    pub store: &'static ObjectStore,
    pub bucket: Bucket,
    port: u16,
    /// What the host keeps.
    state: &'static str,
}

impl Work {
    /// With an ordinary bucket; `None` (and a line that says so) without a store.
    pub fn new() -> Option<Self> {
        let store = ObjectStore::shared()?;
        Some(Work {
            stage: Rc::new(Stage::new()),
            store,
            bucket: store.plain(),
            port: store.port(),
            state: "state",
        })
    }

    /// The same with another bucket.
    pub fn with(&self, bucket: Bucket) -> Self {
        let work = self.clone();
        Work { bucket, ..work }
    }

    /// The same on a host that keeps its state in a folder of that name.
    pub fn on_host(&self, state: &'static str) -> Self {
        let work = self.clone();
        Work { state, ..work }
    }

    /// The same, by way of a proxy.
    pub fn by_way_of(&self, proxy: &StoreProxy) -> Self {
        let work = self.clone();
        Work {
            port: proxy.port,
            ..work
        }
    }

    /// The same, by way of a proxy that breaks.
    pub fn breaking(&self, choose: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> Self {
        self.by_way_of(&self.proxy(choose))
    }

    pub fn proxy(
        &self,
        choose: impl Fn(usize, &str) -> Fault + Send + Sync + 'static,
    ) -> StoreProxy {
        StoreProxy::start(self.store.port(), choose)
    }

    /// The address of a prefix in the bucket.
    pub fn at(&self, prefix: &str) -> String {
        self.bucket.at(prefix)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(args);
        reach(&mut command, self.port);
        command.env("PRYV_BACKUP_STATE_DIR", self.stage.at(self.state));
        command
    }

    /// Starts a command, whose output is kept.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        let piped = alone(&mut command).stdout(Stdio::piped());
        piped.stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command by way of a proxy, and kills it when a connection was broken; whether it came to that.
    pub fn is_killed(
        &self,
        args: &[&str],
        choose: impl Fn(usize, &str) -> Fault + Send + Sync + 'static,
    ) -> bool {
        let proxy = self.proxy(choose);
        let mut child = self.by_way_of(&proxy).start(args);
        loop {
            if proxy.broken() > 0 {
                let _ = child.kill();
            }
            if let Some(ended) = child.try_wait().unwrap() {
                return !ended.success();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    pub fn good(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert!(done.status.success(), "{args:?}: {}", text(&done));
        text(&done)
    }

    pub fn ends(&self, args: &[&str], code: i32) -> String {
        let done = self.run(args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", text(&done));
        text(&done)
    }

    pub fn backup(&self, place: &str, more: &[&str]) -> String {
        self.good(&[&BACKUP[..], &[place], more].concat())
    }

    /// Changes something on the platform.
    pub fn change(&self) {
        self.stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
    }

    /// A chain of some runs, between which something changes; nothing does after the last.
    pub fn chain(&self, place: &str, runs: usize) {
        for _ in 0..runs {
            self.change();
            self.backup(place, &["--incremental"]);
        }
    }

    /// How many places in stores this host has begun to work on.
    pub fn places_at_work(&self) -> usize {
        let places = self.stage.at(self.state).join("uploads");
        places.read_dir().unwrap().count()
    }

    /// Verifies with the key and without it.
    pub fn is_good(&self, place: &str) {
        for secret in [&KEY[..], &[]] {
            let report = self.good(&[&["verify", place, "--json"], secret].concat());
            let last = report.lines().rfind(|line| line.starts_with('{')).unwrap();
            let report: Value = serde_json::from_str(last).unwrap();
            assert_eq!(report["verdict"], "good", "{place}: {report}");
            assert_eq!(report["warnings"], serde_json::json!([]), "{place}");
        }
    }

    /// Compares two backups, record by record.
    pub fn is_same(&self, one: &str, other: &str) {
        let said = self.good(&[&["diff", one, other, "--json"], &KEY[..]].concat());
        let last = said.lines().rfind(|line| line.starts_with('{')).unwrap();
        let diff: Value = serde_json::from_str(last).unwrap();
        assert_eq!(diff["same"], true, "{one} and {other}: {diff}");
    }

    /// The content of an archive, decrypted and inflated.
    pub fn content(&self, place: &str) -> BTreeMap<String, Vec<u8>> {
        let _ = fs::remove_dir_all(self.stage.at("opened"));
        self.good(&[&["decrypt", place, "--gunzip", "--out", "opened"], &KEY[..]].concat());
        let mut files = tree(&self.stage.at("opened"));
        files.retain(|path, _| !path.ends_with("manifest.json"));
        files
    }
}

/// The one line in which a command ends.
pub fn error_line(said: &str) -> &str {
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    errors[0]
}
