//! What others do in the folders of a platform while a dump is made or put back.

use super::faults::{VERSION, program, with_path};
use super::{at, database, dump, dumping, empty_like, files, one_line, restoring};
use libdeflater::{CompressionLvl, Compressor};
use pryv_backup_tests::{
    command::{report, run, text, tool},
    need,
    plain::lines,
    stage::Stage,
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const STAGING: &str = ".pryv-backup-raw-restore";

/// A `pg_restore` that does something before it restores.
fn before_it_restores(stage: &Stage, what: &str) -> PathBuf {
    let version = VERSION.replace("pg_dump", "pg_restore");
    let script = format!("{version}\n{what}\nexec /usr/bin/pg_restore \"$@\"");
    program(stage, "pg_restore", &script)
}

/// Whoever can write in the users' folder leads a restore nowhere else by a link in the place of the folder aside.
#[test]
fn a_link_in_the_place_of_the_folder_aside_leads_nowhere() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = empty_like(&stage, &platform, "target");
    let elsewhere = stage.at("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("of-others"), "x").unwrap();
    let users = target.users.display();
    let swap = format!(
        "mv {users}/{STAGING} {users}/moved; ln -s {} {users}/{STAGING}",
        elsewhere.display()
    );
    let bin = before_it_restores(&stage, &swap);
    let mut restore = restoring(&stage, &target, &archive, &[]);
    let said = one_line(&run(with_path(&mut restore, &bin)), 1);
    assert!(said.contains("not all in their place"), "{said}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert!(!target.users.join("of-others").exists());
}

/// What has come into the folder while the databases were restored is not overwritten.
#[test]
fn nothing_is_moved_over_what_came_meanwhile() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    fs::write(platform.users.join("name"), "of the dump").unwrap();
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = empty_like(&stage, &platform, "target");
    let place = target.users.join("name");
    let bin = before_it_restores(&stage, &format!("echo mine > {}", place.display()));
    let mut restore = restoring(&stage, &target, &archive, &[]);
    let said = one_line(&run(with_path(&mut restore, &bin)), 1);
    assert!(
        said.contains("\"name\"") && said.contains("exists"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(place).unwrap(), "mine\n");
    assert!(!target.users.join(STAGING).exists());
}

/// Between the first look and the first write there may be hours.
#[test]
fn the_platform_is_looked_at_again_before_anything_is_written() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = empty_like(&stage, &platform, "target");
    let before = database(&stage, &target);
    let script = format!(
        "echo >> {looks}; [ $(wc -l < {looks}) = 2 ] && mkdir -p {users} && touch {users}/mine\n\
         exec /usr/bin/pg_restore \"$@\"",
        looks = stage.at("looks").display(),
        users = target.users.display()
    );
    let bin = program(&stage, "pg_restore", &script);
    let mut restore = restoring(&stage, &target, &archive, &[]);
    let said = one_line(&run(with_path(&mut restore, &bin)), 1);
    assert!(said.contains("nothing was restored"), "{said}");
    assert!(said.contains("\"mine\""), "{said}");
    assert_eq!(fs::read_dir(&target.users).unwrap().count(), 1);
    assert!(database(&stage, &target) == before);
}

/// What a file system has by itself, and what a killed restore has left, is no part of a platform.
#[test]
fn what_is_no_part_of_a_tree_is_left_out_and_in_nobodys_way() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let due = files(&platform.users).into_keys().collect::<Vec<_>>();
    for name in ["lost+found", STAGING] {
        fs::create_dir(platform.users.join(name)).unwrap();
        fs::write(platform.users.join(name).join("left"), "x").unwrap();
    }
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = at(stage.sqlite(), stage.at("target"));
    for name in ["lost+found", STAGING] {
        fs::create_dir_all(target.users.join(name)).unwrap();
    }
    fs::write(target.users.join(STAGING).join("left"), "x").unwrap();
    let restored = run(&mut restoring(&stage, &target, &archive, &[]));
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
    fs::remove_dir(target.users.join("lost+found")).unwrap();
    assert_eq!(files(&target.users).into_keys().collect::<Vec<_>>(), due);
}

/// A folder that a restore uses is locked.
#[test]
fn two_restores_are_not_at_work_in_one_folder() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = at(stage.sqlite(), stage.at("target"));
    let staging = target.users.join(STAGING);
    fs::create_dir_all(&staging).unwrap();
    let lock = fs::File::open(&staging).unwrap();
    lock.lock().unwrap();
    let refused = run(&mut restoring(&stage, &target, &archive, &[]));
    let said = one_line(&refused, 1);
    assert!(said.contains("another restore is at work"), "{said}");
    assert!(staging.exists());
}

