//! What a backup reads: every kind of value, to the nanosecond, under every name of an account; and what it names as left out.

use super::{archive, backup, empty, fixture, losses, one_line, points, restored, series_text};
use pryv_backup_tests::{
    command::{report, run, text},
    influx::Influx,
    need,
    stage::Stage,
};
use std::fmt::Write;
use std::process::Command;

/// Points of every kind, in two measurements.
const LINES: &str = concat!(
    "event.a v=1,n=2i,b=true,t=\"x\\\"y\\\\z <&>é😀\" 1\n",
    "event.a v=1.5e21,n=9007199254740993i 4393911305278\n",
    "event.a v=0.1,b=false,t=\"two\nlines\" -1500001\n",
    "event.a n=-7i 9223372036854775806\n",
    "event.a v=-0.0000001 -9223372036854775806\n",
    "event.b\\,\\ c d\\,e\\ f\\=g\"h=\"\",ünï=3i 0\n",
);

#[test]
fn every_kind_comes_and_goes_as_it_is() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    server.write("user.alice", LINES);
    let platform = fixture(&stage, &server);
    let first = archive(&stage, &platform, "first");
    let read = series_text(&stage, &first);
    for due in [
        r#"{"time":0.000001,"b":true,"n":2,"t":"x\"y\\z <&>é😀","v":1.0}"#,
        r#"{"time":4393911.305278,"n":9007199254740993,"v":1.5e+21}"#,
        r#"{"time":-1.500001,"b":false,"t":"two\nlines","v":0.1}"#,
        r#"{"time":9223372036854.775806,"n":-7}"#,
        r#"{"time":-9223372036854.775806,"v":-1e-7}"#,
        r#"{"time":0,"d,e f=g\"h":"","ünï":3}"#,
        r#""measurement":"event.b, c","namespace":"user.alice""#,
    ] {
        assert!(read.contains(due), "{due} is not in {read}");
    }
    let target = empty(&stage, &other);
    restored(&target.restore(&first, &[]));
    assert_eq!(other.contents("user.alice"), server.contents("user.alice"));
    let again = archive(&stage, &target, "again");
    assert_eq!(series_text(&stage, &again), read);
}

/// Fields whose kind differs between parts of a database, of some days each.
#[test]
fn kinds_that_differ_by_time_are_all_read() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start() else {
        return;
    };
    for line in [
        "event.m f=1i 0",
        "event.m f=9007199254740993i 1",
        "event.m f=1.5 1000000000000000000",
        "event.m f=7 1000000000000000001",
        "event.m f=\"s\" 1500000000000000000",
        "event.m f=true 1700000000000000000",
    ] {
        server.write("user.alice", line);
    }
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    let read = series_text(&stage, &made);
    for due in [
        r#"{"time":0,"f":1.0}"#,
        r#"{"time":0.000001,"f":9007199254740993}"#,
        r#"{"time":1000000000000,"f":1.5}"#,
        r#"{"time":1000000000000.000001,"f":7.0}"#,
        r#"{"time":1500000000000,"f":"s"}"#,
        r#"{"time":1700000000000,"f":true}"#,
    ] {
        assert!(read.contains(due), "{due} is not in {read}");
    }
}

/// Pryv's own restore makes tags of texts.
#[test]
fn tags_that_a_restore_left_are_fields() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    server.write(
        "user.alice",
        "event.t,note=a\\ b v=1 1\nevent.t v=2 2\nevent.t note=\"field\",v=3 3\nevent.t,note=half v=4 4\nevent.t w=5 4\n",
    );
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    let read = series_text(&stage, &made);
    for due in [
        r#"{"time":0.000001,"note":"a b","v":1.0}"#,
        r#"{"time":0.000002,"v":2.0}"#,
        r#"{"time":0.000003,"note":"field","v":3.0}"#,
        r#"{"time":0.000004,"note":"half","v":4.0,"w":5.0}"#,
    ] {
        assert!(read.contains(due), "{due} is not in {read}");
    }
    let target = empty(&stage, &other);
    restored(&target.restore(&made, &[]));
    assert!(other.query("SHOW TAG KEYS ON \"user.alice\"").is_empty());
    assert_eq!(
        points(&stage, &archive(&stage, &target, "again")),
        points(&stage, &made)
    );

    // What cannot be one point is told.
    server.write("user.alice", "event.t,note=x v=1 9\nevent.t,note=y v=2 9\n");
    server.write("user.alice", "event.t,note=x note=\"z\" 10");
    let made = backup(&stage, &fixture(&stage, &server), "lossy", &[]);
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = losses(&report(&made)).join("\n");
    assert!(said.contains("two points have the same time"), "{said}");
    assert!(said.contains("a tag \"note\" beside a field"), "{said}");
}

