//! Records taken out of an archive: which ones, and how they are written.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use pryv_backup_tests::{command::text, sampled::Stage};
use serde_json::Value;

const KEY: [&str; 2] = ["--private-key", "key.pem"];

/// The records that come out.
fn records(stage: &Stage, more: &[&str]) -> Vec<Value> {
    let args = [&["extract", "archive", "--user", "alice"], &KEY[..], more].concat();
    let lines = stage.good(&args);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.sql(
        "alice/local-1.0.0.sqlite",
        "INSERT INTO events (eventid, streamIds, time, type, content, description) VALUES \
         ('formula', 'night ..', 1000, 'note/txt', '\"=HYPERLINK(\\\"http://x\\\")\"', '+1;=2'), \
         ('quote', 'night other ..', 2000.25, 'note/html', '{\"a\":[1,\"\\u00e9\"]}', 'say \"hi\";\r\nbye'), \
         ('number', 'heart ..', -3000, 'mass/kg', '-72.5', NULL)",
    );
    stage.backup("archive");
    stage
}

#[test]
fn conditions_choose_the_records() {
    let stage = stage();
    let all = records(&stage, &[]);
    assert!(all.len() > 40);
    let ids = |more: &[&str]| {
        let mut ids: Vec<String> = records(&stage, more)
            .iter()
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids(&["--until", "1970-01-01T00:33:20Z"]),
        ["formula", "number"]
    );
    assert_eq!(
        ids(&["--since", "@1000", "--until", "1970-01-02"]),
        ["formula", "quote"]
    );
    assert_eq!(ids(&["--since", "@-3000", "--until", "@1000"]), ["number"]);
    assert_eq!(
        ids(&["--until", "@86400", "--type", "note/*"]),
        ["formula", "quote"]
    );
    assert_eq!(
        ids(&["--until", "@86400", "--type", "note/html"]),
        ["quote"]
    );
    assert_eq!(
        ids(&["--until", "@86400", "--stream", "night"]),
        ["formula", "quote"]
    );
    // `night` lies in `heart`, which lies in `health`.
    let of = |stream: &str| ids(&["--until", "@86400", "--stream", stream]);
    assert_eq!(of("heart"), ["formula", "number", "quote"]);
    assert_eq!(of("health"), ["formula", "number", "quote"]);
    assert_eq!(of("diary"), Vec::<String>::new());
    for event in records(&stage, &["--stream", "diary"]) {
        assert_eq!(event["streamIds"], serde_json::json!(["diary"]));
    }
    assert_eq!(records(&stage, &["--collection", "streams"]).len(), 6);
    assert_eq!(records(&stage, &["--collection", "account"]).len(), 1);
    assert!(!records(&stage, &["--collection", "audit"]).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let stage = stage();
    let refused = |args: &[&str], says: &str| {
        let done = stage.run(&[&["extract", "archive"], &KEY[..], args].concat());
        assert_eq!(done.status.code(), Some(2), "{args:?}: {}", text(&done));
        assert!(text(&done).contains(says), "{args:?}: {}", text(&done));
    };
    refused(&[], "give --user");
    refused(&["--user", "nobody"], "nobody");
    refused(
        &["--user", "alice", "--collection", "evnts"],
        "there is no collection",
    );
    refused(
        &["--user", "alice", "--stream", "nowhere"],
        "there is no stream",
    );
    refused(
        &[
            "--user",
            "alice",
            "--collection",
            "profile",
            "--since",
            "@1",
        ],
        "have no time",
    );
    refused(
        &[
            "--user",
            "alice",
            "--collection",
            "streams",
            "--stream",
            "diary",
        ],
        "have no stream",
    );
    for moment in ["yesterday", "20990101", "1780000000000", "-3000"] {
        refused(&["--user", "alice", "--since", moment], "a year (2026)");
        refused(&["--user", "alice", "--until", moment], "@1780000000");
    }
    fs::write(stage.at("there"), "x").unwrap();
    refused(&["--user", "alice", "--out", "there"], "exists");
    assert_eq!(fs::read(stage.at("there")).unwrap(), b"x");
    let wrong = stage.run(&["extract", "archive", "--user", "alice"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
}

#[test]
fn cells_are_what_the_records_say_and_no_formulas() {
    let stage = stage();
    let args = [
        "extract",
        "archive",
        "--user",
        "alice",
        "--until",
        "@86400",
        "--format",
        "csv",
        "--out",
        "events.csv",
    ];
    assert_eq!(stage.good(&[&args[..], &KEY].concat()), "");
    let csv = fs::read_to_string(stage.at("events.csv")).unwrap();
    let header = "id,headId,streamIds,time,endTime,type,content,description,attachments,clientData,trashed,deleted,created,createdBy,modified,modifiedBy,integrity,other\r\n";
    let mut rows: Vec<&str> = csv
        .strip_prefix(header)
        .unwrap()
        .split_inclusive(",\r\n")
        .collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            "\"formula\",,\"[\"\"night\"\"]\",1000,,\"note/txt\",\"'=HYPERLINK(\"\"http://x\"\")\",\"'+1;=2\",,,,,,,,,,\r\n",
            "\"number\",,\"[\"\"heart\"\"]\",-3000,,\"mass/kg\",-72.5,,,,,,,,,,,\r\n",
            "\"quote\",,\"[\"\"night\"\",\"\"other\"\"]\",2000.25,,\"note/html\",\"{\"\"a\"\":[1,\"\"\\u00e9\"\"]}\",\"say \"\"hi\"\";\r\nbye\",,,,,,,,,,\r\n",
        ]
    );
    // A point of a series is a row.
    let args = [
        "extract",
        "archive",
        "--user",
        "alice",
        "--collection",
        "series",
        "--format",
        "csv",
    ];
    let series = stage.good(&[&args[..], &KEY].concat());
    assert!(
        series.starts_with("namespace,measurement,time,value,other\r\n\"user.alice\",\"event."),
        "{series}"
    );
    assert_eq!(series.matches("\r\n").count(), 251);
}

#[test]
fn parquet_holds_the_same() {
    let stage = stage();
    let args = [
        "extract",
        "archive",
        "--user",
        "alice",
        "--format",
        "parquet",
        "--out",
        "events.parquet",
    ];
    stage.good(&[&args[..], &KEY].concat());
    let file = fs::File::open(stage.at("events.parquet")).unwrap();
    let rows = parquet_rows(file);
    let all = records(&stage, &[]);
    assert_eq!(rows.len(), all.len());
    for (row, record) in rows.iter().zip(&all) {
        for name in [
            "id",
            "headId",
            "type",
            "description",
            "createdBy",
            "integrity",
        ] {
            assert_eq!(
                row.get(name),
                record.get(name).filter(|v| v.is_string()),
                "{name}"
            );
        }
        for name in ["time", "endTime", "created", "modified", "deleted"] {
            let number = record.get(name).and_then(Value::as_f64);
            assert_eq!(row.get(name).and_then(Value::as_f64), number, "{name}");
        }
        for name in ["content", "streamIds", "attachments", "clientData"] {
            let json = row
                .get(name)
                .map(|text| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap());
            assert_eq!(
                json.as_ref(),
                record.get(name).filter(|v| !v.is_null()),
                "{name}"
            );
        }
    }
}

fn parquet_rows(file: fs::File) -> Vec<serde_json::Map<String, Value>> {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };
    let reader = SerializedFileReader::new(file).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let row = row.unwrap();
        let columns = row.get_column_iter().filter_map(|(name, field)| {
            let value = match field {
                Field::Null => return None,
                Field::Str(text) => Value::from(text.as_str()),
                Field::Bytes(bytes) => {
                    Value::from(String::from_utf8(bytes.data().to_vec()).unwrap())
                }
                Field::Double(number) => Value::from(*number),
                Field::Bool(truth) => Value::from(*truth),
                other => panic!("{other:?}"),
            };
            Some((name.clone(), value))
        });
        columns.collect()
    })
    .collect()
}

#[test]
fn what_was_written_is_said_as_json_beside_it() {
    let stage = stage();
    let args = ["extract", "archive", "--user", "alice", "--json"];
    let plain = stage.good(&[&args[..4], &KEY].concat());
    let done = stage.run(&[&args[..], &KEY].concat());
    assert_eq!(String::from_utf8_lossy(&done.stdout), plain);
    let said: Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(said["collection"], "events");
    assert_eq!(said["records"], plain.lines().count());
    assert_eq!(said["bytes"], plain.len());
    assert_eq!(said["out"], Value::Null);
    for format in ["csv", "parquet"] {
        let out = format!("out.{format}");
        let to = ["--format", format, "--out", &out];
        let said = stage.json(&[&args[..], &KEY, &to].concat());
        assert_eq!(said["records"], plain.lines().count(), "{format}");
        let size = fs::metadata(stage.at(&out)).unwrap().len();
        assert_eq!(said["bytes"], size, "{format}");
        assert_eq!(said["out"], out);
    }
}
