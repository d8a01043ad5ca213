//! Who signed the runs, and what a host does not build on.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::{report, run, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};
use serde_json::Value;

const HOW: [&str; 11] = [
    "--pryv-root",
    "platform",
    "--config",
    "platform/config.yml",
    "--platform",
    "none",
    "--recipient-pubkey",
    "key.pub.pem",
    "--json",
    "--output",
    "chain",
];

/// A run of the host whose state folder that is.
fn command(stage: &Stage, state: &str) -> Command {
    let mut command = stage.command(&HOW);
    command.args(["--incremental", "--state-dir", state]);
    command
}

/// The same, and what it reports.
fn add(stage: &Stage, state: &str, code: i32) -> Value {
    let done = run(&mut command(stage, state));
    assert_eq!(done.status.code(), Some(code), "{}", text(&done));
    report(&done)
}

/// A run that is refused, and leaves all as it was.
fn refused(stage: &Stage, state: &str, code: i32, says: &str) {
    let before = files(&stage.at("chain"));
    let done = run(&mut command(stage, state));
    assert_eq!(done.status.code(), Some(code), "{}", text(&done));
    assert!(text(&done).contains(says), "{says}: {}", text(&done));
    assert!(files(&stage.at("chain")) == before, "{says}");
}

/// The files of a folder; links are not followed.
fn files(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                folders.push(path);
            } else {
                let content = about.is_file().then(|| fs::read(&path).unwrap());
                found.push((path, content));
            }
        }
    }
    found.sort();
    found
}

/// Puts other bytes in the place of a file, and another digest into the sums.
fn replace(chain: &Path, path: &str, new: &[u8]) {
    let old = fs::read(chain.join(path)).unwrap();
    let sums = fs::read_to_string(chain.join("SHA256SUMS")).unwrap();
    let mended = sums.replace(&sha256_hex(&old), &sha256_hex(new));
    assert_ne!(sums, mended);
    fs::write(chain.join("SHA256SUMS"), mended).unwrap();
    fs::write(chain.join(path), new).unwrap();
}

fn two_runs() -> Stage {
    let stage = Stage::new();
    assert_eq!(add(&stage, "state", 0)["chain"]["kind"], "full");
    let second = add(&stage, "state", 0);
    assert_eq!(second["chain"]["kind"], "incremental", "{second}");
    copy(&stage.at("chain"), &stage.at("sound"));
    stage
}

fn put_back(stage: &Stage) {
    fs::remove_dir_all(stage.at("chain")).unwrap();
    copy(&stage.at("sound"), &stage.at("chain"));
}

#[test]
fn sums_and_links_lead_nowhere_else() {
    let stage = two_runs();
    let chain = stage.at("chain");
    let sums = fs::read_to_string(chain.join("SHA256SUMS")).unwrap();
    let digest = "0".repeat(64);
    for path in [
        "increments/0002/../../../../../../dev/zero",
        "increments/0004/../../../../dev/zero",
        "/dev/zero",
    ] {
        let line = format!("{digest}  {path}\n");
        for hostile in [line.clone() + &sums, sums.clone() + &line] {
            fs::write(chain.join("SHA256SUMS"), hostile).unwrap();
            refused(&stage, "state", 4, "SHA256SUMS: ");
        }
    }
    for path in ["increments", "users", "SHA256SUMS", "chain.json"] {
        put_back(&stage);
        fs::rename(chain.join(path), stage.at("elsewhere")).unwrap();
        symlink(stage.at("elsewhere"), chain.join(path)).unwrap();
        let before = tree(&stage.at("sound"));
        refused(&stage, "state", 4, "is a symbolic link");
        assert!(tree(&stage.at("sound")) == before);
        let left = stage.at("elsewhere");
        let _ = fs::remove_dir_all(&left).or_else(|_| fs::remove_file(&left));
    }
    put_back(&stage);
    // A file at the place where the new sums are written aside is not written to.
    fs::write(stage.at("victim"), "x").unwrap();
    fs::remove_file(chain.join("SHA256SUMS")).unwrap();
    symlink("/dev/zero", chain.join("SHA256SUMS")).unwrap();
    refused(&stage, "state", 4, "is a symbolic link");
}

