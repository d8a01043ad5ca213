//! Lines of the operator's, run in a shell: what stops and starts the core, and makes snapshots. They get the operator's environment and umask, but
//! for what is ours, and a process group of their own, which is stopped when the run is.

use std::{
    env,
    ffi::OsStr,
    io::{self, ErrorKind, Read},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use crate::{failure::Failure, interrupt, tools::told};

/// How often it is looked what a line says, and whether it has ended.
const STEP: Duration = Duration::from_millis(20);
/// How long a line that was told to end may take to do so.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are kept of what a line says: its end counts.
const SAID: usize = 16 * 1024;
/// Pieces that are read before it is looked whether the line has ended.
const PIECES: usize = 64;
/// How the names of variables begin that are ours: secrets, and what reaches the store of the backups.
const OURS: [&str; 2] = ["PRYV_BACKUP_", "AWS_"];

static UMASK: OnceLock<u32> = OnceLock::new();

/// Keeps the umask with which the process began, for the lines that are run.
pub fn keep_umask(mask: u32) {
    // A process begins once.
    let _ = UMASK.set(mask);
}

/// Runs a line, which is called `name` in messages (it may hold secrets), and returns the last line that it prints. What it leaves running is not waited for, and is not heard any more. Without `heed` it
/// runs to its end also where a signal came. `more`: variables that it gets besides.
///
/// # Errors
/// When it fails.
pub fn run(name: &str, line: &str, more: &[(&str, &OsStr)], heed: bool) -> Result<String, Failure> {
    let failed = |e: io::Error| Failure::failed(format!("{name}: {e}"));
    let mut child = command(line)
        .envs(more.iter().copied())
        .spawn()
        .map_err(failed)?;
    let ended = wait(&mut child, heed);
    if ended.is_err() {
        stop(&child, Signal::KILL);
        let _ = child.wait();
    }
    let (status, said, errors) = ended.map_err(failed)?;
    if heed {
        Failure::unless_interrupted()?;
    }
    if status.success() {
        let said = String::from_utf8_lossy(&said);
        return Ok(said.lines().last().unwrap_or_default().trim().to_owned());
    }
    let why = match told(&errors) {
        none if none.is_empty() => none,
        why => format!(": {why}"),
    };
    Err(Failure::failed(format!("{name} failed ({status}){why}")))
}

fn command(line: &str) -> Command {
    let line = match UMASK.get() {
        Some(mask) => format!("umask {mask:04o}\n{line}"),
        None => line.to_owned(),
    };
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OURS.iter().any(|ours| text.starts_with(ours)) {
            command.env_remove(&name);
        }
    }
    command
}

/// How it ended, and the ends of what it said. Pipes end only when all have closed them; a program that is left running may never do so.
fn wait(child: &mut Child, heed: bool) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (mut out, mut errors) = (child.stdout.take(), child.stderr.take());
    let (mut said, mut said_errors) = (Vec::new(), Vec::new());
    without_waiting(out.as_ref())?;
    without_waiting(errors.as_ref())?;
    let mut told: Option<Instant> = None;
    loop {
        let status = child.try_wait()?;
        hear(out.as_mut(), &mut said)?;
        hear(errors.as_mut(), &mut said_errors)?;
        if let Some(status) = status {
            return Ok((status, said, said_errors));
        }
        if asks(child) {
            return Err(io::Error::other(
                "it asks for something at the terminal, which it cannot have",
            ));
        }
        match told {
            Some(moment) if moment.elapsed() > PATIENCE => stop(child, Signal::KILL),
            None if heed && interrupt::check().is_err() => {
                told = Some(Instant::now());
                stop(child, Signal::TERM);
            }
            _ => {}
        }
        thread::sleep(STEP);
    }
}

/// Whether the system has stopped it, as it does with whoever reads from a terminal in the background.
fn asks(child: &Child) -> bool {
    let how = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let seen = waitid(WaitId::Pid(Pid::from_child(child)), how);
    matches!(seen, Ok(Some(status)) if status.stopped())
}

/// Sends a signal to the line and all that it runs. They may have ended by themselves.
fn stop(child: &Child, signal: Signal) {
    let _ = kill_process_group(Pid::from_child(child), signal);
}

fn without_waiting(pipe: Option<&impl AsFd>) -> io::Result<()> {
    if let Some(pipe) = pipe {
        fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
    }
    Ok(())
}

/// Takes what is there.
fn hear(pipe: Option<&mut impl Read>, said: &mut Vec<u8>) -> io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut piece = [0; 4096];
    for _ in 0..PIECES {
        match pipe.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                said.extend_from_slice(piece.get(..read).unwrap_or_default());
                let more = said.len().saturating_sub(SAID);
                said.drain(..more);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_prints_and_how_it_fails_is_told() {
        assert_eq!(run("x", "echo a; echo ' b '", &[], true).unwrap(), "b");
        let failed = run("x", "echo no >&2; echo why >&2; exit 3", &[], false).unwrap_err();
        assert!(failed.message().contains("why") && failed.message().contains('3'));
        let long = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
        assert_eq!(run("x", long, &[], true).unwrap(), "line 19999");
    }

    #[test]
    fn what_a_line_leaves_running_is_not_waited_for() {
        let left = run("x", "sleep 3600 & echo $!", &[], true).unwrap();
        let stopped = Command::new("kill").arg(&left).status().unwrap();
        assert!(stopped.success(), "{left}");
    }

    #[test]
    fn a_line_that_is_stopped_as_at_a_terminal_is_ended() {
        let failed = run("x", "kill -TTIN $$; echo on", &[], true).unwrap_err();
        assert!(
            failed.message().contains("terminal"),
            "{}",
            failed.message()
        );
    }

    #[test]
    fn a_line_has_a_group_of_its_own() {
        let said = run("x", "echo $$ $(cut -d ' ' -f 5 /proc/$$/stat)", &[], true).unwrap();
        let (id, group) = said.split_once(' ').unwrap();
        assert_eq!(id, group);
    }
}
