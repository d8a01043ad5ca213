//! The platform's entries in rqlite: what a backup holds of them, and how it fails when they cannot be read. With
//! `RQLITE_URL`, the address of a real and empty rqlite server, what holds for the server here must hold for that one too.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::command::{run, text, tool};
use pryv_backup_tests::rqlite::{Scratch, Server, Setup, post};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The sample platform with its index in an rqlite server.
struct Platform {
    folder: TempDir,
}

impl Platform {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let made = run(Command::new(tool())
            .arg("sample")
            .arg(folder.path().join("platform")));
        assert!(made.status.success(), "{}", text(&made));
        Self { folder }
    }

    /// The default backup, unencrypted, without compression.
    fn backup(&self, name: &str, url: &str) -> Output {
        self.backup_with(name, url, &[])
    }

    fn backup_with(&self, name: &str, url: &str, flags: &[&str]) -> Output {
        run(Command::new(tool())
            .args(flags)
            .env("storages__engines__rqlite__url", url)
            // The way to the Internet is not the way to a server beside us.
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .arg("--pryv-root")
            .arg(self.folder.path())
            .arg("--config")
            .arg(self.folder.path().join("platform/config.yml"))
            .args(["--no-compress", "--output"])
            .arg(self.folder.path().join(name)))
    }

    /// The lines of the platform file of a backup that succeeds.
    fn entries(&self, name: &str, url: &str) -> Vec<Value> {
        let made = self.backup(name, url);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let archive = self.folder.path().join(name);
        let manifest = fs::read(archive.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["platform"]["mode"], "full");
        let lines = fs::read_to_string(archive.join("platform/platform.jsonl")).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The one line of a backup that fails, and leaves nothing behind.
    fn failure(&self, name: &str, url: &str) -> String {
        let made = self.backup(name, url);
        let said = text(&made);
        assert_eq!(made.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("error: rqlite at http"), "{said}");
        assert!(said.contains("storages.engines.rqlite.url"), "{said}");
        let left: Vec<_> = fs::read_dir(self.folder.path().join(name))
            .map(|entries| entries.map(|e| e.unwrap().path()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
        said
    }
}

fn unique(field: &str, username: &str, value: &str) -> Value {
    json!({ "isUnique": true, "field": field, "username": username, "value": value })
}

fn indexed(field: &str, username: &str, value: &str) -> Value {
    json!({ "isUnique": false, "field": field, "username": username, "value": value })
}

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
        // Three pages and an empty one, an empty one of the other kind, and three of what lies around the two.
        assert_eq!(queries.len(), 8);
        for query in queries {
            assert_eq!(query.parameter("level"), Some("strong"));
        }
    });
}

#[test]
fn a_password_is_sent_and_never_told() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup {
        credentials: Some(("pryv", "s3cret/é@1%")),
        ..Setup::default()
    });
    let server = scratch.server.as_ref().unwrap();
    let right = server.url_for("pryv", "s3cret%2F%C3%A9%401%25");
    assert!(platform.entries("right", &right).is_empty());
    assert!(platform.entries("raw", &scratch.url).is_empty());

    let wrong = server.url_for("pryv", "s3cret-wr0ng");
    let said = platform.failure("wrong", &wrong);
    assert!(said.contains(&server.url()), "{said}");
    assert!(said.contains("refuses the user and password"), "{said}");
    assert!(
        !said.contains("s3cret") && !said.contains("pryv:"),
        "{said}"
    );

    let said = platform.failure("none", &server.url());
    assert!(said.contains("user:password@"), "{said}");
}

