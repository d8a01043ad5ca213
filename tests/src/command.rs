//! Running the command under test.

use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Command, Output};

/// The command, built beside the tests of the workspace.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn tool() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let tool = exe.parent().unwrap().parent().unwrap().join("pryv-backup");
    assert!(
        tool.exists(),
        "{} is not built: run `cargo test --workspace`",
        tool.display()
    );
    tool
}

/// A place for the state of this host that cannot be made: below a file. A run is signed with a key that is not kept then, and nobody
/// is pinned.
pub const NO_STATE: &str = "/dev/null/state";

/// A command without what the tester's environment may say to it, and without what this host remembers.
pub fn alone(command: &mut Command) -> &mut Command {
    for name in [
        "PRYV_BACKUP_PASSPHRASE",
        "PRYV_BACKUP_SIGNER",
        "PRYV_BACKUP_REQUIRE_ENCRYPTED",
    ] {
        if !command.get_envs().any(|(known, _)| known == name) {
            command.env_remove(name);
        }
    }
    let state = "PRYV_BACKUP_STATE_DIR";
    if !command.get_envs().any(|(known, _)| known == state) {
        command.env(state, NO_STATE);
    }
    command
}

/// Runs a command to its end, [`alone`].
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command) -> Output {
    alone(command).output().unwrap()
}

/// The same command, for which SIGHUP has its usual meaning whatever it has for the tester (`nohup`), or is ignored.
#[must_use]
pub fn with_hangup(command: &Command, ignored: bool) -> Command {
    let mut wrapped = Command::new("env");
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
        .arg(if ignored {
            "--ignore-signal=HUP"
        } else {
            "--default-signal=HUP"
        })
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

/// Sends a running command a signal by the name that `kill` has for it: at once, since another program takes its time to start.
///
/// # Panics
/// When there is no such signal here, or it cannot be sent.
pub fn signal(child: &Child, name: &str) {
    let signal = match name {
        "-STOP" => Signal::STOP,
        "-CONT" => Signal::CONT,
        "-KILL" => Signal::KILL,
        "-TERM" => Signal::TERM,
        "-INT" => Signal::INT,
        _ => panic!("no signal {name} here"),
    };
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The system calls with which a command changes what lies on the disk, and makes sure that it lies there.
pub const STEPS: &str = "rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync";

/// Runs a command under `strace` and kills it as one of its threads enters the `nth` of these system calls. Returns whether it came to
/// that.
///
/// # Panics
/// When `strace` cannot be started, or the command fails by itself.
pub fn killed_at(command: &Command, calls: &str, nth: u32) -> bool {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    traced.arg(format!("trace={calls}"));
    traced.args(["-e", &format!("inject={calls}:signal=KILL:when={nth}")]);
    traced.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    let done = run(&mut traced);
    let ended = done.status.code() == Some(0);
    assert!(ended || !text(&done).contains("error: "), "{}", text(&done));
    !ended
}

/// All that a command printed.
#[must_use]
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The report of a backup with `--json`: the last line of what it printed, after the lines of progress.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn report(output: &Output) -> serde_json::Value {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = printed.lines().last().unwrap_or_default();
    let report: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(report["event"], "report", "{printed}");
    report
}
