//! The `pryv-backup` command.
#![warn(clippy::too_many_lines)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cli;
mod confine;
mod memory;
mod observer;
mod progress;
mod render;
mod run;
mod stdio;

use std::{
    panic::{self, PanicHookInfo},
    process::ExitCode,
};

use clap::Parser;
use pryv_backup_engine::{
    failure::{Failure, FailureKind},
    interrupt, shell,
};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

use cli::{Cli, Command};
use confine::Confined;
use render::{advice::say, failure::exit_code};
use stdio::{answer, note};

fn main() -> ExitCode {
    memory::give_large_pieces_back();
    panic::set_hook(Box::new(defect));
    let mut cli = Cli::parse();
    let reached = cli.reach();
    let done = panic::catch_unwind(|| {
        reached?;
        prepare(&cli)?;
        run(&cli)
    });
    let done = done.unwrap_or_else(|_| {
        Err(Failure::failed(
            "a defect of pryv-backup ended it (see above); please report it",
        ))
    });
    let mut code = match if_stores_were_read(done) {
        Ok(problem) => exit_code(problem),
        Err(failure) => {
            // Whatever did not work then, it was a signal that ended it.
            let failure = match Failure::unless_interrupted() {
                Err(signal) if failure.kind() == FailureKind::Failed => {
                    failure.because_of(signal.kind())
                }
                _ => failure,
            };
            note!("error: {}", say(failure.sentence()));
            if cli.is_json() {
                answer!("{}", render::failure::json(&failure));
            }
            exit_code(Some(failure.kind()))
        }
    };
    if let Some(lost) = stdio::lost() {
        note!(
            "error: standard output could not be written: {lost}; what was done stands, what was to be said is lost"
        );
        code = code.max(1);
    }
    ExitCode::from(code)
}

/// The same outcome, unless an object store could not be read: then nothing is known of an archive there, neither good nor bad.
fn if_stores_were_read(
    done: Result<Option<FailureKind>, Failure>,
) -> Result<Option<FailureKind>, Failure> {
    match (done, Failure::unless_store_failed()) {
        (Ok(None | Some(FailureKind::Damaged | FailureKind::Losses)), Err(failure)) => Err(failure),
        (Err(found), Err(failure)) if found.kind() == FailureKind::Damaged => Err(failure),
        (done, _) => done,
    }
}

/// Reports a panic in one line.
fn defect(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    note!(
        "defect at {}: {}",
        place.unwrap_or_default(),
        text.unwrap_or_default()
    );
}

/// Secrets are in memory: a crash must not leave them in a core file. What is written is for its owner alone, except what a
/// restore gives back to the platform.
fn prepare(cli: &Cli) -> Result<(), Failure> {
    if cli.backup.restore.is_none() {
        let before = umask(Mode::RWXG | Mode::RWXO);
        // The lines that the operator gives are not ours.
        shell::keep_umask(before.bits());
    }
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(e) = setrlimit(Resource::Core, none) {
        note!(
            "warning: the system does not let core files be turned off ({e}): a crash could leave secrets in one"
        );
    }
    interrupt::install()
        .map_err(|e| Failure::failed(format!("signals cannot be received: {e}")))?;
    match confine::confine(cli) {
        Confined::Not(reason) if cli.is_verbose() => {
            note!(
                "note: this command is not confined to the archive and to where it writes: {reason}"
            );
        }
        Confined::InWriting if cli.is_verbose() => {
            note!(
                "note: the system lets this command write where it is to write, and nowhere else"
            );
        }
        Confined::Yes if cli.is_verbose() => {
            note!(
                "note: the system lets this command reach the archive, its key and where it writes, and nothing else"
            );
        }
        _ => {}
    }
    Ok(())
}

fn run(cli: &Cli) -> Result<Option<FailureKind>, Failure> {
    match &cli.command {
        Some(Command::Keygen(args)) => run::keygen(args),
        Some(Command::Decrypt(args)) => run::decrypt(args),
        Some(Command::Verify(args)) => run::verify(args),
        Some(Command::List(args)) => run::list(args),
        Some(Command::Stats(args)) => run::stats(args),
        Some(Command::Cat(args)) => run::cat(args),
        Some(Command::Extract(args)) => run::extract(args),
        Some(Command::Diff(args)) => run::diff(args),
        Some(Command::Prune(args)) => run::prune(args),
        Some(Command::Fleet(args)) => run::fleet(args),
        Some(Command::Copy(args)) => run::copy(args),
        Some(Command::Consolidate(args)) => run::consolidate(args),
        Some(Command::Rekey(args)) => run::rekey(args),
        Some(Command::Capsule(args)) => run::capsule(args),
        Some(Command::Raw(args)) => run::raw(args),
        Some(Command::RawRestore(args)) => run::raw_restore(args),
        Some(Command::Decryptors(args)) => run::decryptors(args),
        Some(Command::Sample { dir }) => run::sample(dir),
        None => match &cli.backup.restore {
            Some(dir) => run::restore(dir, &cli.backup),
            None => run::backup(&cli.backup),
        },
    }
}