/// In a container, owners of the dump may be none; that costs nothing but the owner.
#[test]
fn owners_that_are_none_here_are_named() {
    let Some(stage) = Stage::new() else { return };
    let mapped = Command::new("unshare").args(["-Ur", "true"]).status();
    if !need::has("root", mapped.is_ok_and(|status| status.success())) {
        return;
    }
    let platform = stage.sqlite_fixture();
    super::mark(&platform.users);
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = at(stage.sqlite(), stage.at("target"));
    let restore = restoring(&stage, &target, &archive, &[]);
    let mut inside = Command::new("unshare");
    inside.args(["-Ur", "--"]).arg(restore.get_program());
    inside.args(restore.get_args());
    for (name, value) in restore.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    let restored = run(&mut inside);
    assert_eq!(restored.status.code(), Some(5), "{}", text(&restored));
    let said = report(&restored)["losses"].to_string();
    assert!(said.contains("is none here"), "{said}");
    let names = |users| files(users).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&target.users), names(&platform.users));
}

/// What cannot be read is a loss by name, wherever that shows, and the rest is in the dump.
#[test]
fn what_cannot_be_read_is_named() {
    let Some(stage) = Stage::new() else { return };
    if !need::root() {
        return;
    }
    let platform = stage.sqlite_fixture();
    let closed = platform.users.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("within"), "x").unwrap();
    fs::write(platform.users.join("unreadable"), "x").unwrap();
    for path in ["closed", "unreadable"] {
        let path = platform.users.join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let output = stage.at("dump");
    let made = dumping(&stage, &platform, &output, &[]);
    // As one who may read only what the permissions say, as who is not root.
    let mut limited = Command::new("setpriv");
    limited.arg("--bounding-set=-dac_override,-dac_read_search");
    limited.arg("--inh-caps=-all").arg(made.get_program());
    limited.args(made.get_args());
    for (name, value) in made.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let made = run(&mut limited);
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = report(&made);
    let losses = said["losses"].as_array().unwrap();
    let path = |loss: &Value| loss["path"].as_str().unwrap().to_owned();
    let lost: Vec<String> = losses.iter().map(path).collect();
    assert_eq!(lost, ["raw/users/closed", "raw/users/unreadable"]);
    let target = at(stage.sqlite(), stage.at("target"));
    let restored = run(&mut restoring(&stage, &target, &output, &[]));
    assert_eq!(restored.status.code(), Some(5), "{}", text(&restored));
    let there = files(&target.users);
    assert_eq!(there["closed"].0 & 0o7777, 0);
    assert!(!there.contains_key("unreadable"));
    assert_eq!(there.len() + 2, files(&platform.users).len());
}

/// The list names each file once, wherever the second line of one is.
#[test]
fn a_file_that_is_listed_twice_is_damage() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let plain = stage.at("plain");
    let opened = run(Command::new(tool())
        .arg("decrypt")
        .arg(&archive)
        .arg("--private-key")
        .arg(stage.key())
        .arg("--out")
        .arg(&plain));
    assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
    let target = at(stage.sqlite(), stage.at("target"));
    let flags = ["--accept-unsigned", "--allow-plaintext", "--dry-run"];
    let look = || run(&mut unsealed(&target, &plain, &flags));
    let good = look();
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    // Another file is not listed, so that the number is right.
    let list = plain.join("raw/files.jsonl.gz");
    let unzipped = lines("raw/files.jsonl.gz", &fs::read(&list).unwrap());
    let text_of: Vec<String> = unzipped.iter().map(ToString::to_string).collect();
    let mut lines: Vec<&str> = text_of.iter().map(String::as_str).collect();
    let is_file = |line: &&str| !line.contains("\"folder\":true");
    let first = *lines.iter().find(|line| is_file(line)).unwrap();
    let last = lines.iter().rposition(is_file).unwrap();
    assert!(lines[last - 1] != first);
    lines[last] = first;
    let changed = gzip((lines.join("\n") + "\n").as_bytes());
    fs::write(&list, &changed).unwrap();
    let place = plain.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    let entries = manifest["inventory"]["files"].as_array_mut().unwrap();
    for entry in entries {
        if entry["path"].as_str().unwrap().starts_with("raw/files.") {
            let digest = pryv_backup_engine::archive::sha256_hex(&changed);
            for name in ["size", "contentSize"] {
                entry[name] = changed.len().into();
            }
            for name in ["sha256", "contentSha256"] {
                entry[name] = digest.clone().into();
            }
        }
    }
    fs::write(place, manifest.to_string()).unwrap();
    let said = one_line(&look(), 4);
    assert!(said.contains("is listed twice"), "{said}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut zipped = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut zipped).unwrap();
    zipped.truncate(length);
    zipped
}

/// A restore of a dump that was opened before.
fn unsealed(
    target: &pryv_backup_tests::stage::Platform<'_>,
    dump: &std::path::Path,
    flags: &[&str],
) -> Command {
    let mut command = target.command();
    command
        .arg("raw-restore")
        .arg(dump)
        .arg("--json")
        .args(flags);
    command
}