/// Lines of an archive hold so many points; pieces of an answer fewer.
#[test]
fn many_points_come_in_pieces() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let mut lines = String::new();
    for i in 0..120_000_u64 {
        writeln!(lines, "event.long v={} {}", i / 7, i * 1_000_003).unwrap();
    }
    server.write("user.alice", &lines);
    for i in 0..40 {
        server.write("user.alice", &format!("event.{i} v={i} {i}"));
    }
    let first = archive(&stage, &fixture(&stage, &server), "first");
    assert_eq!(points(&stage, &first).len(), 120_040);
    let target = empty(&stage, &other);
    restored(&target.restore(&first, &[]));
    assert_eq!(other.all(), server.all());
}

#[test]
fn every_name_of_an_account_is_read() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let platform = fixture(&stage, &server);
    let before = archive(&stage, &platform, "before");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(before.join("manifest.json")).unwrap()).unwrap();
    let users = manifest["users"].as_array().unwrap();
    let alice = users
        .iter()
        .find(|user| user["username"] == "alice")
        .unwrap();
    let id = alice["userId"].as_str().unwrap();
    server.write("user.alice", "event.x v=1 1000000");
    platform.rename(id, "alice", "alicia", 1_790_000_000.0);
    server.write("user.alicia", "event.x v=2 1000000");
    server.write(id, "event.x v=3 1000000");
    // Of nobody, of another program, and one without points.
    server.write("user.nobody", "event.x v=1 1\nevent.y w=1 1\nevent.y v=2 2");
    server.write("telegraf", "cpu v=1 1");
    server.query("CREATE DATABASE \"user.empty\"");
    let made = backup(&stage, &platform, "archive", &[]);
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    assert_eq!(
        losses(&report(&made)),
        [
            "series/user.nobody: 3 points are kept under this name, which no account bears or bore; left out"
        ]
    );
    let found: Vec<String> = points(&stage, &stage.at("archive")).into_iter().collect();
    let mut due = [
        r#"user.alice event.x {"time":1,"v":1.0}"#.to_owned(),
        r#"user.alicia event.x {"time":1,"v":2.0}"#.to_owned(),
        format!(r#"{id} event.x {{"time":1,"v":3.0}}"#),
    ];
    due.sort();
    assert_eq!(found, due);
    let target = empty(&stage, &other);
    restored(&target.restore(&stage.at("archive"), &[]));
    let due = ["user.alice", "user.alicia", id].map(str::to_owned);
    assert_eq!(other.databases(), due.into());
    for name in ["user.alice", "user.alicia", id] {
        assert_eq!(other.contents(name), server.contents(name));
    }
    // A loss that is accepted.
    let accepted = ["--accept-loss", "series/user.nobody"];
    let made = backup(&stage, &platform, "accepted", &accepted);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

/// The default retention policy is read whatever it is called; another one is told of.
#[test]
fn the_default_policy_is_read() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start() else {
        return;
    };
    server.query(
        "CREATE DATABASE \"user.alice\" WITH DURATION INF REPLICATION 1 SHARD DURATION 52w NAME \"my \\\"own\\\" policy\"",
    );
    server.query("CREATE RETENTION POLICY \"old\" ON \"user.alice\" DURATION INF REPLICATION 1");
    server.write("user.alice", "event.x v=1 1");
    let platform = fixture(&stage, &server);
    let made = archive(&stage, &platform, "archive");
    assert_eq!(points(&stage, &made).len(), 1);
    server.query("ALTER RETENTION POLICY \"old\" ON \"user.alice\" DEFAULT");
    server.write("user.alice", "event.y v=1 1\nevent.y w=2 2");
    server.query("ALTER RETENTION POLICY \"my \\\"own\\\" policy\" ON \"user.alice\" DEFAULT");
    let made = backup(&stage, &platform, "lossy", &[]);
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = losses(&report(&made)).join("\n");
    assert!(
        said.starts_with("influxdb/old: points of a retention policy that is not the default one")
            && said.contains("its 2 rows were left out"),
        "{said}"
    );
    assert_eq!(points(&stage, &stage.at("lossy")).len(), 1);
    // In place of what is there it keeps its policy.
    restored(&platform.restore(&stage.at("archive"), &["--overwrite"]));
    let policies = server.query("SHOW RETENTION POLICIES ON \"user.alice\"");
    let policies: Vec<String> = policies.iter().map(|(_, row)| format!("{row:?}")).collect();
    assert_eq!(policies.len(), 1, "{policies:?}");
    assert!(
        policies[0].contains("own") && policies[0].contains("8736h0m0s"),
        "{policies:?}"
    );
    assert_eq!(server.contents("user.alice").len(), 2);
}

