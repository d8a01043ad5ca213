//! Commands that are killed, and what is left of them.

use crate::command::{alone, run, signal, text};
use crate::normal::records;
use crate::object_store::{Fault, StoreProxy};
use crate::plain::Plain;
use crate::stage::{Platform, Stage};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Tools that a killed command has started have ended by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a command, kills it when `is_time` says so, and waits until the tools that it has started have ended; whether it came to that.
///
/// # Panics
/// When it cannot be started, or a tool does not end.
pub fn killed(command: &mut Command, mut is_time: impl FnMut() -> bool) -> bool {
    let mut child = alone(command)
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !is_time() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let came = child.try_wait().unwrap().is_none();
    if came {
        signal(&child, "-KILL");
    }
    child.wait().unwrap();
    let begun = Instant::now();
    while is_at_work(child.id()) {
        assert!(begun.elapsed() < PATIENCE, "a tool goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
    came
}

/// Whether a process of this group is at work.
fn is_at_work(group: u32) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let fields: Vec<&str> = after.split(' ').collect();
        fields.get(2).and_then(|text| text.parse().ok()) == Some(group) && fields[0] != "Z"
    })
}

/// Kills backups of a platform at `kills` of the requests that they make to a server beside it, which is at `port`, and which the `setting` of an
/// address leads to. Nothing looks whole that is not, and the next backup to the same place holds all. Returns how many were killed.
///
/// # Panics
/// When not.
pub fn backups(
    stage: &Stage,
    platform: &Platform<'_>,
    port: u16,
    (setting, address): (&str, &dyn Fn(u16) -> String),
    kills: u32,
) -> usize {
    let place = stage.at("killed backup");
    let backing_up = |port: u16| {
        let mut command = platform.command();
        command
            .env(setting, address(port))
            .args(["--quiet", "--jobs", "1", "--recipient-pubkey"])
            .arg(stage.fixtures.join("keys/recipient.pub.pem"))
            .arg("--output")
            .arg(&place);
        command
    };
    let read = || {
        let opened = stage.open(&place);
        let all = records(&Plain::read(&opened));
        fs::remove_dir_all(opened).unwrap();
        all
    };
    let whole = |port: u16| {
        let made = run(&mut backing_up(port));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        assert!(!place.join(".pryv-backup-partial").exists());
        let all = read();
        fs::remove_dir_all(&place).unwrap();
        all
    };
    let counting = StoreProxy::start(port, |_, _| Fault::None);
    let due = whole(counting.port);
    let requests = counting.requests();
    assert!(requests > 1, "{requests}");
    let mut came = 0;
    for seed in 0..kills as usize {
        let at = 1 + seed * requests / kills as usize;
        let proxy = StoreProxy::start(port, move |n, _| match n >= at {
            true => Fault::Silent,
            false => Fault::None,
        });
        let mut command = backing_up(proxy.port);
        assert!(
            killed(&mut command, || proxy.requests() >= at),
            "request {at}"
        );
        came += 1;
        assert!(is_no_backup(&place), "request {at}");
        assert!(whole(port) == due, "request {at}");
    }
    came
}

/// Whether nothing there looks like a backup.
#[must_use]
pub fn is_no_backup(place: &Path) -> bool {
    let Ok(entries) = fs::read_dir(place) else {
        return true;
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    names.all(|name| name == ".pryv-backup-partial")
}