#[test]
fn a_real_server_with_users_refuses_a_wrong_password() {
    let real = Scratch::real();
    let address = real.as_ref().and_then(|real| {
        let (scheme, rest) = real.url.split_once("://")?;
        let (user_info, host) = rest.rsplit_once('@')?;
        Some((scheme, user_info.split(':').next()?, host))
    });
    let Some((scheme, user, host)) = address else {
        println!("SKIPPED: RQLITE_URL names no server with users");
        return;
    };
    let url = format!("{scheme}://{user}:s3cret-wr0ng@{host}");
    let said = Platform::new().failure("wrong", &url);
    assert!(said.contains("refuses the user and password"), "{said}");
    assert!(said.contains(host) && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_server_that_does_not_run_is_named() {
    let platform = Platform::new();
    let server = Scratch::new(Setup::default()).server.take();
    let url = server.as_ref().unwrap().url_for("pryv", "s3cret");
    let address = server.as_ref().unwrap().url();
    drop(server);
    let said = platform.failure("down", &url);
    assert!(
        said.contains(&address) && !said.contains("s3cret"),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn errors_of_the_server_are_passed_on() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup::default());
    let (status, _) = post(&scratch.url, "/db/execute", &json!(["DROP TABLE keyValue"]));
    assert_eq!(status, 200);
    let said = platform.failure("table", &scratch.url);
    assert!(said.contains("no such table: keyValue"), "{said}");

    let scratch = Scratch::new(Setup {
        failure: Some("leadership lost while committing log"),
        ..Setup::default()
    });
    let said = platform.failure("whole", &scratch.url);
    assert!(said.contains("leadership lost"), "{said}");

    let said = platform.failure("path", &format!("{}/elsewhere", scratch.url));
    assert!(said.contains("404"), "{said}");
}

#[test]
fn redirects_lead_to_the_leader() {
    let platform = Platform::new();
    let credentials = Some(("pryv", "s3cret"));
    let leader = Scratch::new(Setup {
        credentials,
        ..Setup::default()
    });
    leader.fill([("user-unique/email/a@x", "alice")]);
    let address = leader.server.as_ref().unwrap().url();
    let folder = TempDir::new().unwrap();
    let follower = |name: &str, leader: String, status| {
        let setup = Setup {
            credentials,
            leader: Some((leader, status)),
            ..Setup::default()
        };
        Server::start(&folder.path().join(name), setup)
    };
    for status in [301, 302, 307, 308] {
        let follower = follower("follower", address.clone(), status);
        let name = format!("from-{status}");
        assert_eq!(
            platform.entries(&name, &follower.url_for("pryv", "s3cret")),
            [unique("email", "alice", "a@x")]
        );
        let asked = &follower.requests()[0];
        assert_eq!(asked.method, "POST", "{status}");
    }
    // A node that takes itself for a follower of itself.
    let circle = follower("lost", String::new(), 301);
    let said = platform.failure("circle", &circle.url_for("pryv", "s3cret"));
    assert!(said.contains("redirect"), "{said}");
    assert!(circle.requests().len() < 20);
}

#[test]
fn an_election_is_waited_for_but_not_forever() {
    let platform = Platform::new();
    for silent in [false, true] {
        let scratch = Scratch::new(Setup {
            silent,
            ..Setup::default()
        });
        scratch.fill([("user-unique/email/a@x", "alice")]);
        let server = scratch.server.as_ref().unwrap();
        server.hold_election(2);
        assert_eq!(
            platform.entries(&format!("elected-{silent}"), &scratch.url),
            [unique("email", "alice", "a@x")]
        );
        server.hold_election(1000);
        let said = platform.failure(&format!("electing-{silent}"), &scratch.url);
        assert!(said.contains("no leader"), "{said}");
    }
}

#[test]
fn the_server_answers_as_rqlite_does() {
    Scratch::each(|scratch| {
        let url = &scratch.url;
        let results = |path: &str, body: Value| {
            let (status, answer) = post(url, path, &body);
            assert_eq!(status, 200, "{answer}");
            answer["results"].clone()
        };
        scratch.fill([("a", "1"), ("b", "é")]);
        let rows = json!({
            "columns": ["key", "value"], "types": ["text", "text"], "values": [["b", "é"]],
        });
        for query in [
            json!(["SELECT key, value FROM keyValue WHERE key = 'b'"]),
            json!([["SELECT key, value FROM keyValue WHERE key = ?", "b"]]),
            json!([["SELECT key, value FROM keyValue WHERE key = :k", { "k": "b" }]]),
        ] {
            assert_eq!(results("/db/query?level=strong", query), json!([rows]));
        }
        let none = json!(["SELECT key, value FROM keyValue WHERE key = 'none'"]);
        assert_eq!(
            results("/db/query", none),
            json!([{ "columns": ["key", "value"], "types": ["text", "text"] }])
        );
        let two = json!([
            "SELECT value FROM keyValue WHERE key = 'a'",
            "SELECT nothing"
        ]);
        let answer = results("/db/query?associative&timings", two);
        assert_eq!(answer[0]["types"], json!({ "value": "text" }));
        assert_eq!(answer[0]["rows"], json!([{ "value": "1" }]));
        assert!(answer[0]["time"].as_f64().is_some(), "{answer}");
        assert!(answer[1]["error"].as_str().unwrap().contains("nothing"));

        let writes = json!(["DELETE FROM keyValue"]);
        assert_eq!(
            results("/db/query", writes),
            json!([{ "error": "attempt to change database via query operation" }])
        );
        let body = json!([
            "DELETE FROM keyValue WHERE key = 'a'",
            ["INSERT INTO keyValue VALUES (?, ?)", "b", "again"],
        ]);
        let undone = results("/db/execute?transaction", body.clone());
        assert!(undone[1]["error"].as_str().unwrap().contains("UNIQUE"));
        let count = json!(["SELECT count(*) FROM keyValue"]);
        let counted = |count: Value| results("/db/query", count)[0]["values"][0][0].clone();
        assert_eq!(counted(count.clone()), 2);
        results("/db/execute", body);
        assert_eq!(counted(count), 1);

        assert_eq!(post(url, "/db/query", &json!({})).0, 400);
        assert_eq!(post(url, "/db/query", &json!([])).0, 400);
        let get = |path: &str| ureq::get(format!("{url}{path}")).call().unwrap();
        let mut answer = get("/db/query?q=SELECT+value%20FROM%20keyValue");
        let answer: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        assert_eq!(answer["results"][0]["values"], json!([["é"]]));
        assert!(
            get("/readyz")
                .body_mut()
                .read_to_string()
                .unwrap()
                .contains("leader ok")
        );
        assert_eq!(get("/status").status(), 200);
    });
}
