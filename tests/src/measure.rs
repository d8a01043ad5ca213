//! Time and memory of commands, for benchmarks.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time and memory of a command.
pub struct Measured {
    /// From its start to its end.
    pub time: Duration,
    /// Peak resident memory in KiB, as far as it was seen.
    pub memory: u64,
}

/// Runs a command; its memory is looked at all the time, because nothing is left to look at afterwards.
///
/// # Panics
/// When it fails.
pub fn measure(command: &mut Command) -> Measured {
    let started = Instant::now();
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
            let time = started.elapsed();
            return Measured { time, memory };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
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
