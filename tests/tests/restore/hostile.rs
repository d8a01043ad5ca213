//! Archives that somebody made or changed with intent: refused or made harmless, with one clear line, and nothing outside the
//! platform is touched.

use super::draft::Draft;
use super::shared::targets;
use pryv_backup_tests::{
    command::{report, run, text},
    folder, kit,
    stage::{Platform, Stage},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output},
};

/// The archive is refused, with exactly so many lines that say why, and nothing was written.
pub fn refused(stage: &Stage, archive: &Path, code: i32, says: &str) {
    for target in targets(stage) {
        let before = target.rows();
        let done = target.restore(archive, &[]);
        assert_eq!(done.status.code(), Some(code), "{}", text(&done));
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(error.contains(says), "{error}");
        assert!(
            error.trim().lines().count() <= 2 && error.len() < 1500,
            "{error}"
        );
        assert!(target.rows() == before && target.is_left_clean());
    }
    untouched(stage);
}

/// One user of the archive cannot be restored, for this reason; the others are.
pub fn costs_one_user(stage: &Stage, archive: &Path, user: &str, says: &str) {
    for target in targets(stage) {
        let done = target.restore(archive, &[]);
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        let said = report(&done);
        let mut restored = 0;
        for one in said["users"].as_array().unwrap() {
            if one["userId"] == user {
                assert_eq!(one["outcome"], "failed", "{one}");
                let reason = one["reason"].as_str().unwrap();
                assert!(
                    reason.contains(says) && reason.lines().count() == 1,
                    "{reason}"
                );
            } else {
                assert_eq!(one["outcome"], "restored", "{one}");
                restored += 1;
            }
        }
        assert!(restored > 0);
        let mine = |row: &String| row.contains(user);
        assert!(!target.rows().values().flatten().any(mine));
    }
    untouched(stage);
}

/// Nothing lies where only a path that leads out of the platform leads.
pub fn untouched(stage: &Stage) {
    for place in ["evil", "../evil", "users/evil"] {
        assert!(!stage.at(place).exists(), "{place}");
    }
    assert!(!Path::new("/tmp/evil").exists());
}

#[test]
fn user_ids_that_lead_elsewhere() {
    let Some(stage) = Stage::new() else { return };
    for (n, id) in [
        "../../evil",
        "/tmp/evil",
        "..",
        ".",
        "",
        "a\0b",
        "a/b",
        "a\\b",
    ]
    .iter()
    .enumerate()
    {
        let mut draft = Draft::new(&stage, &format!("archive-{n}"));
        draft.manifest["users"][0]["userId"] = (*id).into();
        fs::write(draft.root.join("manifest.json"), draft.manifest.to_string()).unwrap();
        refused(
            &stage,
            &draft.root,
            4,
            "names a user id that is no folder name",
        );
    }
}

#[test]
fn event_and_file_ids_that_lead_elsewhere() {
    let Some(stage) = Stage::new() else { return };
    for (n, id) in ["../../../evil", "/tmp/evil", "a\0b", "..\\evil"]
        .into_iter()
        .enumerate()
    {
        let draft = Draft::new(&stage, &format!("archive-{n}"));
        let file = draft.at(0, "attachments");
        fs::create_dir_all(&file).unwrap();
        fs::write(file.join("evilfile"), "x").unwrap();
        let event = json!({"id": id, "streamIds": ["x"], "time": 1, "endTime": 1, "type": "x/y",
            "attachments": [{"id": "evilfile", "fileName": "x", "type": "x", "size": 1}]});
        draft.append(0, "events/events-0001.jsonl", &event.to_string());
        for target in targets(&stage) {
            let done = target.restore(&draft.root, &[]);
            let said = report(&done);
            assert_eq!(done.status.code(), Some(5), "{said}");
            assert_eq!(said["users"][0]["outcome"], "failed", "{said}");
            let reason = said["users"][0]["reason"].as_str().unwrap();
            assert!(reason.contains("is not the name of a file"), "{reason}");
        }
        untouched(&stage);
    }
}

#[test]
fn series_of_others() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let folder = draft.at(0, "series");
    fs::create_dir_all(&folder).unwrap();
    let other = draft.manifest["users"][1]["username"]
        .as_str()
        .unwrap()
        .to_owned();
    let put = |namespace: &str| {
        let line =
            json!({"measurement": "m", "namespace": namespace, "points": [{"time": 1, "v": 1}]});
        fs::write(folder.join("series.jsonl"), format!("{line}\n")).unwrap();
    };
    put("../../../evil");
    costs_one_user(&stage, &draft.root, &draft.id(0), "namespace");
    // Under a name of somebody else they would become theirs.
    put(&format!("user.{other}"));
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &[]);
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        assert!(
            text(&done).contains("somebody else's too"),
            "{}",
            text(&done)
        );
        let points = super::defects::points(&target);
        assert!(points.iter().all(|(_, measurement, _)| measurement != "m"));
    }
}

