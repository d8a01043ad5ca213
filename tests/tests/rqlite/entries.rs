//! Which entries a backup holds.

use crate::{Platform, indexed, unique};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::rqlite::{Scratch, Setup};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

#[test]
fn entries_are_in_the_archive_and_nothing_else_is() {
    let platform = Platform::new();
    Scratch::each(|scratch| {
        scratch.fill([
            ("user-unique/email/b@x", "bob"),
            ("user-unique/email/a/b+%é🔋'\"\\@x", "alice"),
            ("user-unique/number/", "alice"),
            ("user-indexed/language/alice", ""),
            ("user-indexed/note/bob", "user-unique/email/x\nline"),
            ("user-indexed/number/bob", "12345678901234567890"),
            // Neighbours of the two kinds.
            ("user-core/alice", "single"),
            ("user-indexed", "x"),
            ("user-indexed0/a/b", "x"),
            ("user-unique", "x"),
            ("user-unique0/a/b", "x"),
            ("access-index/id", "{}"),
        ]);
        let name = if scratch.server.is_some() {
            "here"
        } else {
            "real"
        };
        assert_eq!(
            platform.entries(name, &scratch.url),
            [
                unique("email", "alice", "a/b+%é🔋'\"\\@x"),
                unique("email", "bob", "b@x"),
                unique("number", "alice", ""),
                indexed("language", "alice", ""),
                indexed("note", "bob", "user-unique/email/x\nline"),
                indexed("number", "bob", "12345678901234567890"),
            ]
        );
    });
}

#[test]
fn all_other_keys_come_along_and_secrets_only_into_sealed_archives() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup::default());
    let open = [
        ("core-info/single", "{\"id\":\"single\"}"),
        ("mail-template/welcome/en/html", "p= name\n| \"hi\""),
        ("user-core/alice", "single"),
    ];
    let secret = [
        ("invitation/t0ken", "{}"),
        ("oauth-client/app", "{}"),
        ("tls-cert/a.example", "{}"),
        ("unheard-of", "x"),
        ("zz/é", ""),
    ];
    let brief = [("access-state/code", "{}"), ("dpop-jkt-seen/x", "{}")];
    scratch.fill([("user-unique/email/b@x", "bob")]);
    scratch.fill(open.into_iter().chain(secret).chain(brief));
    let expected = |entries: &[(&str, &str)]| {
        let mut entries = entries.to_vec();
        entries.sort_unstable();
        let line = |(key, value): &(&str, &str)| json!({ "key": key, "value": value });
        entries.iter().map(line).collect::<Vec<_>>()
    };
    let keys = |folder: &str| {
        let path = platform.folder.path().join(folder);
        let lines = fs::read_to_string(path.join("platform/keys.jsonl")).unwrap();
        let mut lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line["key"].as_str().unwrap().to_owned());
        lines
    };

    let made = platform.backup("clear", &scratch.url);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(0), "{said}");
    assert!(said.contains("5 secrets of the platform"), "{said}");
    assert_eq!(keys("clear"), expected(&open));

    let passphrase = platform.folder.path().join("passphrase");
    fs::write(&passphrase, "a passphrase").unwrap();
    let sealed = |name: &str, flags: &[&str]| {
        let mut all = vec!["--encrypt-passphrase", "a passphrase"];
        all.extend(flags);
        let made = platform.backup_with(name, &scratch.url, &all);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        assert!(!text(&made).contains("secrets"), "{}", text(&made));
        let out = format!("{name}-plain");
        let opened = run(Command::new("node")
            .current_dir(platform.folder.path().join(name))
            .args(["decrypt-backup.mjs", ".", "--passphrase-file"])
            .arg(&passphrase)
            .arg("--out")
            .arg(platform.folder.path().join(&out)));
        assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
        out
    };
    let all: Vec<_> = open.into_iter().chain(secret).collect();
    assert_eq!(keys(&sealed("sealed", &[])), expected(&all));
    let all: Vec<_> = all.into_iter().chain(brief).collect();
    let with_brief = sealed("brief", &["--include-ephemeral"]);
    assert_eq!(keys(&with_brief), expected(&all));
    let as_pryv = platform
        .folder
        .path()
        .join(sealed("pryv", &["--platform", "pryv"]));
    assert!(as_pryv.join("platform/platform.jsonl").exists());
    assert!(!as_pryv.join("platform/keys.jsonl").exists());
}

#[test]
fn a_platform_without_entries_has_an_empty_file() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup::default());
    assert!(platform.entries("backup", &scratch.url).is_empty());
}

