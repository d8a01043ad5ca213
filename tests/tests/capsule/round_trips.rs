//! What was taken is what is saved, and every reader opens it; a restore leaves the configuration of its target alone.

use super::{Host, SECRET, saving};
use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder,
    stage::Stage,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The files that a capsule of [`Host`] has, and where each lay below its root.
const FILES: [(&str, &str); 6] = [
    ("config/override-config.yml", "config/override-config.yml"),
    ("config/1-override-config.yml", "named/override-config.yml"),
    ("config/default-config.yml", "config/default-config.yml"),
    ("ca/ca.key", "ca/ca.key"),
    ("ca/issued/a_b.crt", "ca/issued/a:b.crt"),
    (
        "letsencrypt/archive/pryv.test/privkey1.pem",
        "tls/archive/pryv.test/privkey1.pem",
    ),
];

/// Those files, and the one that a link leads to.
fn due(host: &Host<'_>) -> BTreeMap<String, Vec<u8>> {
    let link = (
        "letsencrypt/live/pryv.test/privkey.pem",
        "tls/live/pryv.test/privkey.pem",
    );
    let files = FILES.into_iter().chain([link]);
    files
        .map(|(path, from)| (path.to_owned(), fs::read(host.at(from)).unwrap()))
        .collect()
}

/// A capsule that was saved, but for its record, and its record.
fn saved(folder: &Path) -> (BTreeMap<String, Vec<u8>>, Value) {
    let mut files = folder::tree(folder);
    let record = files.remove("capsule.json").unwrap();
    (files, serde_json::from_slice(&record).unwrap())
}