#[test]
fn a_host_builds_on_what_it_signed_only() {
    let stage = two_runs();
    let chain = stage.at("chain");
    for run in ["", "increments/0002/"] {
        let minisig = format!("{run}manifest.json.minisig");
        put_back(&stage);
        let signed = fs::read_to_string(chain.join(&minisig)).unwrap();
        replace(
            &chain,
            &minisig,
            signed.replace("losses=0", "losses=1").as_bytes(),
        );
        refused(&stage, "state", 4, "does not hold");
        put_back(&stage);
        fs::remove_file(chain.join(&minisig)).unwrap();
        refused(&stage, "state", 4, "is not signed");
    }
    // Signed by the same host, but another run.
    put_back(&stage);
    let first = fs::read(chain.join("manifest.json.minisig")).unwrap();
    replace(&chain, "increments/0002/manifest.json.minisig", &first);
    refused(&stage, "state", 4, "does not hold");
    // A file of an older run, and what travels in the clear: nothing of that was read before.
    let mut names: Vec<String> = ["decrypt-backup.mjs", "decrypt-backup.html", "FORMAT.md"]
        .map(str::to_owned)
        .to_vec();
    names.extend(tree(&chain).into_keys().find(|p| p.contains("/events/")));
    for name in names {
        put_back(&stage);
        replace(&chain, &name, b"alert(1)");
        refused(&stage, "state", 4, "signed with other files");
    }
    // The list of runs in the clear says another time.
    put_back(&stage);
    let list = fs::read_to_string(chain.join("chain.json")).unwrap();
    let mut index: Value = serde_json::from_str(&list).unwrap();
    index["runs"][1]["createdAt"] = 1.into();
    replace(&chain, "chain.json", index.to_string().as_bytes());
    refused(&stage, "state", 4, "was signed as another one");
    put_back(&stage);
    assert_eq!(add(&stage, "state", 0)["chain"]["kind"], "incremental");
}

/// Envelopes are not signed, since recipients may change.
#[test]
fn no_run_follows_one_that_nobody_can_open() {
    let stage = two_runs();
    let chain = stage.at("chain");
    stage.backup("other");
    let other = fs::read(stage.at("other/encryption.json")).unwrap();
    for (run, number) in [("", "run 1"), ("increments/0002/", "run 2")] {
        let envelope = format!("{run}encryption.json");
        for bad in [&b"{}"[..], b"", &other] {
            put_back(&stage);
            replace(&chain, &envelope, bad);
            refused(&stage, "state", 4, number);
            refused(&stage, "state", 4, "encryption.json");
        }
        // Whoever writes the time over leaves the sums.
        put_back(&stage);
        let mut forged: Value = serde_json::from_slice(&other).unwrap();
        let own = fs::read(chain.join(&envelope)).unwrap();
        let own: Value = serde_json::from_slice(&own).unwrap();
        forged["createdAt"] = own["createdAt"].clone();
        fs::write(chain.join(&envelope), forged.to_string()).unwrap();
        refused(&stage, "state", 4, "encryption.json");
    }
    put_back(&stage);
    assert_eq!(add(&stage, "state", 0)["chain"]["kind"], "incremental");
}

#[test]
fn what_somebody_else_signed_is_not_built_on() {
    let stage = two_runs();
    // Whoever has the public key can begin; this host knows the chain, and says no.
    let forged = add(&stage, "other", 0);
    assert_eq!(forged["chain"]["kind"], "full", "{forged}");
    let why = forged["chain"]["whyFull"].as_str().unwrap();
    assert!(why.contains("another key"), "{why}");
    refused(&stage, "state", 4, "somebody put it in");
    // Where a host has lost its key, it goes on by itself.
    let on = add(&stage, "other", 0);
    assert_eq!(on["chain"]["kind"], "incremental", "{on}");
    let signer = on["signer"].as_str().unwrap();
    let read = ["verify", "chain", "--private-key", "key.pem", "--signer"];
    stage.good(&[&read[..], &[signer]].concat());
    // The decryptors of a chain that somebody else began are those of this version, or nobody repeats what they are.
    put_back(&stage);
    replace(&stage.at("chain"), "decrypt-backup.mjs", b"alert(1)");
    refused(&stage, "third", 4, "decryptors");
    // A host whose key was replaced knows the chain by another key.
    put_back(&stage);
    fs::remove_file(stage.at("state/host.key")).unwrap();
    let new = add(&stage, "state", 0);
    assert_eq!(new["chain"]["kind"], "full", "{new}");
}

