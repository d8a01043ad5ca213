//! Events of a database server between two runs that make the remembered state useless; and records that are lost and found again.

use crate::chain::{Chain, assert_same};
use pryv_backup_tests::{
    command::{report, run, text},
    rich,
    stage::Stage,
};
use std::fs;

#[test]
fn another_database_or_other_columns_cost_a_full_run() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres() else {
        return;
    };
    rich::fill(&stage, &platform, 1, 5);
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    chain.add_increment();
    // A column whose value is the same for all rows: no transaction has written any of them.
    platform.sql("ALTER TABLE events ADD COLUMN colour text DEFAULT 'red'");
    let said = chain.add();
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    let why = said["chain"]["whyFull"].as_str().unwrap();
    assert!(why.contains("its tables"), "{why}");
    assert_same(&chain.states(3)[2], &chain.now("now"), "another column");
    // The same rows, in a database that was made of this one.
    let copy = stage.copy(&platform);
    let moved = Chain::new(&stage, &copy, "chain");
    let said = moved.add();
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    moved.add_increment();
    assert_same(&moved.states(5)[4], &moved.now("now 2"), "another database");
}

#[test]
fn a_row_that_nobody_wrote_and_nobody_remembers_costs_a_full_run() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres() else {
        return;
    };
    let users = rich::fill(&stage, &platform, 2, 5);
    let (one, other) = (&users[0].id, &users[1].id);
    let chain = Chain::new(&stage, &platform, "chain");
    let only = |chain: &Chain<'_>| {
        // The table that is made below is none that anybody knows.
        let done = run(chain
            .command()
            .args(["--user", one, "--accept-loss", "kept"]));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        report(&done)
    };
    only(&chain);
    // Rows of before the next run, which come to be this user's after it without being written.
    platform.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM events WHERE user_id = '{other}' AND attachments IS NULL LIMIT 3; UPDATE kept SET user_id = '{one}'; \
         ALTER TABLE kept ALTER COLUMN user_id SET NOT NULL, ALTER COLUMN id SET NOT NULL"
    ));
    assert_eq!(only(&chain)["chain"]["kind"], "incremental");
    platform.sql("ALTER TABLE kept INHERIT events");
    let said = only(&chain);
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    let why = said["chain"]["whyFull"].as_str().unwrap();
    assert!(why.contains("does not remember"), "{why}");
}

/// A standby that had fallen behind takes over: the numbers of the transactions that it has not seen are given out again, so that they tell
/// nothing; and for minutes its control file still speaks of the time before.
#[test]
fn a_standby_that_takes_over_costs_a_full_run() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres() else {
        return;
    };
    let users = rich::fill(&stage, &platform, 1, 5);
    let primary = stage.server().unwrap();
    let database = platform.database.clone().unwrap();
    // Pages that are not on the disk: the checkpoint after the promotion takes its time.
    platform
        .sql("CREATE SCHEMA beside; CREATE TABLE beside.bulk AS SELECT n, repeat('x', 500) FROM generate_series(1, 60000) n");
    let standby = primary.standby();
    platform.sql("UPDATE beside.bulk SET n = n + 1");
    let place = primary.sql("postgres", "SELECT pg_current_wal_lsn()");
    let caught_up = format!("SELECT pg_last_wal_replay_lsn() >= '{place}'");
    while standby.sql("postgres", &caught_up) != "t" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    standby.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
    standby.sql("postgres", "SELECT pg_reload_conf()");
    while standby.sql("postgres", "SELECT count(*) FROM pg_stat_wal_receiver") != "0" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let burn = |server: &pryv_backup_tests::postgres::Postgres, transactions: usize| {
        let each = "SELECT pg_current_xact_id();";
        server.feed(&database, each.repeat(transactions).as_bytes());
    };
    burn(primary, 30);
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    assert_eq!(standby.sql("postgres", "SELECT pg_promote()"), "t");
    standby.sql(
        &database,
        &format!(
            "UPDATE events SET content = '\"after the promotion\"' WHERE user_id = '{}' AND deleted IS NULL",
            users[0].id
        ),
    );
    burn(&standby, 100);
    let moved = stage
        .copy(&platform)
        .with(
            "storages__engines__postgresql__port",
            &standby.port.to_string(),
        )
        .with("storages__engines__postgresql__database", &database);
    let chain = Chain::new(&stage, &moved, "chain");
    let said = chain.add();
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    let why = said["chain"]["whyFull"].as_str().unwrap();
    assert!(why.contains("the database server"), "{why}");
    chain.add_increment();
}

#[test]
fn what_cannot_be_read_any_more_is_not_gone() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite();
    let users = rich::fill(&stage, &platform, 1, 5);
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    let [all] = &chain.states(1)[..] else {
        panic!("one run")
    };
    let database = rich::folder(&platform.users, &users[0].id).join("local-1.0.0.sqlite");
    let database = rusqlite::Connection::open(&database).unwrap();
    let one = "(SELECT min(eventid) FROM events WHERE content IS NOT NULL AND headId IS NULL)";
    let sound: String = database
        .query_row(
            &format!("SELECT content FROM events WHERE eventid = {one}"),
            [],
            |row| row.get(0),
        )
        .unwrap();
    let set = |content: &str| {
        let sql = format!("UPDATE events SET content = ?1 WHERE eventid = {one}");
        assert_eq!(database.execute(&sql, [content]).unwrap(), 1);
    };
    set("{broken");
    for _ in 0..2 {
        let done = run(&mut chain.command());
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        let said = report(&done);
        assert_eq!(said["chain"]["kind"], "incremental", "{said}");
        assert_eq!(said["losses"].as_array().map(Vec::len), Some(1), "{said}");
    }
    assert_same(&chain.states(3)[2], all, "as it was last read");
    set(&sound);
    chain.add_increment();
    assert_same(&chain.states(4)[3], &chain.now("now"), "mended");
}

#[test]
fn what_was_lost_is_brought_when_it_is_there_again() {
    let Some(stage) = Stage::new() else { return };
    for postgres in [false, true] {
        let platform = if postgres {
            stage.postgres()
        } else {
            Some(stage.sqlite())
        };
        let Some(platform) = platform else { continue };
        let users = rich::fill(&stage, &platform, 1, 5);
        let (event, file, content) = &users[0].attachments[0];
        let path = rich::folder(&platform.users, &users[0].id)
            .join("attachments")
            .join(event)
            .join(file);
        fs::remove_file(&path).unwrap();
        let chain = Chain::new(&stage, &platform, if postgres { "p" } else { "s" });
        for kind in ["full", "incremental", "incremental"] {
            let done = run(&mut chain.command());
            assert_eq!(done.status.code(), Some(5), "{}", text(&done));
            assert_eq!(report(&done)["chain"]["kind"], kind);
        }
        fs::write(&path, content).unwrap();
        let said = chain.add_increment();
        assert_eq!(said["records"]["attachments"], 1, "{said}");
        assert_eq!(chain.add_increment()["records"]["attachments"], 0);
        assert_same(
            &chain.states(5)[4],
            &chain.now(&format!("now {postgres}")),
            "found again",
        );
    }
}

#[test]
fn a_run_is_read_again_when_that_is_asked_for() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    for _ in 0..2 {
        let done = run(chain.command().arg("--verify"));
        assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
        let said = report(&done);
        assert_eq!(
            said["verified"]["damaged"].as_array().map(Vec::len),
            Some(0),
            "{said}"
        );
    }
}
