//! Stores that hold nothing any more: what was in them stays in the chain where they cannot be read, and is told of in any case.

use crate::chain::{Chain, assert_same};
use pryv_backup_tests::{
    command::{report, run, text},
    folder, rich,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::Value;
use std::{fs, path::Path};

/// A file of a user that has one.
fn file(platform: &Platform<'_>, name: &str) -> std::path::PathBuf {
    let files = folder::files(&platform.users);
    let mut found = files.into_iter().filter(|path| path.ends_with(name));
    found.next().unwrap_or_else(|| panic!("no {name}"))
}

fn empty(path: &Path) {
    fs::write(path, "").unwrap();
    for end in ["-wal", "-shm"] {
        let mut log = path.as_os_str().to_owned();
        log.push(end);
        let _ = fs::remove_file(log);
    }
}

fn sql(path: &Path, statements: &str) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(statements).unwrap();
}

/// An increment that names losses, each with these words; what it reports.
fn lossy(chain: &Chain<'_>, words: &[&str]) -> Value {
    let done = run(&mut chain.command());
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let said = report(&done);
    assert_eq!(said["chain"]["kind"], "incremental", "{said}");
    let losses = said["losses"].as_array().unwrap();
    let named = losses.iter().any(|loss| {
        let loss = loss.to_string();
        words.iter().all(|word| loss.contains(word))
    });
    assert!(named, "{words:?}: {losses:#?}");
    said
}

type Harm = fn(&Platform<'_>);

#[test]
fn a_store_without_its_tables_is_no_empty_one() {
    let Some(stage) = Stage::new() else { return };
    let harms: [(&str, &str, Harm); 9] = [
        ("events", "there is no table events", |p| {
            empty(&file(p, "local-1.0.0.sqlite"));
        }),
        ("events", "there is no table events", |p| {
            let path = file(p, "local-1.0.0.sqlite");
            sql(&path, "ALTER TABLE events RENAME TO events_old");
        }),
        ("streams", "there is no table", |p| {
            empty(&file(p, "baseStorage-1.0.0.sqlite"));
        }),
        ("accesses", "the table accesses is gone", |p| {
            let path = file(p, "baseStorage-1.0.0.sqlite");
            sql(&path, "ALTER TABLE accesses RENAME TO accesses_old");
        }),
        ("account", "there is no table passwords", |p| {
            empty(&file(p, "account-1.0.0.sqlite"));
        }),
        ("audit", "there is no table events", |p| {
            empty(&file(p, "audit-1.0.0.sqlite"));
        }),
        ("audit", "the file is gone", |p| {
            let path = file(p, "audit-1.0.0.sqlite");
            empty(&path);
            fs::remove_file(path).unwrap();
        }),
        ("series", "there is no table series_data", |p| {
            empty(&file(p, "series-1.0.0.sqlite"));
        }),
        ("platform", "the table alias4id is gone", |p| {
            let path = p.users.join("user-index.db");
            sql(&path, "ALTER TABLE alias4id RENAME TO alias4id_old");
        }),
    ];
    for (n, (collection, says, harm)) in harms.into_iter().enumerate() {
        let platform = stage.sqlite();
        rich::fill(&stage, &platform, 2, 5);
        let index = platform.users.join("user-index.db");
        sql(
            &index,
            "INSERT INTO alias4id SELECT 'other-' || username, userId FROM id4name",
        );
        let chain = Chain::new(&stage, &platform, &format!("chain {n}"));
        chain.add();
        harm(&platform);
        lossy(&chain, &[collection, says]);
        // Not only once.
        lossy(&chain, &[collection, says]);
        let states = chain.states(3);
        assert_same(&states[1], &states[0], says);
        assert_same(&states[0], &states[1], says);
        assert_same(&states[2], &states[0], says);
        assert_same(&states[0], &states[2], says);
        platform.remove();
    }
}

/// Each table of these is made when its first record comes.
#[test]
fn a_table_that_never_was_is_no_loss() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite();
    rich::fill(&stage, &platform, 1, 5);
    sql(
        &file(&platform, "baseStorage-1.0.0.sqlite"),
        "DROP TABLE webhooks",
    );
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    chain.add_increment();
}

#[test]
fn a_table_that_is_missing_in_postgresql_is_named() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres() else {
        return;
    };
    rich::fill(&stage, &platform, 2, 5);
    platform.sql("INSERT INTO alias_index SELECT 'other-' || username, user_id FROM users_index");
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    platform.sql("ALTER TABLE alias_index RENAME TO alias_old");
    lossy(&chain, &["platform", "the table alias_index is gone"]);
    let states = chain.states(2);
    assert_same(&states[1], &states[0], "without aliases");
    assert_same(&states[0], &states[1], "without aliases");
    platform.sql("ALTER TABLE webhooks RENAME TO webhooks_old");
    let failed = run(&mut chain.command());
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(text(&failed).contains("there is no table webhooks"));
}

/// Records by the thousand that are gone at once are gone from the newest state too, and that is told.
#[test]
fn sudden_emptiness_is_named() {
    let Some(stage) = Stage::new() else { return };
    for postgres in [false, true] {
        let platform = match postgres {
            false => stage.sqlite(),
            true => match stage.postgres() {
                Some(platform) => platform,
                None => return,
            },
        };
        rich::fill(&stage, &platform, 3, 5);
        let many = |from: usize, to: usize| match postgres {
            true => {
                platform.sql(&format!(
                    "INSERT INTO events (user_id, id, stream_ids, time, type) SELECT user_id, 'many-' || username || n, '[\"a\"]', n, 't' \
                     FROM users_index, generate_series({from}, {to}) n"
                ));
            }
            false => {
                for path in folder::files(&platform.users) {
                    if path.ends_with("local-1.0.0.sqlite") {
                        sql(
                            &path,
                            &format!(
                                "WITH RECURSIVE n(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to}) \
                             INSERT INTO events (eventid, streamIds, time, type) SELECT 'many-' || n, 'a ..', n, 't' FROM n"
                            ),
                        );
                    }
                }
            }
        };
        let clear = || match postgres {
            true => {
                platform.sql("DELETE FROM event_streams; DELETE FROM events");
            }
            false => {
                for path in folder::files(&platform.users) {
                    if path.ends_with("local-1.0.0.sqlite") {
                        sql(&path, "DELETE FROM events");
                    }
                }
            }
        };
        let chain = Chain::new(&stage, &platform, &format!("chain {postgres}"));
        many(1, 1500);
        chain.add();
        clear();
        let said = lossy(
            &chain,
            &[
                "the user has no events any more",
                "earlier runs of the chain have them",
            ],
        );
        let named = said["losses"].as_array().unwrap().len();
        assert_eq!(named, 3, "{said}");
        assert_same(&chain.states(2)[1], &chain.now("now"), "emptied");
        // Told once; and where each user had few, of all together.
        many(1, 400);
        chain.add_increment();
        clear();
        let said = lossy(&chain, &["no user has any events any more"]);
        assert_eq!(said["losses"].as_array().unwrap().len(), 1, "{said}");
        let _ = fs::remove_dir_all(stage.at("now"));
    }
}