#[test]
fn links_in_the_archive() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let link = draft.at(0, "streams.jsonl");
    let outside = stage.at("outside");
    fs::rename(&link, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    refused(&stage, &draft.root, 4, "is a symbolic link");
    fs::remove_file(&link).unwrap();
    fs::rename(&outside, &link).unwrap();
    let folder = draft.at(0, "events");
    fs::rename(&folder, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &folder).unwrap();
    refused(&stage, &draft.root, 4, "is a symbolic link");
}

/// Runs under a limit of memory, so that a line or a stream without end cannot take more.
fn bounded(target: &Platform<'_>, archive: &Path) -> Output {
    let restoring = target.restoring(archive, &["--jobs", "1"]);
    let mut command = Command::new("prlimit");
    command
        .arg("--as=3000000000")
        .arg(restoring.get_program())
        .args(restoring.get_args());
    for (key, value) in restoring.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    run(&mut command)
}

#[test]
fn a_line_of_a_gigabyte() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(draft.at(0, "streams.jsonl"))
        .unwrap();
    file.write_all(b"{\"id\":\"").unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        file.write_all(&piece).unwrap();
    }
    file.write_all(b"\"}\n").unwrap();
    let target = stage.sqlite();
    let done = bounded(&target, &draft.root);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(
        text(&done).contains("is longer than any record"),
        "{}",
        text(&done)
    );
    assert!(!target.users.exists());
}

#[test]
fn a_gzip_bomb() {
    let Some(stage) = Stage::new() else { return };
    let root = stage.at("archive");
    folder::copy(&stage.fixtures.join("archives/small-plain"), &root);
    let streams = folder::tree(&root)
        .into_keys()
        .find(|path| path.ends_with("/streams.jsonl.gz"))
        .unwrap();
    // Ten gigabytes of zeros in ten megabytes.
    let bomb = Command::new("sh")
        .arg("-c")
        .arg("head -c 1G /dev/zero | gzip -9 > one; for i in 1 2 3 4 5 6 7 8 9 10; do cat one; done > bomb; rm one")
        .current_dir(stage.at("."))
        .status();
    assert!(bomb.unwrap().success());
    fs::rename(stage.at("bomb"), root.join(streams)).unwrap();
    let target = stage.sqlite();
    let done = bounded(&target, &root);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(text(&done).contains("streams.jsonl.gz"), "{}", text(&done));
    assert!(!target.users.exists());
}

#[test]
fn json_without_a_bottom() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let event = format!(
        "{{\"id\":\"deep\",\"streamIds\":[\"x\"],\"time\":1,\"type\":\"x/y\",\"content\":{deep}}}"
    );
    draft.append(0, "events/events-0001.jsonl", &event);
    for target in targets(&stage) {
        // A file holds it as it is, and a database says that it does not; nobody falls over it.
        let done = target.restore(&draft.root, &[]);
        let said = report(&done);
        let stands = target.database.is_none();
        let outcome = if stands { "restored" } else { "failed" };
        assert_eq!(said["users"][0]["outcome"], outcome, "{said}");
        assert_eq!(said["users"][1]["outcome"], "restored", "{said}");
        let is_it = |row: &&String| row.contains("deep") && row.len() > 200_000;
        let held = target.rows().values().flatten().filter(is_it).count();
        assert_eq!(held, usize::from(stands));
        let verified = target.restore(&draft.root, &["--overwrite", "--verify-integrity"]);
        let said = report(&verified);
        assert_eq!(said["users"][0]["outcome"], "failed", "{said}");
        let reason = said["users"][0]["reason"].as_str().unwrap();
        assert!(
            reason.lines().count() == 1 && reason.len() < 400,
            "{reason}"
        );
    }
}

/// Counts are what is found, not what is said.
#[test]
fn a_manifest_that_lies() {
    let Some(stage) = Stage::new() else { return };
    let mut draft = Draft::new(&stage, "archive");
    for count in ["events", "streams", "attachments", "audit"] {
        draft.manifest["users"][0]["stats"][count] = json!(u64::MAX);
    }
    draft.seal();
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &[]);
        let said = report(&done);
        assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
        assert!(said["users"][0]["records"]["events"].as_u64() < Some(100_000));
    }
    // A file that the manifest does not know is added by somebody.
    let events = fs::read(draft.at(0, "events/events-0001.jsonl")).unwrap();
    fs::write(draft.at(0, "events/events-0099.jsonl"), events).unwrap();
    refused(&stage, &draft.root, 4, "events-0099");
}

