//! What a restore writes: exactly the databases of its users, whole or as they were, with all that InfluxDB has a place for.

use super::{archive, empty, fixture, points, restored, with_series};
use pryv_backup_tests::{
    command::{report, text},
    influx::Influx,
    rich,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::Value;

/// A point in the file of a series.
fn put(platform: &Platform<'_>, measurement: &str, time: i64, fields: &str) {
    let file = rich::folder(&platform.users, "user.alice").join("series-1.0.0.sqlite");
    let sql = "INSERT INTO series_data VALUES (?, ?, ?, ?)";
    let file = Connection::open(file).unwrap();
    file.execute(sql, (measurement, time, time, fields))
        .unwrap();
}

fn of_alice(said: &Value) -> Value {
    let users = said["users"].as_array().unwrap();
    users
        .iter()
        .find(|user| user["username"] == "alice")
        .unwrap()
        .clone()
}

#[test]
fn in_place_of_what_is_there_only_the_users_databases_go() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start() else {
        return;
    };
    let platform = fixture(&stage, &server);
    server.write("user.alice", "event.x v=1,t=\"a\" 1\nevent.x v=2 2");
    server.write("user.bob00", "event.b v=1 1");
    let made = archive(&stage, &platform, "archive");
    let due = [server.contents("user.alice"), server.contents("user.bob00")];
    server.write("user.alice", "event.x v=9 1\nevent.new w=1i 1");
    server.write("user.alicia", "event.x v=3 1");
    server.write("telegraf", "cpu v=1 1");
    server.query("DROP DATABASE \"user.bob00\"");
    let others = [server.contents("user.alicia"), server.contents("telegraf")];
    restored(&platform.restore(&made, &["--overwrite"]));
    assert_eq!(
        [server.contents("user.alice"), server.contents("user.bob00")],
        due
    );
    assert_eq!(
        [server.contents("user.alicia"), server.contents("telegraf")],
        others
    );
    assert_eq!(server.databases().len(), 4, "{:?}", server.databases());
    assert!(platform.is_left_clean());

    // Series that the archive does not have give way too.
    for name in ["user.alice", "user.alicia"] {
        server.query(&format!("DROP DATABASE \"{name}\""));
    }
    let without = archive(&stage, &platform, "without");
    server.write("user.alice", "event.x v=9 1");
    restored(&platform.restore(&without, &["--overwrite"]));
    assert!(!server.databases().contains("user.alice"));
}

/// Whoever is restored without `--overwrite` is new; what a name of theirs holds is of somebody who is no more.
#[test]
fn what_is_left_under_a_name_gives_way() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    server.write("user.alice", "event.x v=1 1");
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    other.write("user.alice", "event.old v=1 1");
    other.write("user.zoe", "event.old v=1 1");
    restored(&empty(&stage, &other).restore(&made, &[]));
    assert_eq!(other.contents("user.alice"), server.contents("user.alice"));
    assert_eq!(other.contents("user.zoe").len(), 2);
}

