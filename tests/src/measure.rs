//! Time and memory of commands, for benchmarks.

use crate::postgres::Postgres;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time and memory of a command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// From its start to its end.
    pub time: Duration,
    /// What it took of processors.
    pub processor: Duration,
    /// Peak resident memory in KiB, as far as it was seen.
    pub memory: u64,
}

impl Measured {
    /// The time of the faster, and the most memory.
    #[must_use]
    pub fn better(self, other: Self) -> Self {
        Measured {
            time: self.time.min(other.time),
            processor: self.processor.min(other.processor),
            memory: self.memory.max(other.memory),
        }
    }

    /// How many times as fast as another it is.
    #[must_use]
    pub fn faster_than(&self, other: &Measured) -> f64 {
        other.time.as_secs_f64() / self.time.as_secs_f64()
    }
}

/// Runs a command; its memory is looked at all the time, because nothing is left to look at afterwards.
///
/// # Panics
/// When it fails.
pub fn measure(command: &mut Command) -> Measured {
    let (started, before) = (Instant::now(), processor_of_children());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim_end_matches("kB").trim().parse().ok());
        memory = memory.max(peak.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            // The hashes of a platform that is made up match nothing, which a verification tells.
            let told =
                ended.code() == Some(5) && command.get_args().next() == Some("verify".as_ref());
            assert!(ended.success() || told, "{command:?}: {ended}");
            return Measured {
                time: started.elapsed(),
                processor: processor_of_children() - before,
                memory,
            };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processor time of the children that have ended (proc_pid_stat(5): fields 16 and 17, in hundredths of a second).
fn processor_of_children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program, in brackets, may hold spaces; the third field comes after it.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(13).take(2);
    Duration::from_millis(ticks.map(|text| text.parse::<u64>().unwrap() * 10).sum())
}

/// The tool, built beside this program, or the one that `PRYV_BACKUP` names.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn tool(args: &[&str]) -> Command {
    let beside = std::env::current_exe()
        .unwrap()
        .with_file_name("pryv-backup");
    let tool = std::env::var_os("PRYV_BACKUP").map_or(beside, Into::into);
    assert!(
        Path::new(&tool).exists(),
        "build the tool first: {}",
        tool.display()
    );
    let mut command = Command::new(tool);
    command.args(args);
    command
}

/// The tool, on a platform in a database.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn tool_on(server: &Postgres, database: &str, users: &Path) -> Command {
    words_on(&["--quiet"], server, database, users)
}

/// The same with these words first.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn words_on(words: &[&str], server: &Postgres, database: &str, users: &Path) -> Command {
    let mut command = tool(words);
    let engine = "storages__engines__postgresql";
    command
        .env(format!("{engine}__port"), server.port.to_string())
        .env(format!("{engine}__database"), database)
        .env(format!("{engine}__user"), "postgres")
        .env("storages__engines__sqlite__path", users)
        .env("storages__platform__engine", "postgresql");
    command
}

/// The recipient of a new key of age, which is made at `path`.
///
/// # Panics
/// When age is not installed.
#[must_use]
pub fn age_recipient(path: &Path) -> String {
    let made = Command::new("age-keygen").arg("-o").arg(path).output();
    assert!(made.is_ok_and(|made| made.status.success()), "age-keygen");
    let key = fs::read_to_string(path).unwrap();
    let recipient = key
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    recipient.unwrap().to_owned()
}

/// `pg_dump -Fc | age -r` of a database.
///
/// # Panics
/// When one of them fails.
#[must_use]
pub fn sealed_dump(server: &Postgres, database: &str, recipient: &str, output: &Path) -> Measured {
    let mut dump = server.client("pg_dump");
    let mut dump = dump
        .args(["-Fc", database])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let measured = measure(
        Command::new("age")
            .args(["-r", recipient, "-o"])
            .arg(output)
            .stdin(dump.stdout.take().unwrap()),
    );
    assert!(dump.wait().unwrap().success());
    measured
}