#[test]
fn a_newest_run_that_is_gone_is_said() {
    let stage = two_runs();
    let told = |said: &Value, what: &str| {
        let rolled = said["chain"]["rolledBack"].as_str().unwrap_or_default();
        assert!(rolled.contains(what), "{said}");
    };
    // An older copy.
    let third = add(&stage, "state", 0);
    put_back(&stage);
    let said = add(&stage, "state", 5);
    told(&said, third["archiveId"].as_str().unwrap());
    told(&said, "run 3");
    told(&said, "is gone");
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    assert_eq!(said["chain"]["run"], 3);
    let said = add(&stage, "state", 0);
    assert_eq!(said["chain"]["kind"], "incremental", "{said}");
    assert_eq!(said["chain"]["rolledBack"], Value::Null);
    // Nothing at all.
    fs::remove_dir_all(stage.at("chain")).unwrap();
    let said = add(&stage, "state", 5);
    told(&said, "is gone");
    assert_eq!(said["chain"]["run"], 1);
    // Another chain of the same host, which it knows.
    put_back(&stage);
    told(&add(&stage, "state", 5), "is another one");
    // For people too.
    fs::remove_dir_all(stage.at("chain")).unwrap();
    let how: Vec<&str> = HOW.into_iter().filter(|arg| *arg != "--json").collect();
    let more = ["--incremental", "--state-dir", "state", "--quiet"];
    let done = stage.run(&[&how[..], &more].concat());
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert!(
        text(&done).contains("ROLLED BACK: run 3"),
        "{}",
        text(&done)
    );
}

