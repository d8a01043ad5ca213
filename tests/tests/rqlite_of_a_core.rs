//! An rqlite server that a Pryv.io core has started, which a restore looks for on the whole machine: so
//! this test has a program of its own, which Cargo runs when no other restore runs.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::{
    command::{report, text},
    stage::Stage,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

#[test]
fn rqlite_of_a_core() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port().to_string();
    drop(nobody);
    let target = stage.sqlite().with("http__port", &port);
    let warnings = || {
        let dry = target.restore(&archive, &["--dry-run"]);
        report(&dry)["warnings"].to_string()
    };
    assert_eq!(warnings(), "[]");
    let program = |like: &str, name: &str| {
        let path = stage.at(name);
        fs::copy(like, &path).unwrap();
        path
    };
    let rqlited = program("/bin/sleep", "rqlited");
    let mut core = Command::new(program("/bin/bash", "node"))
        .args(["-c", &format!("{} 600 & echo $!; wait", rqlited.display())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut id = String::new();
    BufReader::new(core.stdout.take().unwrap())
        .read_line(&mut id)
        .unwrap();
    let id = id.trim().to_owned();
    let exe = format!("/proc/{id}/exe");
    // Until it is the program that it is to be.
    while fs::read_link(&exe).ok().as_deref() != Some(&*rqlited) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let sign = format!("rqlited (process {id})");
    assert!(warnings().contains(&sign));
    let before = target.rows();
    let refused = target.restore(&archive, &[]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("--force") && said.contains(&sign), "{said}");
    assert!(target.rows() == before && target.is_left_clean());
    let forced = target.restore(&archive, &["--force"]);
    let said = report(&forced);
    assert_eq!(forced.status.code(), Some(0), "{said}");
    assert!(said["warnings"].to_string().contains(&sign), "{said}");
    core.kill().unwrap();
    core.wait().unwrap();
    // Its core is gone: nobody uses it.
    assert_eq!(warnings(), "[]");
    assert!(Command::new("kill").arg(&id).status().unwrap().success());
}
