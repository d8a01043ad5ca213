//! The binary starts, and says what it can do. (Cargo builds it for the tests of the workspace because this file is here.)
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn pryv_backup(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pryv-backup"));
    command.args(args).output().unwrap()
}

#[test]
fn the_help_names_every_operation() {
    let help = pryv_backup(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for operation in [
        "keygen",
        "decrypt",
        "verify",
        "list",
        "stats",
        "cat",
        "extract",
        "diff",
        "rekey",
        "consolidate",
        "prune",
        "sample",
        "--restore",
        "--incremental",
    ] {
        assert!(text.contains(operation), "{operation}: {text}");
        if !operation.starts_with('-') {
            assert!(
                pryv_backup(&[operation, "--help"]).status.success(),
                "{operation}"
            );
        }
    }
}

#[test]
fn a_flag_that_is_unknown_is_a_usage_error() {
    assert_eq!(pryv_backup(&["--no-such-flag"]).status.code(), Some(2));
}