#[test]
fn ids_that_are_there_twice() {
    let Some(stage) = Stage::new() else { return };
    for (n, file) in [
        "events/events-0001.jsonl",
        "streams.jsonl",
        "accesses.jsonl",
        "profile.jsonl",
        "audit/audit-0001.jsonl",
    ]
    .into_iter()
    .enumerate()
    {
        let draft = Draft::new(&stage, &format!("archive-{n}"));
        let all = fs::read_to_string(draft.at(0, file)).unwrap();
        let first = all
            .lines()
            .next()
            .unwrap_or_else(|| panic!("{file} is empty"));
        draft.append(0, file, first);
        costs_one_user(&stage, &draft.root, &draft.id(0), "there twice");
    }
    let mut draft = Draft::new(&stage, "archive");
    let name = draft.manifest["users"][1]["username"].clone();
    draft.manifest["users"][0]["username"] = name;
    draft.seal();
    refused(&stage, &draft.root, 2, "would both be called");
    let mut draft = Draft::new(&stage, "doubled");
    let first = draft.manifest["users"][0].clone();
    draft.manifest["users"].as_array_mut().unwrap().push(first);
    draft.seal();
    refused(&stage, &draft.root, 4, "twice");
}

#[test]
fn sql_in_names_and_values() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    const SQL: &str = "x\"); DROP TABLE events; DROP TABLE users_index; --'";
    let stream = json!({"id": SQL, "name": SQL, "parentId": null, SQL: 1});
    draft.append(0, "streams.jsonl", &stream.to_string());
    let event = json!({"id": SQL, "streamIds": [SQL], "time": 1, "endTime": 1, "type": SQL, SQL: {"a": SQL}});
    draft.append(0, "events/events-0001.jsonl", &event.to_string());
    let access = json!({"id": SQL, "token": SQL, "type": "shared", "name": SQL, SQL: SQL});
    draft.append(0, "accesses.jsonl", &access.to_string());
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &[]);
        let said = report(&done);
        assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
        // Columns do not take it, documents do.
        let lost = said["users"][0]["losses"].to_string();
        assert!(
            lost.contains("DROP TABLE") && lost.contains("has no place"),
            "{lost}"
        );
        let rows = target.rows();
        let kept = rows
            .values()
            .flatten()
            .filter(|row| row.contains("DROP TABLE"));
        assert!(kept.count() > 2);
        assert!(rows.len() > 10);
    }
}

#[test]
fn escapes_that_steer_a_terminal() {
    let Some(stage) = Stage::new() else { return };
    let mut draft = Draft::new(&stage, "archive");
    draft.manifest["users"][0]["username"] = "\u{1b}[2J\u{1b}]0;evil\u{7}".into();
    draft.seal();
    for target in targets(&stage) {
        let mut command = target.command();
        let done = run(command
            .args(["--create-users-dir", "--restore"])
            .arg(&draft.root));
        let said = text(&done);
        assert!(
            !said.contains('\u{1b}') && !said.contains('\u{7}'),
            "{said:?}"
        );
        assert!(said.contains("\\u001b[2J"), "{said}");
    }
}

/// The test kit of the decryptors: what they refuse, a restore refuses with the same code, and nothing was begun.
#[test]
fn what_the_decryptors_refuse_is_not_restored() {
    let Some(stage) = Stage::new() else { return };
    let kit = stage.at("kit");
    kit::make(env!("CARGO_BIN_EXE_testkit"), &kit);
    let keys = kit.join("keys");
    let target = stage.sqlite();
    let mut refused = 0;
    for entry in fs::read_dir(&kit).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(case) = fs::read(folder.join("case.json")) else {
            continue;
        };
        let case: Value = serde_json::from_slice(&case).unwrap();
        let args: Vec<String> = case["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| {
                arg.as_str()
                    .unwrap()
                    .replace("{keys}", keys.to_str().unwrap())
            })
            .collect();
        // Other options are those of decryptors only.
        let opens = args.len() == 2 && args[0] == "--private-key";
        let code = case["exit"].as_i64().unwrap();
        if opens && code == 5 {
            // Unknown entries are left out; the rest is restored.
            let done = stage
                .sqlite()
                .restore(&folder.join("archive"), &[&args[0], &args[1]]);
            assert_eq!(done.status.code(), Some(5), "{}", text(&done));
            assert!(report(&done)["leftOut"].to_string().contains("later.jsonl"));
            continue;
        }
        if !opens || code == 0 || case["env"].as_object().is_some_and(|env| !env.is_empty()) {
            continue;
        }
        let mut command = target.command();
        command
            .args(["--create-users-dir", "--restore"])
            .arg(folder.join("archive"))
            .args(&args);
        let done = run(&mut command);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(
            done.status.code().map(i64::from),
            Some(code),
            "{name}: {}",
            text(&done)
        );
        assert!(!target.users.exists(), "{name}");
        refused += 1;
    }
    assert!(refused > 25, "only {refused} cases");
}
