//! What is run around a dump: the core is stopped and started again, and a snapshot of the file system made and removed. What was begun is
//! ended, however the dump ends.

use std::path::PathBuf;

use super::Commands;
use crate::{failure::Failure, interrupt, observer::Observer, shell};

/// Commands of which some were run.
pub struct Around<'a> {
    commands: &'a Commands,
    observer: &'a dyn Observer,
    /// The core is stopped.
    stopped: bool,
    /// There is a snapshot.
    frozen: bool,
    /// What could not be ended.
    trouble: Vec<String>,
}

impl<'a> Around<'a> {
    /// Nothing was run yet.
    pub fn new(commands: &'a Commands, observer: &'a dyn Observer) -> Self {
        Around {
            commands,
            observer,
            stopped: false,
            frozen: false,
            trouble: Vec::new(),
        }
    }

    /// Stops the core, where that is asked for; whether it was.
    ///
    /// # Errors
    /// When the command fails.
    pub fn stop(&mut self) -> Result<bool, Failure> {
        let Some(line) = &self.commands.stop else {
            return Ok(false);
        };
        // One that fails may have stopped it.
        self.stopped = true;
        shell::run("the stop command", line, &[], true)?;
        Ok(true)
    }

    /// Makes a snapshot, where that is asked for, and starts the core again. The folder of the users' files in it.
    ///
    /// # Errors
    /// When the command fails, or names no folder.
    pub fn freeze(&mut self) -> Result<Option<PathBuf>, Failure> {
        let Some(line) = &self.commands.snapshot else {
            return Ok(None);
        };
        let said = shell::run("the snapshot command", line, &[], true);
        // Where the command failed, a snapshot of that name may be somebody else's; where it was interrupted, it may have made one.
        self.frozen = said.is_ok() || interrupt::check().is_err();
        let folder = PathBuf::from(said?);
        if !folder.is_absolute() || !folder.is_dir() {
            return Err(Failure::failed(format!(
                "the snapshot command: its last line has to be the folder of the users' files in the snapshot, and {:?} is none",
                folder.display().to_string()
            )));
        }
        self.start();
        Ok(Some(folder))
    }

    fn start(&mut self) {
        if std::mem::take(&mut self.stopped) {
            let line = self.commands.start.clone();
            self.run(
                "the start command",
                line.as_deref(),
                "the core was not started",
            );
        }
    }

    /// Starts the core, and removes the snapshot.
    pub fn end(&mut self) {
        self.start();
        if std::mem::take(&mut self.frozen) {
            let line = self.commands.release.clone();
            self.run(
                "the release command",
                line.as_deref(),
                "the snapshot was not removed",
            );
        }
    }

    fn run(&mut self, name: &str, line: Option<&str>, otherwise: &str) {
        let ended = line.map_or(Ok(String::new()), |line| shell::run(name, line, &[], false));
        if let Err(failure) = ended {
            let what = format!("{otherwise}: {}", failure.message());
            self.observer.warn(&what);
            self.trouble.push(what);
        }
    }

    /// What came of a dump, with what could not be ended: whoever reads only the last line has to know.
    ///
    /// # Errors
    /// Those of the dump.
    pub fn told<T>(mut self, dumped: Result<T, Failure>) -> Result<(T, Vec<String>), Failure> {
        self.end();
        let trouble = std::mem::take(&mut self.trouble);
        match dumped {
            Ok(dumped) => Ok((dumped, trouble)),
            Err(failure) if trouble.is_empty() => Err(failure),
            Err(failure) => {
                let what = failure.message().to_owned();
                Err(failure.with_message(format!("{what}; and {}", trouble.join("; "))))
            }
        }
    }
}

impl Drop for Around<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
