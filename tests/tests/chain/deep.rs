//! JSON that is nested deeper than anybody expects travels like any other; where nobody can check its hash, that is told.

use crate::chain::{Chain, assert_same};
use decryptor_wasm::integrity::{Hashed, attachment, digest};
use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder, rich,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use std::{fs, path::Path, process::Command};

const DEPTHS: [usize; 6] = [100, 127, 150, 210, 300, 3000];

fn nested(depth: usize) -> String {
    match depth % 2 {
        0 => format!("{}1{}", "[".repeat(depth), "]".repeat(depth)),
        _ => format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
    }
}

/// Puts such values wherever a record has room for any.
fn fill(platform: &Platform<'_>) {
    let event = |depth: usize| {
        let content = nested(depth);
        let bare = format!(
            "{{\"id\":\"deep-{depth}\",\"streamIds\":[\"s0\"],\"time\":1,\"endTime\":1,\"type\":\"note/deep\",\"content\":{content},\
             \"created\":1,\"createdBy\":\"x\",\"modified\":1,\"modifiedBy\":\"x\"}}"
        );
        let hash = attachment(&digest(Hashed::Event, bare.as_bytes()).unwrap());
        (content, format!("EVENT:0:{hash}"))
    };
    let deep = nested(3000);
    if platform.database.is_some() {
        for depth in DEPTHS {
            let (content, hash) = event(depth);
            for (id, hash) in [
                (format!("deep-{depth}"), format!("'{hash}'")),
                (format!("bare-{depth}"), "NULL".to_owned()),
            ] {
                platform.sql(&format!(
                    "INSERT INTO events (user_id, id, stream_ids, time, end_time, type, content, created, created_by, modified, modified_by, integrity) \
                     SELECT user_id, '{id}', '[\"s0\"]', 1, 1, 'note/deep', '{content}', 1, 'x', 1, 'x', {hash} FROM users_index"
                ));
            }
        }
        platform.sql(&format!(
            "UPDATE streams SET client_data = '{deep}' WHERE id = 's0'; UPDATE profile SET data = '{deep}' WHERE id = 'private'; \
             INSERT INTO accesses (user_id, id, token, name, type, permissions, client_data) \
                SELECT user_id, 'deep', 'deep-' || user_id, 'deep', 'app', '[]', '{deep}' FROM users_index; \
             INSERT INTO account_fields SELECT user_id, 'deep', '{deep}', 1, 'x' FROM users_index; \
             INSERT INTO audit_events (user_id, eventid, time, type, content) SELECT user_id, 'deep', 1, 'note/deep', '{deep}' FROM users_index; \
             INSERT INTO series_data SELECT 'user.' || username, 'event.deep', 1, 1, '{{\"x\":{deep}}}' FROM users_index"
        ));
        return;
    }
    let mut events = String::new();
    for depth in DEPTHS {
        let (content, hash) = event(depth);
        for (id, hash) in [
            (format!("deep-{depth}"), format!("'{hash}'")),
            (format!("bare-{depth}"), "NULL".to_owned()),
        ] {
            events += &format!(
                "INSERT INTO events (eventid, streamIds, time, endTime, type, content, created, createdBy, modified, modifiedBy, integrity) \
                 VALUES ('{id}', 's0 ..', 1, 1, 'note/deep', '{content}', 1, 'x', 1, 'x', {hash});"
            );
        }
    }
    for (file, statements) in [
        ("local-1.0.0.sqlite", events),
        (
            "baseStorage-1.0.0.sqlite",
            format!(
                "UPDATE streams SET data = '{{\"name\":\"deep\",\"path\":\"s0/\",\"clientData\":{deep}}}' WHERE id = 's0'; \
             UPDATE profile SET data = '{{\"data\":{deep}}}' WHERE id = 'private'; \
             INSERT INTO accesses (id, data) VALUES ('deep', '{{\"token\":\"deep\",\"name\":\"deep\",\"type\":\"app\",\"permissions\":[],\"clientData\":{deep}}}')"
            ),
        ),
        (
            "account-1.0.0.sqlite",
            format!("INSERT INTO account_fields VALUES ('deep', '{deep}', 1, 'x')"),
        ),
        (
            "audit-1.0.0.sqlite",
            format!(
                "INSERT INTO events (eventid, time, type, content, streamIds) VALUES ('deep', 1, 'note/deep', '{deep}', '..')"
            ),
        ),
        (
            "series-1.0.0.sqlite",
            format!(
                "INSERT INTO series_data (event_id, point_time, delta_time, fields) VALUES ('event.deep', 1, 1, '{{\"x\":{deep}}}')"
            ),
        ),
    ] {
        for path in folder::files(&platform.users) {
            if path.ends_with(file) && !path.starts_with(platform.users.join("_shared")) {
                Connection::open(path)
                    .unwrap()
                    .execute_batch(&statements)
                    .unwrap();
            }
        }
    }
}