#[test]
fn keys_are_kept_or_that_is_said() {
    let stage = Stage::new();
    let without = ["--state-dir", "platform/config.yml/state"];
    let done = stage.run(&[&HOW[..], &without].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(said.matches("a key that is not kept").count(), 1, "{said}");
    let said = report(&done);
    let chain = stage.at("chain");
    assert!(chain.join("manifest.json.minisig").exists());
    let manifest_sha = sha256_hex(&fs::read(chain.join("manifest.json")).unwrap());
    assert_eq!(said["archiveId"], manifest_sha.as_str());
    for (member, name) in [
        ("scriptSha256", "decrypt-backup.mjs"),
        ("pageSha256", "decrypt-backup.html"),
    ] {
        let digest = sha256_hex(&fs::read(chain.join(name)).unwrap());
        assert_eq!(said[member], digest.as_str());
    }
    assert_eq!(said["signer"].as_str().unwrap().len(), 56);
    assert_eq!(said["source"].as_str().unwrap().len(), 32);
    let readme = fs::read_to_string(chain.join("RESTORE-README.md")).unwrap();
    for what in [
        "sha256sum decrypt-backup.mjs",
        "sha256sum decrypt-backup.html",
        "--signer",
        "--expect-id",
    ] {
        assert!(readme.contains(what), "{what}");
    }
    fs::remove_dir_all(&chain).unwrap();
    let done = stage.run(&[&HOW[..], &without, &["--incremental"]].concat());
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(
        text(&done).contains("give --state-dir DIR"),
        "{}",
        text(&done)
    );
    assert!(!chain.exists());
    // Never within the backup.
    let done = stage.run(&[&HOW[..], &["--state-dir", "chain/state"]].concat());
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert!(
        text(&done).contains("lies in the backup"),
        "{}",
        text(&done)
    );
    assert!(!chain.exists());
}

#[test]
fn a_key_of_the_operator_signs_instead() {
    let stage = Stage::new();
    fs::write(stage.at("password"), "correct horse\n").unwrap();
    fs::write(stage.at("wrong"), "battery staple\n").unwrap();
    let made = stage.good(&[
        "keygen",
        "--signing",
        "--output",
        "own.key",
        "--passphrase-file",
        "password",
    ]);
    let signer = made
        .lines()
        .find_map(|line| line.strip_prefix("signer:     "))
        .unwrap();
    let own = ["--state-dir", "state", "--sign-key", "own.key"];
    for (more, says) in [
        (&["--sign-key-password-file", "wrong"][..], "assword"),
        (&[], "PRYV_BACKUP_SIGN_KEY_PASSWORD"),
    ] {
        let done = stage.run(&[&HOW[..], &own, more].concat());
        assert_eq!(done.status.code(), Some(3), "{}", text(&done));
        assert!(text(&done).contains(says), "{}", text(&done));
        assert!(!stage.at("chain").exists());
    }
    let mut command = stage.command(&[&HOW[..], &own].concat());
    let done = run(command.env("PRYV_BACKUP_SIGN_KEY_PASSWORD", "correct horse"));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(report(&done)["signer"], signer);
    // This host knows its own backup again.
    let read = [
        "verify",
        "chain",
        "--private-key",
        "key.pem",
        "--state-dir",
        "state",
    ];
    let verified = stage.run(&read);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert!(
        text(&verified).contains("as expected"),
        "{}",
        text(&verified)
    );
    if need::program("minisign") {
        let checked = run(Command::new("minisign")
            .args(["-Vm", "manifest.json", "-p"])
            .arg(stage.at("own.pub"))
            .current_dir(stage.at("chain")));
        assert!(checked.status.success(), "{}", text(&checked));
    }
    // A copy is of the same platform, and says whose backup it was made of.
    let with = [
        "--state-dir",
        "none",
        "--into",
        "copy",
        "--json",
        "--signer",
        signer,
    ];
    let copied = stage.json(
        &[
            &["consolidate", "chain", "--private-key", "key.pem"],
            &with[..],
        ]
        .concat(),
    );
    assert_ne!(copied["signer"], signer);
    assert!(!stage.at("none").exists());
    let cat = ["cat", "copy", "manifest.json", "--private-key", "key.pem"];
    let manifest: Value = serde_json::from_str(&stage.good(&cat)).unwrap();
    assert_eq!(manifest["consolidatedFromSigner"], signer);
    assert_eq!(manifest["consolidatedFrom"], copied["from"]);
    assert_eq!(manifest["source"], report(&done)["source"]);
}

#[test]
fn encryption_can_be_required() {
    let stage = Stage::new();
    let plain: Vec<&str> = HOW.into_iter().filter(|arg| !arg.contains("pub")).collect();
    let done = stage.run(&[&plain[..], &["--require-encrypted"]].concat());
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert!(
        text(&done).contains("would not be encrypted"),
        "{}",
        text(&done)
    );
    let mut asked = stage.command(&plain);
    let done = run(asked.env("PRYV_BACKUP_REQUIRE_ENCRYPTED", "1"));
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert!(!stage.at("chain").exists());
    stage.good(&[&HOW[..], &["--require-encrypted"]].concat());
}

#[test]
fn a_run_that_died_before_its_manifest_is_taken_away() {
    let stage = two_runs();
    let chain = stage.at("chain");
    // All but the manifest had come to its place.
    fs::remove_dir_all(&chain).unwrap();
    copy(&stage.at("sound"), &chain);
    fs::remove_dir_all(chain.join("increments")).unwrap();
    for name in ["chain.json", "manifest.json"] {
        fs::remove_file(chain.join(name)).unwrap();
    }
    fs::create_dir(chain.join(".pryv-backup-partial")).unwrap();
    let done = stage.run(&["verify", "chain"]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    let said = add(&stage, "new", 0);
    assert_eq!(said["chain"]["run"], 1, "{said}");
    stage.good(&["verify", "chain", "--private-key", "key.pem"]);
    // A run without its signature is no run: readers refuse it, and the one before stays.
    put_back(&stage);
    fs::remove_file(chain.join("increments/0002/manifest.json.minisig")).unwrap();
    let verify = ["decrypt", "chain", "--verify", "--private-key", "key.pem"];
    stage.ends(&verify, 4);
    stage.good(&[&verify[..], &["--at", "1"]].concat());
}
