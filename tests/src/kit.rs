//! The test kit: the archives that the program `testkit` writes.

use std::path::Path;
use std::process::Command;

use crate::command::text;

/// Writes the kit into a folder. `TESTKIT` names one that is there already, which is copied: making it takes seconds, and many tests
/// want one of their own.
///
/// # Panics
/// When `testkit` fails, or what is there cannot be copied.
pub fn make(testkit: &str, folder: &Path) {
    let mut command = match std::env::var_os("TESTKIT") {
        Some(made) => {
            let mut copy = Command::new("cp");
            copy.args(["-R", "-P", "--"])
                .arg(Path::new(&made).join("."));
            copy
        }
        None => Command::new(testkit),
    };
    std::fs::create_dir_all(folder).unwrap();
    let done = command.arg(folder).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
}
