//! How the server is asked, and what becomes of its refusals.

use crate::{Platform, unique};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::need;
use pryv_backup_tests::rqlite::{Scratch, Server, Setup, front, post};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

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
    let Some((scheme, user, host)) = need::need("rqlite", address) else {
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
    let queries = |scratch: &Scratch| {
        let asked = scratch.server.as_ref().unwrap().requests();
        asked.iter().filter(|one| one.path == "/db/query").count()
    };
    let before = queries(&scratch);
    let said = platform.failure("table", &scratch.url);
    assert!(said.contains("no such table: keyValue"), "{said}");
    let once = queries(&scratch) - before;

    // An error of the nodes, whatever its words, passes mostly: they are asked again.
    for failure in ["leadership lost while committing log", "store not ready"] {
        let scratch = Scratch::new(Setup {
            failure: Some(failure),
            ..Setup::default()
        });
        let said = platform.failure("whole", &scratch.url);
        assert!(said.contains(failure), "{said}");
        assert_eq!(queries(&scratch), once + 4);
    }

    let said = platform.failure("path", &format!("{}/elsewhere", scratch.url));
    assert!(said.contains("404"), "{said}");
}

/// A server of one's own has a certificate that no public authority signed.
#[test]
fn an_encrypted_way_is_checked() {
    let platform = Platform::new();
    let scratch = Scratch::new(Setup::default());
    scratch.fill([("user-unique/email/a@x", "alice")]);
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("names"), "subjectAltName=DNS:localhost\n").unwrap();
    for args in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
    ] {
        let made = run(Command::new("openssl")
            .args(args.split(' '))
            .current_dir(folder.path()));
        assert!(made.status.success(), "{}", text(&made));
    }
    let certificate = at("ca.crt");
    let port = front(&at("server.crt"), &at("server.key"), &scratch.url);
    let url = format!("https://localhost:{port}");
    let said = platform.failure("unknown", &url);
    assert!(said.contains("certificate"), "{said}");
    let backup = |variable: &str| {
        let mut command = platform.command(variable, &url, &[]);
        run(command.env(variable, &certificate))
    };
    for variable in ["SSL_CERT_FILE", "storages__engines__rqlite__sslrootcert"] {
        let made = backup(variable);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    }
    // Trust in the authority is not trust in any name.
    let elsewhere = format!("https://127.0.0.1:{port}");
    let mut command = platform.command("name", &elsewhere, &[]);
    let refused = run(command.env("SSL_CERT_FILE", &certificate));
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
}

/// A node that is restarted refuses connections for a moment.
#[test]
fn a_node_that_is_starting_is_waited_for() {
    let platform = Platform::new();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("node");
    let server = Server::start(&file, Setup::default());
    let (status, _) = post(
        &server.url(),
        "/db/execute",
        &json!([
            "CREATE TABLE keyValue (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
            "INSERT INTO keyValue VALUES ('user-unique/email/a@x', 'alice')"
        ]),
    );
    assert_eq!(status, 200);
    let url = server.url();
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    drop(server);
    let entries = std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1500));
            Server::start_at(port, &file, Setup::default())
        });
        let entries = platform.entries("starting", &url);
        started.join().unwrap();
        entries
    });
    assert_eq!(entries, [unique("email", "alice", "a@x")]);
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
