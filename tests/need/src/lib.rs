//! Needs of the tests: programs and files of the machine that they run on. `needs.txt` lists every kind of need; `need.mjs` is the same for JavaScript.
//!
//! A test without what it needs says `skipped: TEST: needs KIND: ...` and returns. Where `PRYV_BACKUP_TESTS_REQUIRE` names the kind
//! (several are separated by commas; `all` names every one), it fails instead.
#![allow(clippy::panic)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment variable that names what must not be missing.
pub const REQUIRE: &str = "PRYV_BACKUP_TESTS_REQUIRE";

const NEEDS: &str = include_str!("../needs.txt");

/// Passes on what was found. Where it is `None`, says that the test is skipped.
///
/// # Panics
/// When it is `None` and required, or when `needs.txt` does not list this kind.
#[must_use]
pub fn need<T>(kind: &str, found: Option<T>) -> Option<T> {
    let what = describe(kind);
    if found.is_none() {
        let required = std::env::var(REQUIRE).unwrap_or_default();
        assert!(
            !requires(&required, kind),
            "missing: {kind}: {what}; {REQUIRE} says that it must be there"
        );
        // Written directly, because libtest hides what a passing test prints; at once, so that no other line comes between.
        let line = format!("skipped: {}: needs {kind}: {what}\n", test());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    found
}

/// The same for what is there or not.
///
/// # Panics
/// As [`need`] does.
#[must_use]
pub fn has(kind: &str, there: bool) -> bool {
    need(kind, there.then_some(())).is_some()
}

/// The folder of fixtures, which were made by the real Pryv.io.
///
/// # Panics
/// As [`need`] does.
#[must_use]
pub fn fixtures() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    need("fixtures", folder.is_dir().then_some(folder))
}

/// Whether `strace` is installed and may trace processes here.
///
/// # Panics
/// As [`need`] does.
#[must_use]
pub fn strace() -> bool {
    program("strace")
        && has(
            "tracing",
            succeeds(Command::new("strace").args(["-f", "true"])),
        )
}

/// Whether a program whose name is a kind of need can be started.
///
/// # Panics
/// As [`need`] does.
#[must_use]
pub fn program(name: &str) -> bool {
    let started = silent(Command::new(name).arg("--version"));
    has(name, started.is_ok())
}

/// Whether this is root.
///
/// # Panics
/// As [`need`] does.
#[must_use]
pub fn root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    has("root", root)
}

fn silent(command: &mut Command) -> std::io::Result<std::process::ExitStatus> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
}

fn succeeds(command: &mut Command) -> bool {
    silent(command).is_ok_and(|status| status.success())
}

/// Whether a list of kinds has this one in it.
fn requires(list: &str, kind: &str) -> bool {
    let mut found = false;
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        if word != "all" {
            describe(word);
        }
        found |= word == kind || word == "all";
    }
    found
}

fn describe(kind: &str) -> &'static str {
    let lines = NEEDS.lines().filter_map(|line| line.split_once(' '));
    let Some((_, what)) = lines.into_iter().find(|(name, _)| *name == kind) else {
        panic!("tests/need/needs.txt does not list `{kind}`");
    };
    what.trim_start()
}

/// The program and the test within it.
fn test() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy();
    // Cargo adds a hash.
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    match std::thread::current().name() {
        None | Some("main") => program.to_owned(),
        Some(test) => format!("{program}::{test}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_requires_what_it_names() {
        assert!(!requires("", "root"));
        assert!(requires("strace, root", "root") && requires("all", "root"));
        assert!(!requires("strace,rqlite", "root"));
        assert!(std::panic::catch_unwind(|| requires("stracce", "root")).is_err());
    }

    #[test]
    fn what_is_there_is_passed_on() {
        assert_eq!(need("root", Some(1)), Some(1));
        assert!(has("strace", true));
        assert!(std::panic::catch_unwind(|| need("unheard of", Some(1))).is_err());
    }
}
