//! What cannot be taken is named, and all else is there; what the environment sets is in no file.

use super::{Host, saving};
use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder, need,
    stage::Stage,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::process::Command;

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_there() {
    let Some(stage) = Stage::new() else { return };
    let mut host = Host::new(&stage, stage.sqlite_fixture());
    let missing = host.at("tls/no.pem");
    host.platform = host
        .platform
        .with("http__ssl__keyFile", missing.to_str().unwrap());
    symlink(host.at("package.json"), host.at("ca/outside")).unwrap();
    symlink("nowhere", host.at("ca/dangling")).unwrap();
    let pipe = Command::new("mkfifo").arg(host.at("ca/pipe")).status();
    assert!(pipe.unwrap().success());
    let large = fs::File::create(host.at("tls/large")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    let made = run(&mut host.backing_up("backup", &[]));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = report(&made);
    let losses = said["losses"].as_array().unwrap();
    for (path, from, why) in [
        ("capsule/ca/dangling", "ca/dangling", "leads nowhere"),
        ("capsule/ca/outside", "ca/outside", "not in this folder"),
        ("capsule/ca/pipe", "ca/pipe", "no regular file"),
        ("capsule/letsencrypt/large", "tls/large", "16 MiB"),
        ("capsule/tls/no.pem", "tls/no.pem", "No such file"),
    ] {
        let loss = losses.iter().find(|loss| loss["path"] == path);
        let what = loss.unwrap_or_else(|| panic!("{path}: {said}"))["what"].to_string();
        let from = host.at(from).display().to_string();
        assert!(what.contains(&from) && what.contains(why), "{what}");
    }
    assert_eq!(losses.len(), 5, "{said}");
    // A folder of which something is missing is not held; the settings are.
    let ca = format!("the folder {} (cluster.ca.path)", host.at("ca").display());
    assert_eq!(said["notHeld"], json!([ca]));
    let archive = stage.at("backup");
    let verified = run(Command::new(tool())
        .arg("verify")
        .arg(&archive)
        .arg("--private-key")
        .arg(stage.key()));
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    let done = saving(&stage, &archive, "saved", &["--json"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert_eq!(report(&done)["losses"].as_array().unwrap().len(), 5);
    let files = folder::tree(&stage.at("saved"));
    assert_eq!(files["ca/ca.key"], b"the key of the authority\n");
    assert!(!files.contains_key("ca/outside"));
}

#[test]
fn what_a_capsule_does_not_hold_is_still_named() {
    let Some(stage) = Stage::new() else { return };
    let mut host = Host::new(&stage, stage.sqlite_fixture());
    let said = report(&run(&mut host.without("without", &[])));
    assert_eq!(said.get("capsule"), None);
    assert_eq!(said["notHeld"].as_array().unwrap().len(), 4, "{said}");
    // Of the same settings, one comes from the environment, and the folder is not there.
    let settings = fs::read_to_string(host.at("config/override-config.yml")).unwrap();
    let settings = settings.replace("auth: { adminAccessKey: long-enough-to-be-one }\n", "");
    fs::write(host.at("config/override-config.yml"), settings).unwrap();
    fs::remove_dir_all(host.at("ca")).unwrap();
    host.platform = host
        .platform
        .with("auth__adminAccessKey", "long-enough-to-be-one");
    let (_, said) = host.backup("with", &[]);
    // One that a setting names should be there.
    let ca = format!("the folder {} (cluster.ca.path)", host.at("ca").display());
    assert_eq!(said["notHeld"], json!(["auth.adminAccessKey", ca]));
    let absent = format!("{} (cluster.ca.path)", host.at("ca").display());
    assert_eq!(said["capsule"]["absent"], json!([absent]));
    assert_eq!(said["losses"], Value::Array(Vec::new()));
}

#[test]
fn keys_and_certificates_that_settings_name_are_taken() {
    let Some(stage) = Stage::new() else { return };
    let mut host = Host::new(&stage, stage.sqlite_fixture());
    // What certbot keeps elsewhere, a key of its own, and one that is in a folder that is taken.
    fs::rename(host.at("tls"), host.at("certbot")).unwrap();
    super::put(&host.at("node.key"), "a key of this core\n", 0o600);
    for (setting, path) in [
        ("http__ssl__keyFile", "certbot/live/pryv.test/privkey.pem"),
        ("storages__engines__rqlite__tls__keyFile", "node.key"),
        ("storages__engines__rqlite__tls__caFile", "ca/ca.key"),
        ("storages__engines__rqlite__tls__certFile", "node.key"),
    ] {
        let path = host.at(path);
        host.platform = host.platform.with(setting, path.to_str().unwrap());
    }
    let (archive, said) = host.backup("backup", &[]);
    let absent = format!("{} (letsEncrypt.tlsDir)", host.at("tls").display());
    assert_eq!(said["capsule"]["absent"], json!([absent]));
    let done = saving(&stage, &archive, "saved", &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let files = folder::tree(&stage.at("saved"));
    let key = &files["letsencrypt/live/pryv.test/privkey.pem"];
    assert_eq!(key, b"a private key\n");
    assert_eq!(&files["letsencrypt/archive/pryv.test/privkey1.pem"], key);
    let of_tls: Vec<_> = files
        .keys()
        .filter(|path| path.starts_with("tls/"))
        .collect();
    assert_eq!(of_tls, ["tls/node.key"]);
}

/// Who may write into Pryv.io's own folders is not the operator.
#[test]
fn what_pryvs_account_puts_in_the_way_is_named() {
    if !need::root() {
        return;
    }
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let (tls, ca) = (host.at("tls"), host.at("ca"));
    fs::create_dir(stage.at("of-root")).unwrap();
    fs::write(stage.at("of-root").join("secret"), "x").unwrap();
    fs::remove_dir_all(&tls).unwrap();
    symlink(stage.at("of-root"), &tls).unwrap();
    lchown(&tls, Some(65534), Some(65534)).unwrap();
    fs::remove_dir_all(&ca).unwrap();
    let pipe = Command::new("mkfifo").arg(&ca).status();
    assert!(pipe.unwrap().success());
    let made = run(&mut host.backing_up("backup", &[]));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = report(&made);
    let losses: Vec<_> = said["losses"].as_array().unwrap().iter().collect();
    let of =
        |path: &str| losses.iter().find(|loss| loss["path"] == path).unwrap()["what"].to_string();
    assert!(
        of("capsule/letsencrypt").contains("a link of somebody else's"),
        "{said}"
    );
    assert!(of("capsule/ca").contains("Not a directory"), "{said}");
    assert_eq!(losses.len(), 2, "{said}");
}

#[test]
fn names_that_not_every_system_can_write_are_all_taken() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    for at in 0..60 {
        fs::write(host.at("tls").join(format!("{at}.")), at.to_string()).unwrap();
    }
    let made = run(&mut host.backing_up("backup", &[]));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let done = saving(&stage, &stage.at("backup"), "saved", &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let files = folder::tree(&stage.at("saved"));
    let kept: BTreeSet<&[u8]> = files.values().map(Vec::as_slice).collect();
    assert!((0..60).all(|at: u32| kept.contains(at.to_string().as_bytes())));
}
