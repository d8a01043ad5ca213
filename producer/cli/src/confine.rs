//! Confines a command that reads archives, before it looks at one: from then on the system lets it read the archive and what opens it, write where it is to write, and
//! nothing else. Whoever wrote the archive may have meant it to misuse a defect of ours.
//!
//! By Landlock, as Linux has it since 5.19: before that nothing could be moved between folders. Where it is missing, the command runs as it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};
use pryv_backup_engine::{
    state,
    storage::{Location, large_folder},
};

use crate::cli::{Cli, Command, ExpectArgs, KeyArgs};

/// The newest version of Landlock that is asked for; an older system gives what it has.
const VERSION: ABI = ABI::V5;

/// What the libraries of the system read: of locales, time zones, certificates, processors.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc",
    "/proc",
    "/sys",
    "/run",
    "/nix/store",
];
/// The terminal, and what is thrown away.
const WRITTEN: [&str; 4] = ["/dev/null", "/dev/full", "/dev/tty", "/dev/pts"];
/// Random bytes.
const RANDOM: [&str; 2] = ["/dev/random", "/dev/urandom"];

/// Names of which an archive has one.
const OF_ARCHIVES: [&str; 3] = ["manifest.json", "encryption.json", "chain.json"];

/// The outcome of confining a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Confined {
    /// It can do nothing else any more.
    Yes,
    /// It can write nowhere else; of an object store, whose credentials may lie anywhere.
    InWriting,
    /// It is one that has to do more.
    NotMeant,
    /// This system cannot, or can in part only.
    Not(String),
}

/// What a command is to reach.
#[derive(Debug, Default)]
struct Reach {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    /// Of an object store, credentials are read wherever they lie, and the network is used.
    store: bool,
}