#[test]
fn what_a_new_host_needs_comes_out_as_it_was() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let (archive, said) = host.backup("backup", &[]);
    assert_eq!(said.get("notHeld"), None, "{said}");
    let capsule = &said["capsule"];
    assert_eq!(
        capsule["versions"]["pryv"],
        json!({"version": "2.0.0-rc.46"})
    );
    assert_eq!(capsule["versions"]["rqlite"]["version"], "9.4.5");
    assert_eq!(capsule["versions"].get("postgresql"), None);
    assert!(capsule["migrations"]["rqlite"].is_object(), "{capsule}");
    // Nothing of it lies there in the clear.
    for (path, bytes) in folder::tree(&archive) {
        let is_there = |secret: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
        assert!(
            !is_there(SECRET.as_bytes()) && !is_there(b"the key of the authority"),
            "{path}"
        );
    }
    let done = saving(&stage, &archive, "saved", &["--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let done = report(&done);
    let (files, record) = saved(&stage.at("saved"));
    assert_eq!(files, due(&host));
    assert_eq!(done["files"], record["files"]);
    assert_eq!(done["versions"], capsule["versions"]);
    assert_eq!(done.get("run"), None);
    let entry = |path: &str| {
        let files = record["files"].as_array().unwrap();
        files
            .iter()
            .find(|file| file["path"] == path)
            .unwrap()
            .clone()
    };
    for (path, from) in FILES {
        assert_eq!(entry(path)["from"], host.at(from).to_str().unwrap());
    }
    assert_eq!(entry("ca/ca.key")["mode"], 0o600);
    assert_eq!(entry("config/override-config.yml")["mode"], 0o640);
    let links = json!([
        {"from": host.at("tls/live/pryv.test/privkey.pem"), "to": "../../archive/pryv.test/privkey1.pem"},
        {"from": host.at("tls/newest"), "to": "archive"},
    ]);
    assert_eq!(record["links"], links);
    for path in folder::files(&stage.at("saved"))
        .iter()
        .chain([&stage.at("saved")])
    {
        let about = fs::symlink_metadata(path).unwrap();
        let due = if about.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(
            about.permissions().mode() & 0o7777,
            due,
            "{}",
            path.display()
        );
    }
    // For people, too.
    let told = saving(&stage, &archive, "told", &[]);
    let told = text(&told);
    for due in ["saved the capsule in", "pryv 2.0.0-rc.46", "ca/ca.key  /"] {
        assert!(told.contains(due), "{due}: {told}");
    }
}

#[test]
fn every_reader_opens_a_backup_with_a_capsule() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let (archive, _) = host.backup("backup", &["--verify"]);
    let at = archive.to_str().unwrap();
    let read = |args: &[&str]| {
        let mut command = Command::new(tool());
        command.args(args).arg("--private-key").arg(stage.key());
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(read(&["verify", at]).contains("all good"));
    let listed = read(&["list", at]);
    assert!(
        listed.contains("a capsule of 8 files: `pryv-backup capsule"),
        "{listed}"
    );
    assert!(read(&["decrypt", at, "--list"]).contains("capsule/ca/ca.key  25 bytes"));
    assert!(read(&["stats", at]).contains("capsule/ca"));
    assert_eq!(
        read(&["cat", at, "capsule/ca/ca.key"]),
        "the key of the authority\n"
    );
    let by_tool = folder::tree(&stage.open(&archive));
    let script = |args: &[&str]| {
        let done = Command::new("node")
            .arg(archive.join("decrypt-backup.mjs"))
            .arg(&archive)
            .arg("--private-key")
            .arg(stage.key())
            .args(args)
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        text(&done)
    };
    assert!(script(&["--verify"]).contains("all good"));
    let shown = script(&["--list"]);
    assert!(
        shown.contains("capsule/ca/ca.key  25 bytes") && !shown.contains("FORMAT.md"),
        "{shown}"
    );
    let out = stage.at("by-script");
    script(&["--gunzip", "--out", out.to_str().unwrap()]);
    assert!(by_tool == folder::tree(&out));
    let capsule = by_tool.iter().filter_map(|(path, bytes)| {
        let path = path
            .strip_prefix("capsule/")
            .filter(|path| *path != "capsule.json")?;
        Some((path.to_owned(), bytes.clone()))
    });
    assert_eq!(capsule.collect::<BTreeMap<_, _>>(), due(&host));
    // What was decrypted is an archive too, and has the same capsule.
    let again = saving(&stage, &out, "again", &["--allow-plaintext"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!(saved(&stage.at("again")).0, due(&host));
}

#[test]
fn a_restore_leaves_the_configuration_alone() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let (archive, _) = host.backup("backup", &[]);
    let target = Host {
        platform: stage.sqlite(),
        ..host
    };
    // It has another configuration, whose secrets are the same.
    fs::remove_file(target.at("ca/ca.key")).unwrap();
    let before = folder::tree(&target.root);
    let restored = |flags: &[&str]| {
        let mut command = target.platform.command();
        command
            .args(["--create-users-dir", "--overwrite", "--restore"])
            .arg(&archive)
            .arg("--private-key")
            .arg(stage.key())
            .arg("--pryv-root")
            .arg(&target.root)
            .args(flags);
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        done
    };
    assert_eq!(report(&restored(&["--json"]))["capsule"], true);
    let said = text(&restored(&[]));
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("capsule"))
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(
        lines[0].contains("no restore writes")
            && lines[0].contains("pryv-backup capsule DIR --out")
    );
    assert!(before == folder::tree(&target.root));
    assert!(
        !folder::tree(&target.platform.users)
            .keys()
            .any(|path| path.contains("capsule"))
    );
}

#[test]
fn what_runs_is_said() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let host = Host::new(&stage, platform);
    let (archive, _) = host.backup("backup", &[]);
    let done = saving(&stage, &archive, "saved", &["--json"]);
    let done = report(&done);
    let server = stage
        .server()
        .unwrap()
        .sql("postgres", "SHOW server_version");
    assert_eq!(done["versions"]["postgresql"]["version"], server);
    let migration = host
        .platform
        .sql("SELECT max(version) FROM schema_migrations");
    assert_eq!(done["migrations"]["postgresql"]["version"], migration);
    assert_eq!(done["versions"].get("rqlite"), None);
    // What cannot be learned is null, and says why.
    fs::remove_file(host.at("package.json")).unwrap();
    let made = run(host.backing_up("other", &[]).env("PATH", "/nowhere"));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let versions = &report(&made)["capsule"]["versions"];
    for (name, why) in [("pryv", "no package.json"), ("node", "no node on the PATH")] {
        assert_eq!(versions[name]["version"], Value::Null);
        assert!(
            versions[name]["why"].as_str().unwrap().contains(why),
            "{versions}"
        );
    }
}

#[test]
fn a_capsule_goes_through_volumes_and_pipes() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let (archive, _) = host.backup("volumes", &["--layout", "volumes", "--volume-size", "64K"]);
    assert!(!archive.join("capsule").exists());
    let done = saving(&stage, &archive, "of-volumes", &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(saved(&stage.at("of-volumes")).0, due(&host));
    let streamed = run(&mut host.backing_up("-", &[]));
    assert_eq!(streamed.status.code(), Some(0));
    let said = String::from_utf8(streamed.stderr).unwrap();
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(said["capsule"]["files"].as_array().unwrap().len(), 7);
    let tar = stage.at("backup.tar");
    fs::write(&tar, &streamed.stdout).unwrap();
    let mut command = Command::new(tool());
    command
        .args(["capsule", "-", "--private-key"])
        .arg(stage.key())
        .arg("--out")
        .arg(stage.at("of-stream"))
        .stdin(fs::File::open(&tar).unwrap());
    let done = run(&mut command);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(saved(&stage.at("of-stream")).0, due(&host));
    // A stream that was cut gives nothing.
    let cut = stage.at("cut.tar");
    fs::write(&cut, &streamed.stdout[..streamed.stdout.len() / 2]).unwrap();
    let done = saving(&stage, &cut, "of-cut", &[]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(!stage.at("of-cut").exists());
}
