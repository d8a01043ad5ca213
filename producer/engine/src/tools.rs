//! Programs that come with the databases, run as they are: found, asked for their version, and stopped when the run is. What they need to
//! know goes to them by their environment, which alone they have: no secret is among their arguments, and none of ours reaches them.

use std::{
    env,
    fs::File,
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    config::{Postgres, Roots},
    failure::Failure,
    interrupt,
    limits::PIECE,
    threads::refused,
};

/// How often it is looked whether the run was interrupted.
const STEP: Duration = Duration::from_millis(50);
/// Bytes that are kept of what a program says about its errors.
const SAID: usize = 16 * 1024;
/// A file that a program finds as its standard input, and may open again.
const INPUT: &str = "/dev/stdin";
/// What programs need of the environment.
const NEEDED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// A program of a database.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Its name, looked for on the `PATH`.
    pub name: &'static str,
    /// The argument that makes it tell its version.
    version: &'static str,
    /// Which package brings it.
    of: &'static str,
}

/// Dumps a database of PostgreSQL.
pub const PG_DUMP: Tool = Tool {
    name: "pg_dump",
    version: "--version",
    of: "the client programs of PostgreSQL",
};
/// Puts such a dump back.
pub const PG_RESTORE: Tool = Tool {
    name: "pg_restore",
    version: "--version",
    of: "the client programs of PostgreSQL",
};
/// Backs InfluxDB up, and restores it.
pub const INFLUXD: Tool = Tool {
    name: "influxd",
    version: "version",
    of: "InfluxDB 1.x",
};

impl Tool {
    /// Begins a call, without arguments yet.
    #[must_use]
    pub fn command(self) -> Command {
        let mut command = Command::new(self.name);
        command.env_clear().stdin(Stdio::null());
        for name in NEEDED {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Its version: `15.6`.
    ///
    /// # Errors
    /// When it is not there, or does not tell.
    pub fn version(self) -> Result<String, Failure> {
        let Tool { name, of, .. } = self;
        let asked = self.command().arg(self.version).output();
        let asked = asked.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Failure::failed(format!(
                "there is no {name} on the PATH: install {of}, or put the folder of them on the PATH"
            )),
            _ => Failure::failed(format!("{name} cannot be run: {e}")),
        })?;
        let said = String::from_utf8_lossy(&asked.stdout);
        number(&said).ok_or_else(|| {
            Failure::failed(format!(
                "{name} does not tell its version: is it that of {of}?"
            ))
        })
    }

    /// Runs a call of it to its end, and hands over what it writes, piece by piece.
    ///
    /// # Errors
    /// When it fails, in its own words; when `take` does, or a signal comes: then it is stopped.
    pub fn run(
        self,
        command: &mut Command,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        run(self.name, command, take)
    }
}

/// The first number with a point in it, or major version alone.
fn number(said: &str) -> Option<String> {
    let words = said.split_whitespace();
    let mut numbers = words.map(|word| {
        let word = word.trim_start_matches('v');
        let is_of_it = |c: char| c.is_ascii_digit() || c == '.';
        word.split(|c| !is_of_it(c)).next().unwrap_or_default()
    });
    let found = numbers.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(found.trim_end_matches('.').to_owned())
}

