//! Backups that are missing, too old, or there twice.

use std::{fs, process::Command};

use super::*;

#[test]
fn backups_that_are_missing_old_or_doubled_are_named() {
    let Some(stage) = Stage::new() else { return };
    let fleet = Fleet::new(&stage);
    chains(&fleet, "cores");
    all_is_there(&fleet, "cores");
    let list = fleet.look("cores", &["--private-key", stage.key().to_str().unwrap()]);
    let said = text(&list);
    assert!(
        said.contains("eu-1\n  newest good run ") && said.contains(" ago, "),
        "{said}"
    );
    assert!(
        said.contains("3 cores, 3 with a good run, 0 problems"),
        "{said}"
    );

    // A copy of the newest state is of the same core, and so says every list.
    let key = stage.key();
    let tool = |args: &[&str]| {
        let mut command = Command::new(tool());
        let command = command.current_dir(stage.at(".")).args(args);
        let done = run(command.arg("--private-key").arg(&key));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        text(&done)
    };
    let to = stage.fixtures.join("keys/recipient.pub.pem");
    let to = ["--recipient-pubkey", to.to_str().unwrap()];
    tool(
        &[
            &["consolidate", "cores/eu-1/chain", "--into", "copy"],
            &to[..],
        ]
        .concat(),
    );
    assert!(tool(&["list", "copy"]).contains(", core eu-1\n"));
    assert!(tool(&["list", "copy", "--json"]).contains(r#""core":"eu-1""#));

    // All of them are too old, and so nobody is in a backup that is new enough.
    let seen = fleet.opened("cores", 5, &["--max-age", "0m"]);
    let found = problems(&seen);
    assert_eq!(found[..3], ["too-old eu-1", "too-old eu-2", "too-old us-1"]);
    assert!(
        found[3..].iter().all(|one| one == "user-in-no-backup"),
        "{seen}"
    );
    for (name, user) in CORES {
        let missing = json!({ "name": user, "core": name });
        let all = seen["usersInNoBackup"].as_array().unwrap();
        assert!(all.contains(&missing), "{seen}");
    }

    // A core without a backup, and a user whom the platform sends to it.
    let last = &fleet.cores[2];
    put(last, "user-core/dora", "ap-1");
    put(last, "core-info/ap-1", "{}");
    put(last, "core-info/ap-2", "{}");
    fs::create_dir(stage.at("cores/ap-1")).unwrap();
    fleet.backup(2, "cores/us-1/chain", &["--incremental"]);
    let seen = fleet.opened("cores", 5, &["--max-age", "1h"]);
    let due = ["no-good-run ap-1", "core-missing", "user-in-no-backup"];
    assert_eq!(problems(&seen), due, "{seen}");
    assert_eq!(
        seen["usersInNoBackup"],
        json!([{ "name": "dora", "core": "ap-1" }])
    );
    assert_eq!(core(&seen, "us-1")["newest"]["run"], 2);
    fs::remove_dir(stage.at("cores/ap-1")).unwrap();

    // A user on two cores.
    let more = fleet.cores[1].restore(&stage.at("everybody"), &["--user", "alice", "--overwrite"]);
    assert_eq!(more.status.code(), Some(0), "{}", text(&more));
    fleet.backup(1, "cores/eu-2/chain", &["--incremental"]);
    let seen = fleet.opened("cores", 5, &[]);
    assert_eq!(problems(&seen), ["user-on-two-cores"], "{seen}");
    let user = &seen["usersOnTwoCores"][0];
    assert_eq!(user["username"], "alice");
    assert_eq!(user["cores"], json!(["eu-1", "eu-2"]));

    // The same backup under a second name: one core, not two.
    folder::copy(&stage.at("cores/eu-2"), &stage.at("cores/zz-2"));
    let seen = fleet.opened("cores", 5, &[]);
    assert_eq!(
        problems(&seen),
        ["same-backup zz-2", "user-on-two-cores"],
        "{seen}"
    );
    assert_eq!(seen["usersOnTwoCores"][0]["cores"], json!(["eu-1", "eu-2"]));
    let message = seen["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("the same core twice"), "{message}");
}
