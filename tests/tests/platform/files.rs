//! Whoever can write to the users' folders can put anything in the place of a file. Nothing else is read, and nobody waits for it.

use crate::{backup, file, losses, platforms};
use pryv_backup_tests::{
    command::text,
    folder,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const SECRET: &str = "a secret that only root may read";

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Puts something else in the place of a file.
type Swap = fn(&Path, &Path);

const SWAPS: [(&str, Swap); 5] = [
    ("no regular file", |path, _| fifo(path)),
    ("no regular file", |path, _| {
        // Such a path is longer than names of sockets may be.
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let short = folder.path().join("socket");
        drop(UnixListener::bind(&short).unwrap());
        fs::rename(&short, path)
            .or_else(|_| copied(&short, path))
            .unwrap();
    }),
    ("no regular file", |path, _| fs::create_dir(path).unwrap()),
    ("it is a link", |path, secret| {
        symlink(secret, path).unwrap()
    }),
    ("or a link", |path, secret| {
        // The folder that it lies in is one.
        let parent = path.parent().unwrap();
        let elsewhere = secret.parent().unwrap().join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        fs::write(elsewhere.join(path.file_name().unwrap()), SECRET).unwrap();
        fs::remove_dir_all(parent).unwrap();
        symlink(elsewhere, parent).unwrap();
    }),
];

fn copied(from: &Path, to: &Path) -> std::io::Result<()> {
    let done = Command::new("cp").arg("-a").args([from, to]).status()?;
    assert!(done.success());
    Ok(())
}

fn swapped(stage: &Stage, platform: &Platform<'_>, within: &str, swap: Swap) -> String {
    let secret = stage.at("secret");
    fs::write(&secret, SECRET).unwrap();
    let path = file(platform, within);
    fs::remove_file(&path).unwrap();
    swap(&path, &secret);
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The archive holds nothing of what lies elsewhere.
fn assert_no_secret(stage: &Stage, archive: &Path) {
    let opened = stage.open(archive);
    for (path, bytes) in folder::tree(&opened) {
        let found = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
        assert!(!found, "{path}");
    }
    fs::remove_dir_all(opened).unwrap();
}

#[test]
fn what_is_no_attachment_is_not_read() {
    let Some(stage) = Stage::new() else { return };
    for before in platforms(&stage, 2) {
        for (n, (words, swap)) in SWAPS.into_iter().enumerate() {
            let platform = stage.copy(&before);
            let name = swapped(&stage, &platform, "/attachments/", swap);
            let archive = stage.at("archive");
            let started = Instant::now();
            let done = backup(&stage, &platform, &archive);
            assert!(started.elapsed() < Duration::from_secs(60));
            let losses = losses(&done);
            let named = losses.iter().map(ToString::to_string);
            let mut named = named.filter(|loss| loss.contains(&name) && loss.contains(words));
            assert!(named.next().is_some(), "{n}: {words}: {losses:#?}");
            assert_no_secret(&stage, &archive);
            fs::remove_dir_all(archive).unwrap();
            platform.remove();
        }
    }
}

#[test]
fn what_is_no_store_is_not_read() {
    let Some(stage) = Stage::new() else { return };
    let Some(before) = platforms(&stage, 2).into_iter().next() else {
        return;
    };
    for within in [
        "local-1.0.0.sqlite",
        "audit-1.0.0.sqlite",
        "series-1.0.0.sqlite",
    ] {
        for (n, (words, swap)) in SWAPS.into_iter().enumerate() {
            let platform = stage.copy(&before);
            // One that could be read.
            let elsewhere = stage.at("other.sqlite");
            fs::copy(file(&platform, within), &elsewhere).unwrap();
            let name = swapped(&stage, &platform, within, swap);
            let archive = stage.at("archive");
            let losses = losses(&backup(&stage, &platform, &archive));
            let named = losses.iter().map(ToString::to_string);
            let mut named = named.filter(|loss| loss.contains(&name) && loss.contains(words));
            assert!(named.next().is_some(), "{n}: {words}: {losses:#?}");
            fs::remove_dir_all(archive).unwrap();
            platform.remove();
        }
    }
    for end in ["-wal", "-journal"] {
        let platform = stage.copy(&before);
        let mut beside = file(&platform, "local-1.0.0.sqlite").into_os_string();
        beside.push(end);
        fifo(Path::new(&beside));
        let archive = stage.at("archive");
        let losses = losses(&backup(&stage, &platform, &archive));
        assert!(losses[0].to_string().contains(end), "{losses:#?}");
        fs::remove_dir_all(archive).unwrap();
    }
}

/// The path to the users' folder belongs to the operator: links in it are followed.
#[test]
fn the_folder_itself_may_be_behind_a_link() {
    let Some(stage) = Stage::new() else { return };
    for platform in platforms(&stage, 1) {
        let link = stage.at("link");
        let _ = fs::remove_file(&link);
        symlink(&platform.users, &link).unwrap();
        let platform = platform.with("storages__engines__sqlite__path", link.to_str().unwrap());
        let archive = stage.at("archive");
        let done = backup(&stage, &platform, &archive);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        fs::remove_dir_all(archive).unwrap();
    }
}

/// While somebody keeps all files to himself.
#[test]
fn the_first_signal_ends_every_wait() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = platforms(&stage, 4).into_iter().next() else {
        return;
    };
    let stores = folder::files(&platform.users).into_iter();
    let stores = stores.filter(|path| path.extension().is_some_and(|e| e == "sqlite"));
    let held: Vec<Connection> = stores
        .map(|path| {
            let store = Connection::open(path).unwrap();
            store
                .execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE")
                .unwrap();
            store
        })
        .collect();
    let archive = stage.at("archive");
    let mut child = platform
        .command()
        .args(["--platform", "none", "--jobs", "1", "--output"])
        .arg(&archive)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !archive.join(".pryv-backup-partial").exists() {
        assert!(child.try_wait().unwrap().is_none());
    }
    let started = Instant::now();
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    // It would wait ten seconds for each of the four users.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!archive.exists());
    drop(held);
}