/// Confines the command that was called, if it is one that only reads archives.
pub fn confine(cli: &Cli) -> Confined {
    let Some(reach) = Reach::of(cli.command.as_ref()) else {
        return Confined::NotMeant;
    };
    let store = reach.store;
    match reach.enforce() {
        Ok(RulesetStatus::FullyEnforced) if store => Confined::InWriting,
        Ok(RulesetStatus::FullyEnforced) => Confined::Yes,
        Ok(RulesetStatus::PartiallyEnforced) => {
            Confined::Not("this Linux keeps it from a part only".to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => {
            Confined::Not("this Linux has no Landlock, or that of before 5.19".to_owned())
        }
        Err(e) => Confined::Not(e.to_string()),
    }
}

impl Reach {
    /// That of a command; none for one that is not confined.
    fn of(command: Option<&Command>) -> Option<Self> {
        let mut reach = Reach::default();
        match command? {
            Command::List(args) | Command::Stats(args) => {
                reach.archive(&args.dir);
                reach.linked(&args.dir);
                reach.key(&args.open.key);
                reach.trust(&args.open.expect);
            }
            Command::Cat(args) => {
                reach.archive(&args.dir);
                reach.key(&args.open.key);
                reach.trust(&args.open.expect);
            }
            Command::Extract(args) => {
                reach.archive(&args.dir);
                reach.key(&args.open.key);
                reach.trust(&args.open.expect);
                // The file is made beside its place and renamed.
                let out = args.out.as_deref().map(existing_parent);
                reach.write.extend(out);
            }
            // A repair writes into the archive.
            Command::Verify(args) if args.repair_from.is_none() => {
                reach.archive(&args.dir);
                reach.key(&args.open.key);
                reach.trust(&args.open.expect);
                if args.sample.is_some() || args.sample_bytes.is_some() {
                    let state = args.open.expect.trust.state.state_dir.as_deref();
                    let state = state::folder(state).ok()?;
                    reach.write.push(existing(&state));
                }
            }
            Command::Decrypt(args) => {
                reach.archive(&args.dir);
                reach.key(&args.key);
                reach.trust(&args.expect);
                reach.write.extend(args.out.as_deref().map(existing));
            }
            Command::Capsule(args) => {
                reach.archive(&args.dir);
                reach.key(&args.open.key);
                reach.trust(&args.open.expect);
                reach.write.push(existing(&args.out));
            }
            Command::Diff(args) => {
                reach.archive(&args.old);
                reach.archive(&args.new);
                reach.key(&args.key);
                reach.state(args.trust.state.state_dir.as_deref());
            }
            _ => return None,
        }
        Some(reach)
    }

    fn archive(&mut self, place: &Location) {
        match place {
            Location::Folder(path) => {
                // DIR@RUN names a state of a chain.
                let text = path.to_str().and_then(|text| text.rsplit_once('@'));
                let path = match text {
                    Some((chain, _)) if !path.exists() => Path::new(chain),
                    _ => path,
                };
                self.read.push(path.to_owned());
            }
            // It is kept there until all of it has come.
            Location::Stream(_) => self.write.push(large_folder()),
            Location::Store(_) => self.store = true,
        }
    }

    /// Archives may be linked into a folder whose archives are listed. In an archive, whoever holds the medium may have put a link.
    fn linked(&mut self, place: &Location) {
        let Some(folder) = place.folder() else { return };
        if OF_ARCHIVES.iter().any(|name| folder.join(name).exists()) {
            return;
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let links = entries.filter(|one| one.file_type().is_ok_and(|of| of.is_symlink()));
        let targets = links.filter_map(|link| link.path().canonicalize().ok());
        let is_archive =
            |target: &PathBuf| OF_ARCHIVES.iter().any(|name| target.join(name).exists());
        self.read.extend(targets.filter(is_archive));
    }

    fn key(&mut self, key: &KeyArgs) {
        self.read.extend(key.private.private_key.iter().cloned());
        self.read.extend(key.passphrase_file.iter().cloned());
    }

    fn trust(&mut self, expect: &ExpectArgs) {
        self.state(expect.trust.state.state_dir.as_deref());
    }

    fn state(&mut self, folder: Option<&Path>) {
        self.read.extend(state::folder(folder));
    }

    fn enforce(self) -> Result<RulesetStatus, RulesetError> {
        let all = AccessFs::from_all(VERSION);
        let read = AccessFs::from_read(VERSION) & !AccessFs::Execute;
        // Without it nothing could be moved from one folder to another: then rather nothing at all.
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::SoftRequirement)
            .handle_access(AccessFs::Refer)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?;
        if !self.store {
            rules = rules.handle_access(AccessNet::from_all(VERSION))?;
        }
        let reading: Vec<PathBuf> = match self.store {
            true => vec!["/".into()],
            false => {
                let system = SYSTEM.iter().chain(&RANDOM).map(PathBuf::from);
                system.chain(self.read).collect()
            }
        };
        let writing = self.write.into_iter().chain(WRITTEN.map(PathBuf::from));
        let status = rules
            .create()?
            .add_rules(path_beneath_rules(reading, read))?
            .add_rules(path_beneath_rules(writing, all & !AccessFs::Execute))?
            .restrict_self()?;
        Ok(status.ruleset)
    }
}

/// The path, or the folder above it that there is.
fn existing(path: &Path) -> PathBuf {
    let path = absolute(path);
    let there = path.ancestors().find(|path| path.exists());
    there.unwrap_or(&path).to_owned()
}

/// The folder of a file, or the one above it that there is.
fn existing_parent(file: &Path) -> PathBuf {
    existing(absolute(file).parent().unwrap_or(file))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Result},
        net::{TcpListener, TcpStream},
        process::Command,
        thread,
    };

    use clap::Parser;
    use pryv_backup_test_need::has;

    use super::*;

    /// What `work` comes to in a thread that is confined as the command would be; none where the system cannot.
    fn confined<T: Send>(arguments: &[&str], work: impl FnOnce() -> T + Send) -> Option<T> {
        let cli = Cli::parse_from([&["pryv-backup"], arguments].concat());
        // Threads that are there already are not confined.
        let outcome = thread::scope(|scope| {
            let thread = scope.spawn(|| (confine(&cli), work()));
            thread.join().unwrap()
        });
        has("landlock", outcome.0 == Confined::Yes).then_some(outcome.1)
    }

    fn refused<T>(outcome: Result<T>) -> bool {
        outcome.is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
    }

    /// A folder that a restricted command is to reach, and one beside it.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let all = tempfile::tempdir().unwrap();
        let (archive, other) = (all.path().join("archive"), all.path().join("other"));
        for folder in [&archive, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        (all, archive, other)
    }

    #[test]
    fn a_command_that_reads_reaches_the_archive_and_nothing_else() {
        let (_all, archive, other) = folders();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let Some(seen) = confined(&["list", archive.to_str().unwrap()], || {
            [
                fs::read(archive.join("file")).is_ok(),
                refused(fs::read(other.join("file"))),
                refused(fs::write(archive.join("new"), "x")),
                refused(fs::write(other.join("new"), "x")),
                refused(fs::remove_file(archive.join("file"))),
                refused(Command::new("true").status()),
                refused(TcpStream::connect(address)),
            ]
        }) else {
            return;
        };
        assert_eq!(seen, [true; 7]);
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn a_command_writes_to_its_target_only() {
        let (all, archive, other) = folders();
        let out = all.path().join("targets/out");
        fs::create_dir(all.path().join("targets")).unwrap();
        let key = other.join("file");
        let arguments = [
            "decrypt",
            archive.to_str().unwrap(),
            "--private-key",
            key.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        let Some(seen) = confined(&arguments, || {
            let staged = all.path().join("targets/staged");
            [
                fs::create_dir(&staged).is_ok(),
                fs::write(staged.join("file"), "x").is_ok(),
                fs::rename(&staged, &out).is_ok(),
                refused(fs::write(all.path().join("targets-too"), "x")),
                fs::read(&key).is_ok(),
                refused(fs::write(&key, "x")),
                refused(fs::write(archive.join("new"), "x")),
                refused(fs::write(all.path().join("new"), "x")),
            ]
        }) else {
            return;
        };
        assert_eq!(seen, [true; 8]);
    }

    #[test]
    fn a_target_that_is_there_is_all_that_is_written_to() {
        let (all, archive, other) = folders();
        let [archive, out] = [&archive, &other].map(|path| path.to_str().unwrap());
        for command in ["decrypt", "capsule"] {
            let Some(seen) = confined(&[command, archive, "--out", out], || {
                [
                    fs::write(other.join("new"), "x").is_ok(),
                    refused(fs::write(all.path().join("new"), "x")),
                ]
            }) else {
                return;
            };
            assert_eq!(seen, [true; 2]);
        }
    }

    #[test]
    fn other_commands_are_not_confined() {
        for arguments in [
            &["--output", "x"][..],
            &["verify", "x", "--repair-from", "y"],
            &["prune", "x", "--keep-last", "1"],
        ] {
            let cli = Cli::parse_from([&["pryv-backup"], arguments].concat());
            assert_eq!(confine(&cli), Confined::NotMeant);
        }
    }
}