/// The part of a version before its first point.
#[must_use]
pub fn major(version: &str) -> u32 {
    let first = version.split('.').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

/// A call of `pg_dump` as of an instant that was exported, to its standard output.
#[must_use]
pub fn dump(config: &Postgres, snapshot: &str) -> Command {
    let mut command = dumping(config, snapshot);
    command.arg("--format=custom");
    command
}

/// The same into a new folder, on several connections.
#[must_use]
pub fn dump_into(config: &Postgres, snapshot: &str, folder: &Path, jobs: usize) -> Command {
    let mut command = dumping(config, snapshot);
    command
        .args(["--format=directory", "--file"])
        .arg(folder)
        .arg(format!("--jobs={jobs}"));
    command
}

fn dumping(config: &Postgres, snapshot: &str) -> Command {
    let mut command = PG_DUMP.command();
    tell_server(&mut command, config);
    command
        .arg("--no-password")
        .arg(format!("--snapshot={snapshot}"));
    command
}

/// A call of `pg_restore`, on several connections, for a dump in a file: it has no name that outlasts us.
#[must_use]
pub fn restore(config: &Postgres, file: File, jobs: usize) -> Command {
    let mut command = restoring(config, jobs);
    command
        .args(["--format=custom", INPUT])
        .stdin(Stdio::from(file));
    command
}

/// The same for a dump in a folder.
#[must_use]
pub fn restore_from(config: &Postgres, folder: &Path, jobs: usize) -> Command {
    let mut command = restoring(config, jobs);
    command.arg("--format=directory").arg(folder);
    command
}

fn restoring(config: &Postgres, jobs: usize) -> Command {
    let mut command = PG_RESTORE.command();
    tell_server(&mut command, config);
    // As a connection string, so that no name is taken for something else.
    let name = config.database.replace('\\', "\\\\").replace('\'', "\\'");
    command
        .args(["--no-password", "--exit-on-error"])
        .arg(format!("--jobs={jobs}"))
        .arg(format!("--dbname=dbname='{name}'"));
    command
}

/// Tells a program of PostgreSQL where the server is.
fn tell_server(command: &mut Command, config: &Postgres) {
    command
        .env("PGHOST", &config.host)
        .env("PGPORT", config.port.to_string())
        .env("PGUSER", &config.user)
        .env("PGDATABASE", &config.database)
        .env("PGSSLMODE", config.tls.name())
        .env("PGAPPNAME", "pryv-backup")
        .env("PGCONNECT_TIMEOUT", "15");
    if let Some(password) = &config.password {
        command.env("PGPASSWORD", password.reveal());
    }
    match &config.roots {
        Some(Roots::System) => drop(command.env("PGSSLROOTCERT", "system")),
        Some(Roots::File(path)) => drop(command.env("PGSSLROOTCERT", path)),
        None => {}
    }
    let own = [
        ("PGSSLCERT", &config.certificate),
        ("PGSSLKEY", &config.certificate_key),
    ];
    for (name, path) in own {
        if let Some(path) = path {
            command.env(name, path);
        }
    }
}

fn run(
    name: &str,
    command: &mut Command,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.map_err(|e| Failure::failed(format!("{name} cannot be run: {e}")))?;
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let over = AtomicBool::new(false);
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (taken, status, said) = thread::scope(|scope| {
        let said = thread::Builder::new().spawn_scoped(scope, || errors.map(last_said));
        let watched = thread::Builder::new().spawn_scoped(scope, || watch(id, &over));
        let taken = match (&said, &watched) {
            (Ok(_), Ok(_)) => out.map_or(Ok(()), |mut out| pieces(&mut out, name, take)),
            (Err(e), _) | (_, Err(e)) => Err(Failure::failed(refused(e))),
        };
        if taken.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        let status = child.wait();
        over.store(true, Ordering::SeqCst);
        let said = said.ok().and_then(|said| said.join().ok().flatten());
        (taken, status, said.unwrap_or_default())
    });
    Failure::unless_interrupted()?;
    taken?;
    let status = status.map_err(|e| Failure::failed(format!("{name}: {e}")))?;
    if status.success() {
        return Ok(());
    }
    let why = match said.is_empty() {
        true => String::new(),
        false => format!(": {said}"),
    };
    Err(Failure::failed(format!("{name} failed ({status}){why}")))
}

/// Stops the program when a signal comes.
fn watch(id: Option<Pid>, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        if let (Err(_), Some(id)) = (interrupt::check(), id) {
            // It may have ended by itself.
            let _ = kill_process(id, Signal::TERM);
            return;
        }
        thread::sleep(STEP);
    }
}

fn pieces(
    out: &mut dyn Read,
    name: &str,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    loop {
        match out.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => take(piece.get(..read).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Failure::failed(format!("{name}: {e}"))),
        }
    }
}

/// See [`told`]; however much a program says.
fn last_said(mut errors: impl Read) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read) = errors.read(&mut piece) {
        if read == 0 {
            break;
        }
        said.extend_from_slice(piece.get(..read).unwrap_or_default());
        let more = said.len().saturating_sub(SAID);
        said.drain(..more);
    }
    told(&said)
}

/// The last line in which a program says what went wrong; else its last line. What PostgreSQL's tools say after an error quotes statements and rows.
#[must_use]
pub fn told(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut lines = said.lines().rev().map(str::trim);
    let error = lines.clone().find(|line| line.contains(": error: "));
    error
        .or_else(|| lines.find(|line| !line.is_empty()))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_a_tool_quotes_are_not_told() {
        let said = "pg_restore: warning: x\npg_restore: error: COPY failed for table \"a\"\nCONTEXT:  COPY a, line 1: \"secret\"\n";
        let told = last_said(said.as_bytes());
        assert_eq!(told, "pg_restore: error: COPY failed for table \"a\"");
        assert_eq!(last_said("one\ntwo\n\n".as_bytes()), "two");
    }

    #[test]
    fn versions_are_found() {
        for (said, version) in [
            (
                "pg_dump (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)",
                Some("15.6"),
            ),
            ("pg_dump (PostgreSQL) 17beta1", Some("17")),
            ("InfluxDB v1.6.7~rc0 (git: unknown unknown)", Some("1.6.7")),
            ("nothing", None),
        ] {
            assert_eq!(number(said).as_deref(), version, "{said}");
        }
        assert_eq!(major("15.6"), 15);
    }

    #[test]
    fn a_program_is_stopped_when_what_it_writes_cannot_be_taken() {
        let mut command = Command::new("sh");
        command.args(["-c", "yes"]);
        let stopped = run("sh", &mut command, &mut |_| Err(Failure::failed("full")));
        assert_eq!(stopped.unwrap_err().message(), "full");
    }
}