/// Whoever is no admin sees some databases only: that must not pass for all.
#[test]
fn who_may_not_see_everything_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start_with("", Some(("chief", "it's \"secret\""))) else {
        return;
    };
    server.write("user.alice", "event.x v=1 1");
    server.query("CREATE USER weak WITH PASSWORD 'weak'");
    server.query("GRANT READ ON \"user.alice\" TO weak");
    let platform = |user: &str, password: &str| {
        fixture(&stage, &server)
            .with("storages__engines__influxdb__username", user)
            .with("storages__engines__influxdb__password", password)
    };
    let known = platform("chief", "it's \"secret\"");
    let good = archive(&stage, &known, "good");
    assert_eq!(points(&stage, &good).len(), 1);
    for (platform, told) in [
        (fixture(&stage, &server), "it wants a user and a password"),
        (
            platform("chief", "hidden-word"),
            "it refuses username and password",
        ),
        (platform("weak", "weak"), "the user \"weak\" is no admin"),
    ] {
        let failed = backup(&stage, &platform, "failed", &["--quiet"]);
        assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
        let said = text(&failed);
        assert!(
            said.contains(told) && !said.contains("hidden-word"),
            "{said}"
        );
        assert!(said.contains("(storages.engines.influxdb)"), "{said}");
        assert!(!stage.at("failed").exists());
        let plain = run(platform
            .command()
            .arg("--restore")
            .arg(&good)
            .args(["--overwrite", "--quiet"]));
        let said = one_line(&plain, 1);
        assert!(said.contains(told), "{said}");
        assert_eq!(server.contents("user.alice").len(), 2);
    }
    restored(&known.restore(&good, &["--overwrite"]));
    assert_eq!(server.contents("user.alice").len(), 2);
}

/// Over https, where somebody whom this host trusts has signed the server's certificate.
#[test]
fn a_server_with_a_certificate_is_reached() {
    let Some(stage) = Stage::new() else { return };
    if !need::program("openssl") {
        return;
    }
    std::fs::write(stage.at("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    for args in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out server.csr -subj /CN=influx",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out certificate.pem -days 2 -extfile names",
    ] {
        let mut openssl = Command::new("openssl");
        let made = run(openssl.args(args.split(' ')).current_dir(stage.at("")));
        assert!(made.status.success(), "{}", text(&made));
    }
    let http = format!(
        "https-enabled = true\nhttps-certificate = \"{}\"\nhttps-private-key = \"{}\"",
        stage.at("certificate.pem").display(),
        stage.at("key.pem").display()
    );
    let Some(server) = Influx::start_with(&http, None) else {
        return;
    };
    server.write("user.alice", "event.x v=1 1");
    let tls = || fixture(&stage, &server).with("storages__engines__influxdb__tls", "true");
    let trusted = || {
        let path = stage.at("ca.crt").display().to_string();
        tls().with("storages__engines__influxdb__sslrootcert", &path)
    };
    let made = archive(&stage, &trusted(), "archive");
    assert_eq!(points(&stage, &made).len(), 1);
    restored(&trusted().restore(&made, &["--overwrite"]));
    assert_eq!(server.contents("user.alice").len(), 2);
    for platform in [tls(), fixture(&stage, &server)] {
        let failed = backup(&stage, &platform, "failed", &["--quiet"]);
        assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
        assert!(!stage.at("failed").exists());
    }
}
