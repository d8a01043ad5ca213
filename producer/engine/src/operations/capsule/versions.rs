//! What runs on a platform: the versions of its programs, and the migrations of its databases. What cannot be learned is said, and keeps
//! nothing from being done.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, Metadata},
    io::{Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::record::RunningVersion;
use crate::{
    config::{Config, Engine},
    platform::{PlatformMode, raw},
};

/// How long Node.js may take to tell its version, and how often it is looked whether it did.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(10);
/// Bytes of a version that are read.
const LONGEST: u64 = 64;

type ByName = BTreeMap<String, RunningVersion>;

/// The programs; `mode`: how much of the platform's own database is asked.
pub fn programs(config: &Config, root: &Path, mode: PlatformMode) -> ByName {
    let mut versions = ByName::new();
    let mut say = |name: &str, version| drop(versions.insert(name.to_owned(), version));
    let release = config.release.clone().ok_or_else(|| {
        let root = root.display();
        format!("there is no package.json of a release of Pryv.io in {root}")
    });
    say("pryv", RunningVersion::of(release));
    say("node", RunningVersion::of(node(config)));
    if raw::has_database(config) {
        let version = raw::server_version(&config.postgres);
        say("postgresql", RunningVersion::of(version));
    }
    if config.platform_engine == Engine::Rqlite {
        let version = of_rqlite(config, mode, |server| {
            server.version().map_err(|e| e.to_string())
        });
        say("rqlite", RunningVersion::of(version));
    }
    match raw::influx(config) {
        Ok(None) => {}
        Ok(Some(server)) => say("influxdb", RunningVersion::of(server.version())),
        Err(e) => say("influxdb", RunningVersion::of(Err(e))),
    }
    versions
}

/// The migrations; `of_base`: the number that the database of the records tells, or that of rqlite where they are in files.
pub fn migrations(config: &Config, mode: PlatformMode, of_base: Option<u32>) -> ByName {
    let mut migrations = ByName::new();
    let untold = || "it does not tell".to_owned();
    if config.base_engine == Engine::Postgresql {
        let number = of_base.map(|number| number.to_string());
        let number = RunningVersion::of(number.ok_or_else(untold));
        migrations.insert("postgresql".to_owned(), number);
    }
    if config.platform_engine == Engine::Rqlite {
        let number = of_rqlite(config, mode, |server| {
            let number = server.migration().map_err(|e| e.to_string())?;
            number.map(|number| number.to_string()).ok_or_else(untold)
        });
        migrations.insert("rqlite".to_owned(), RunningVersion::of(number));
    }
    migrations
}

fn of_rqlite(
    config: &Config,
    mode: PlatformMode,
    ask: impl FnOnce(&raw::IndexServer) -> Result<String, String>,
) -> Result<String, String> {
    if mode == PlatformMode::None {
        return Err("the platform's own database is left out of the backup".to_owned());
    }
    match raw::rqlite(config) {
        Ok(Some(server)) => ask(&server),
        Ok(None) => Err("it is not used".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// That of Node.js on the `PATH`; else which ones the release wants.
fn node(config: &Config) -> Result<String, String> {
    let asked = find("node")
        .and_then(|path| told(&path.display().to_string(), Command::new(&path).arg("-v")));
    asked.map_err(|why| match &config.wanted_node {
        Some(wanted) => format!("{why}; this release wants {wanted}"),
        None => why,
    })
}

/// A program on the `PATH` that nobody else could have put there: whoever runs a backup may be allowed more than whoever runs Pryv.io.
fn find(name: &str) -> Result<PathBuf, String> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).find_map(|folder| {
        let path = folder.join(name).canonicalize().ok()?;
        (folder.is_absolute() && path.is_file()).then_some(path)
    });
    let path = found.ok_or_else(|| format!("there is no {name} on the PATH"))?;
    let ours = |path: &Path| fs::metadata(path).is_ok_and(|about| is_ours(&about));
    match path.ancestors().all(ours) {
        true => Ok(path),
        false => Err(format!(
            "{} is not run, since others can replace it",
            path.display()
        )),
    }
}

/// Whether only the system and whoever runs this can change a file, or what is in a folder.
fn is_ours(about: &Metadata) -> bool {
    let own = about.uid() == 0 || about.uid() == rustix::process::geteuid().as_raw();
    own && about.mode() & 0o022 == 0
}

/// The version that a program tells.
fn told(name: &str, command: &mut Command) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("{name} cannot be run: {e}");
    // Not a pipe: nobody can keep us waiting at its end.
    let mut said = tempfile::tempfile().map_err(failed)?;
    let out = said.try_clone().map_err(failed)?;
    let child = command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::from(out))
        .stderr(Stdio::null())
        .spawn();
    let ended = ends_in_time(child.map_err(failed)?);
    ended.map_err(|why| format!("{name} {why}"))?;
    said.rewind().map_err(failed)?;
    let mut text = String::new();
    let read = said.take(LONGEST).read_to_string(&mut text);
    let version = text.trim().trim_start_matches('v');
    let is_of_it = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    match read.is_ok()
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(is_of_it)
    {
        true => Ok(version.to_owned()),
        false => Err(format!("{name} does not tell its version")),
    }
}

/// Waits for a program, which is stopped when it takes too long.
fn ends_in_time(mut child: Child) -> Result<(), &'static str> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) | Err(_) => return Err("fails"),
            Ok(None) if begun.elapsed() > PATIENCE => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err("does not answer");
            }
            Ok(None) => thread::sleep(STEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_tells_its_version_or_why_not() {
        let said = |script: &str| told("node", Command::new("/bin/sh").args(["-c", script]));
        assert_eq!(said("echo v24.18.1").unwrap(), "24.18.1");
        assert_eq!(said("echo v1.0.0-rc.1").unwrap(), "1.0.0-rc.1");
        for (script, why) in [
            ("echo no", "does not tell"),
            ("echo '1 2'", "does not tell"),
            ("true", "does not tell"),
            ("echo v1; exit 1", "fails"),
        ] {
            let said = said(script).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(told("node", &mut Command::new("/nowhere")).is_err());
    }

    #[test]
    fn what_others_can_replace_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_ours(&fs::metadata(folder.path()).unwrap()));
        for mode in [0o777, 0o775, 0o702] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(!is_ours(&fs::metadata(folder.path()).unwrap()));
        }
    }
}
