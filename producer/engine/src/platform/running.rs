//! Who uses a platform: processes of this machine, as far as this user may see them.

use crate::config::{Config, Engine};
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The program that a Pryv.io core is run by.
const CORE: &str = "node";
/// The program of the database that a core starts for itself.
const RQLITE: &str = "rqlited";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// The name of its program.
    pub program: String,
}

impl Process {
    /// Whether it may be a Pryv.io core.
    #[must_use]
    pub fn is_core(&self) -> bool {
        self.program == CORE
    }
}

/// The other processes that have a file below the folder open.
#[must_use]
pub fn holders(folder: &Path) -> Vec<Process> {
    let Ok(folder) = folder.canonicalize() else {
        return Vec::new();
    };
    let mut all = others();
    all.retain(|process| {
        let files = fs::read_dir(place(process.id).join("fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|target| target.starts_with(&folder)))
    });
    all
}

/// An rqlite server that a core has started and not stopped.
#[must_use]
pub fn rqlite_of_core() -> Option<Process> {
    let all = others();
    let is_core = |id: u32| all.iter().any(|one| one.id == id && one.is_core());
    all.iter()
        .find(|one| one.program == RQLITE && parent(one.id).is_some_and(is_core))
        .cloned()
}

/// What tells that a core runs here, beside the files that it has open.
#[must_use]
pub fn signs_of_core(config: &Config) -> Vec<String> {
    let mut signs = Vec::new();
    if answers(&config.core_address) {
        signs.push(format!(
            "something answers at {} (http.ip, http.port)",
            config.core_address
        ));
    }
    if config.platform_engine == Engine::Rqlite
        && let Some(rqlite) = rqlite_of_core()
    {
        let id = rqlite.id;
        signs.push(format!(
            "rqlited (process {id}) is one that a core has started"
        ));
    }
    signs
}

/// Whether anybody listens there.
fn answers(address: &str) -> bool {
    let address = address.replacen("0.0.0.0:", "127.0.0.1:", 1);
    let found = address.to_socket_addrs().ok();
    found
        .and_then(|mut found| found.next())
        .is_some_and(|place| TcpStream::connect_timeout(&place, Duration::from_millis(500)).is_ok())
}

fn place(id: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{id}"))
}

fn others() -> Vec<Process> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    // Beside the processes there are other names.
    let ids = processes.filter_map(|one| one.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| *id != std::process::id())
        .filter_map(|id| {
            let program = program(id)?;
            Some(Process { id, program })
        })
        .collect()
}

/// The file that it runs, else what it calls itself.
fn program(id: u32) -> Option<String> {
    let file = fs::read_link(place(id).join("exe")).ok();
    let name = file.and_then(|file| Some(file.file_name()?.to_str()?.to_owned()));
    let name = name.or_else(|| fs::read_to_string(place(id).join("comm")).ok())?;
    let name = name.trim_end();
    // A program that was replaced since it was started.
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

fn parent(id: u32) -> Option<u32> {
    let status = fs::read_to_string(place(id).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}