#[test]
fn a_malformed_key_is_a_loss_and_the_rest_is_saved() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup::default());
    scratch.fill([("user-unique/x", "bob"), ("user-unique/email/b@x", "bob")]);
    let made = platform.backup("backup", &scratch.url);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert!(
        said.contains("LOST") && said.contains("\"user-unique/x\""),
        "{said}"
    );
    let archive = platform.folder.path().join("backup");
    let entries = fs::read_to_string(archive.join("platform/platform.jsonl")).unwrap();
    assert_eq!(entries.lines().count(), 1);
    let manifest = fs::read(archive.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["losses"].as_array().unwrap().len(), 1);
}

#[test]
fn many_entries_come_in_pages() {
    let platform = Platform::new();
    Scratch::each(|scratch| {
        let keys: Vec<String> = (0..2500)
            .map(|n| format!("user-unique/email/{n:05}@x"))
            .collect();
        scratch.fill(keys.iter().map(|key| (key.as_str(), "someone")));
        let name = if scratch.server.is_some() {
            "here"
        } else {
            "real"
        };
        let entries = platform.entries(name, &scratch.url);
        let expected: Vec<Value> = (0..2500)
            .map(|n| unique("email", "someone", &format!("{n:05}@x")))
            .collect();
        assert!(entries == expected, "{} entries", entries.len());
        let Some(server) = &scratch.server else {
            return;
        };
        let queries: Vec<_> = server
            .requests()
            .into_iter()
            .filter(|request| request.path == "/db/query")
            .collect();
        // One that asks whether the table is there, three pages and an empty one, an empty one of the other kind, three of what lies
        // around the two, and three that look at the tables and count their rows.
        assert_eq!(queries.len(), 12);
        for query in queries {
            assert_eq!(query.parameter("level"), Some("strong"));
        }
    });
}

/// In the hashed mode entries name a user by a token.
#[test]
fn the_entries_of_one_user_are_found_by_name_and_by_token() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup::default());
    // For a key of 32 bytes of 7.
    let alice = "008f6a1da2ab7e27006bffce4da3eaa4280ea2499aa79d6bf026a56f70ddf86f";
    let mail = "e7fffa8623f95604527d47910b1ec896588f289a312b66a722e584d5e04f3177";
    let [indexed, core, unique, foreign] = [
        format!("user-indexed/language/{alice}"),
        format!("user-core/{alice}"),
        format!("user-unique/email/{mail}"),
        format!("user-unique/email/{}", "0".repeat(64)),
    ];
    let access = json!({ "accessId": "a", "usernameToken": alice }).to_string();
    let other = json!({ "accessId": "b", "usernameToken": mail }).to_string();
    scratch.fill([
        (indexed.as_str(), "fr"),
        (&unique, alice),
        (&foreign, mail),
        ("user-indexed/language/bob", "en"),
        (&core, "single"),
        ("user-core/bob", "single"),
        ("access-index/a", &access),
        ("access-index/b", &other),
        ("core-info/single", "{}"),
    ]);
    let lines = |name: &str, kind: &str| {
        let path = platform.folder.path().join(name).join(kind);
        let lines = fs::read_to_string(path).unwrap_or_default();
        lines.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let hers = |name: &str, settings: &[(&str, &str)]| {
        let mut command = platform.command(name, &scratch.url, &["--user", "alice"]);
        run(command.envs(settings.iter().copied()))
    };
    let hashed = ("platform__piiMode", "hashed");
    let made = hers("hashed", &[hashed, ("platform__piiHmacKey", key)]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let found = lines("hashed", "platform/platform.jsonl").concat();
    assert_eq!(lines("hashed", "platform/platform.jsonl").len(), 2);
    assert!(found.contains("\"fr\"") && found.contains(mail), "{found}");
    let found = lines("hashed", "platform/keys.jsonl").concat();
    assert_eq!(lines("hashed", "platform/keys.jsonl").len(), 2, "{found}");
    assert!(
        found.contains(&core) && found.contains("access-index/a"),
        "{found}"
    );
    let manifest = fs::read(platform.folder.path().join("hashed/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["platform"]["piiMode"], "hashed");
    assert_eq!(manifest["platform"]["engines"]["platform"], "rqlite");

    // Without the key nobody can tell.
    let made = hers("none", &[hashed]);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(1), "{said}");
    assert!(said.contains("platform.piiHmacKey is not set"), "{said}");
    let made = hers("bad", &[hashed, ("platform__piiHmacKey", "s3cret")]);
    let said = text(&made);
    assert!(
        said.contains("32 bytes") && !said.contains("s3cret"),
        "{said}"
    );
    let made = hers("cleartext", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    assert!(lines("cleartext", "platform/platform.jsonl").is_empty());
}