fn done(stage: &Stage, arguments: &[&str], archive: &Path) -> String {
    let mut command = Command::new(tool());
    command
        .args(arguments)
        .arg(archive)
        .arg("--private-key")
        .arg(stage.key());
    let done = run(&mut command);
    assert_eq!(
        done.status.code(),
        Some(0),
        "{arguments:?}: {}",
        text(&done)
    );
    text(&done)
}

#[test]
fn deeply_nested_values_travel() {
    let Some(stage) = Stage::new() else { return };
    let platforms = [Some(stage.sqlite()), stage.postgres()];
    for (n, platform) in platforms.iter().flatten().enumerate() {
        rich::fill(&stage, platform, 1, 5);
        let chain = Chain::new(&stage, platform, &format!("chain {n}"));
        chain.add();
        fill(platform);
        chain.add_increment();
        chain.add_increment();
        let states = chain.states(3);
        let (archive, now) = chain.moment(&format!("now {n}"));
        assert_same(&states[1], &now, "with deep values");
        assert_same(&states[2], &now, "with deep values");
        for depth in DEPTHS {
            let records = now.records.iter().filter(|((_, kind), _)| kind == "events");
            let records = records.flat_map(|(_, lines)| lines);
            let named = |line: &&String| line.replace(": ", ":").contains(&format!("-{depth}\""));
            assert_eq!(records.filter(named).count(), 2, "{depth}");
        }
        // Whoever reads them, alone or out of a chain.
        for place in [&archive, &chain.dir] {
            let said = done(&stage, &["verify"], place);
            assert!(
                said.contains("warning: ") && said.contains("3 (deep-210, deep-300, deep-3000)"),
                "{said}"
            );
            assert!(said.contains("cannot be checked"), "{said}");
            assert!(!said.contains("do not match"), "{said}");
            for format in ["jsonl", "csv", "parquet"] {
                let out = stage.at("out");
                done(
                    &stage,
                    &[
                        "extract",
                        "--type",
                        "note/deep",
                        "--format",
                        format,
                        "--out",
                        out.to_str().unwrap(),
                    ],
                    place,
                );
                fs::remove_file(out).unwrap();
            }
            let consolidated = stage.at("consolidated");
            done(
                &stage,
                &[
                    "consolidate",
                    "--into",
                    consolidated.to_str().unwrap(),
                    "--recipient-pubkey",
                    stage
                        .fixtures
                        .join("keys/recipient.pub.pem")
                        .to_str()
                        .unwrap(),
                ],
                place,
            );
            assert_eq!(stage.diff(&consolidated, &archive)["same"], true);
            fs::remove_dir_all(consolidated).unwrap();
            let opened = stage.open(place);
            fs::remove_dir_all(opened).unwrap();
            let script = run(Command::new("node")
                .arg(place.join("decrypt-backup.mjs"))
                .arg(place)
                .args(["--verify", "--private-key"])
                .arg(stage.key()));
            assert_eq!(script.status.code(), Some(0), "{}", text(&script));
            for target in [Some(stage.sqlite()), stage.postgres()]
                .into_iter()
                .flatten()
            {
                // From one engine to the other not all that is odd there can go.
                if target.database.is_some() != platform.database.is_some() {
                    let said = report(&target.restore(place, &[]));
                    assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
                    target.remove();
                    continue;
                }
                let restored = target.restore(place, &["--verify-integrity"]);
                let said = report(&restored);
                assert_eq!(restored.status.code(), Some(0), "{said}");
                let integrity = &said["users"][0]["integrity"];
                assert_eq!(integrity["unknown"], 3, "{said}");
                assert_eq!(
                    integrity["unknownIds"].as_array().unwrap().len(),
                    3,
                    "{said}"
                );
                target.remove();
            }
        }
    }
}