/// Numbers of other engines are floats, as Pryv.io writes them; what InfluxDB cannot hold is named.
#[test]
fn what_has_no_place_is_named() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start() else {
        return;
    };
    let source = stage.sqlite_fixture();
    put(
        &source,
        "event.odd",
        1,
        r#"{"v":1,"n":null,"t":"x\u0000y"}"#,
    );
    put(
        &source,
        "event.odd",
        2,
        r#"{"v":1.5,"list":[1],"big":9007199254740993}"#,
    );
    put(&source, "event.odd", 3, r#"{"n":null}"#);
    put(
        &source,
        "event.odd",
        4,
        r##"{"#v":1,"a\\":2,"v":3,"half":"\ud83d"}"##,
    );
    put(&source, "event.odd", i64::MAX, r#"{"v":1}"#);
    put(&source, "#odd", 5, r#"{"v":1}"#);
    let archive = source.backup("archive");
    let target = empty(&stage, &server);
    let done = target.restore(&archive, &[]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let alice = of_alice(&report(&done));
    assert_eq!(alice["outcome"], "restored");
    let said = alice["losses"].to_string();
    for told in [
        "a value that is a list or an object in 1 records",
        "the last digits of a number, beyond those of a float, in 1 records",
        "a point without a value in 1 records",
        "half a surrogate pair in 1 records",
        "a time beyond those of InfluxDB in 1 records",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(
        said.contains("a field called") && said.contains("a measurement called"),
        "{said}"
    );
    assert_eq!(alice["losses"].as_array().unwrap().len(), 8, "{said}");
    let found = server.query("SELECT v, t, big, half FROM \"user.alice\"..\"event.odd\"");
    let found: Vec<String> = found
        .iter()
        .map(|(_, row)| Value::from(row.clone()).to_string())
        .collect();
    assert_eq!(
        found,
        [
            r#"[1,1.0,"x\u0000y",null,null]"#.replace("1.0", "1"),
            r#"[2,1.5,null,9007199254740992,null]"#.to_owned(),
            "[4,3,null,null,\"\u{fffd}\"]".to_owned(),
        ]
    );
    let kinds = server.query("SHOW FIELD KEYS ON \"user.alice\" FROM \"event.odd\"");
    let kinds: Vec<&Value> = kinds.iter().map(|(_, row)| &row[1]).collect();
    assert_eq!(kinds, ["float", "string", "string", "float"]);
}

/// Integers among floats: the server refuses them, and the report says which; the rest of the user is restored.
#[test]
fn an_integer_among_floats_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    // Each of its own part of a database there, and of one part here.
    server.query(&hours("user.alice"));
    server.write(
        "user.alice",
        "event.mixed v=1.5 0\nevent.mixed w=1i 0\nevent.x v=1 1",
    );
    server.write(
        "user.alice",
        "event.mixed v=9007199254740993i 7200000000000",
    );
    server.write(
        "user.alice",
        "event.mixed v=9007199254740995i 7200000000001",
    );
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    other.write("user.alice", "event.before v=1 1");
    let target = fixture(&stage, &other);
    let done = target.restore(&made, &["--overwrite"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let alice = of_alice(&report(&done));
    assert_eq!(alice["outcome"], "restored", "{alice}");
    let losses = alice["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert_eq!(
        losses[0],
        "series: a point that InfluxDB refuses (partial write: field type conflict: input field \"v\" on measurement \"event.mixed\" \
         is type integer, already exists as type float dropped=1) in 2 records has no place on this platform"
    );
    let due = server.contents("user.alice").into_iter();
    let due = due
        .filter(|line| !line.contains("90071992547409") && !line.contains("[\"v\",\"integer\"]"));
    assert_eq!(other.contents("user.alice"), due.collect());
    assert_eq!(other.databases().len(), 1, "{:?}", other.databases());
    // A database with the same parts takes it.
    other.query("DROP DATABASE \"user.alice\"");
    other.query(&hours("user.alice"));
    restored(&fixture(&stage, &other).restore(&made, &["--overwrite"]));
    assert_eq!(other.contents("user.alice"), server.contents("user.alice"));
}

/// A statement that makes a database each of whose parts is an hour.
fn hours(name: &str) -> String {
    format!(
        "CREATE DATABASE \"{name}\" WITH DURATION INF REPLICATION 1 SHARD DURATION 1h NAME \"hours\""
    )
}

/// A policy that forgets does not take what is older: that is named. A user of whom it takes hardly anything stays as before.
#[test]
fn a_policy_that_forgets_is_noticed() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    server.write(
        "user.alice",
        "event.x v=1 1\nevent.x v=2 4000000000000000000",
    );
    let few = archive(&stage, &fixture(&stage, &server), "few");
    let many: Vec<String> = (0..1500).map(|i| format!("event.x v=1 {i}")).collect();
    server.write("user.alice", &many.join("\n"));
    let many = archive(&stage, &fixture(&stage, &server), "many");
    let short = "CREATE DATABASE \"user.alice\" WITH DURATION 52w REPLICATION 1 SHARD DURATION 1w NAME \"short\"";
    other.query(short);
    other.write("user.alice", "event.before v=1 4000000000000000000");
    let before = other.all();
    let done = fixture(&stage, &other).restore(&many, &["--overwrite"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let alice = of_alice(&report(&done));
    assert_eq!(alice["outcome"], "failed", "{alice}");
    let reason = alice["reason"].as_str().unwrap();
    for told in ["more than 1000 points", "points beyond retention policy"] {
        assert!(reason.contains(told), "{reason}");
    }
    assert_eq!(other.all(), before);

    let done = fixture(&stage, &other).restore(&few, &["--overwrite"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let alice = of_alice(&report(&done));
    assert_eq!(alice["outcome"], "restored", "{alice}");
    assert!(
        alice["losses"]
            .to_string()
            .contains("points beyond retention policy"),
        "{alice}"
    );
    let now = other.query("SELECT v FROM \"user.alice\"..\"event.x\"");
    assert_eq!(now.len(), 1);
}

/// Nothing is written when only looking, and the archive's series need no room on the disk.
#[test]
fn a_dry_run_writes_nothing() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    server.write("user.alice", "event.x v=1 1");
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    let done = empty(&stage, &other).restore(&made, &["--dry-run"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(other.databases().is_empty());
    assert_eq!(points(&stage, &made).len(), 1);
}

/// With the base in PostgreSQL the decision is its transaction.
#[test]
fn with_postgres_as_the_base_users_come_together() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    for user in ["alice", "bob00"] {
        server.write(
            &format!("user.{user}"),
            "event.x v=1,n=1i 1\nevent.y b=true 2",
        );
    }
    let source = with_series(source, server.port);
    let made = archive(&stage, &source, "archive");
    assert!(points(&stage, &made).len() >= 4);
    let target = with_series(stage.postgres().unwrap(), other.port);
    restored(&target.restore(&made, &[]));
    assert_eq!(other.all(), server.all());
    assert_eq!(
        points(&stage, &archive(&stage, &target, "again")),
        points(&stage, &made)
    );
    // A user who fails in the database leaves nothing on the server.
    other.clear();
    other.write("user.alice", "event.before v=1 1");
    target.sql("ALTER TABLE streams ADD CONSTRAINT refused CHECK (user_id = '') NOT VALID");
    let done = target.restore(&made, &["--overwrite"]);
    assert!(matches!(done.status.code(), Some(1 | 5)), "{}", text(&done));
    assert_eq!(other.databases(), ["user.alice".to_owned()].into());
    assert!(target.is_left_clean());
}
