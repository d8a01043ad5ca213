//! The `pryv-backup` command.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cli;
mod commands;
mod memory;
mod progress;
mod report;

use std::{
    panic::{self, PanicHookInfo},
    process::ExitCode,
};

use clap::Parser;
use pryv_backup_engine::{
    answer, archive, config, failure, files, interrupt, note, platform, regular, sample, say,
    state, text, threads,
};

use cli::{BackupArgs, Cli, Command};
use commands::{
    backup, cat, consolidate, decrypt, diff, extract, keygen, list, prune, rekey, restore, stats,
    verify,
};
use failure::Failure;
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};
use text::printable;

fn main() -> ExitCode {
    panic::set_hook(Box::new(defect));
    let cli = Cli::parse();
    let done = panic::catch_unwind(|| prepare(&cli).and_then(|()| run(&cli)));
    let mut code = match done.unwrap_or_else(|_| {
        Err(Failure::failed(
            "a defect of pryv-backup ended it (what it is stands above); please report it",
        ))
    }) {
        Ok(code) => code,
        Err(failure) => {
            // Whatever did not work then, it was a signal that ended it.
            let failure = match interrupt::failure() {
                Err(signal) if failure.code == 1 => Failure {
                    code: signal.code,
                    ..failure
                },
                _ => failure,
            };
            note!("error: {}", printable(&failure.message));
            if cli.is_json() {
                answer!("{}", failure.json());
            }
            failure.code
        }
    };
    if let Some(lost) = say::lost().or_else(|| files::check_stdout().err()) {
        note!(
            "error: standard output could not be written: {lost}; what was done stands, what was to be said is lost"
        );
        code = code.max(1);
    }
    ExitCode::from(code)
}

/// What a panic says, in one line.
fn defect(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    note!(
        "defect at {}: {}",
        place.unwrap_or_default(),
        printable(text.unwrap_or_default())
    );
}

/// Secrets are in memory: a crash must not leave them in a core file. What is written is for its owner alone, except what a
/// restore gives back to the platform.
fn prepare(cli: &Cli) -> Result<(), Failure> {
    if cli.backup.restore.is_none() {
        umask(Mode::RWXG | Mode::RWXO);
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
    interrupt::install().map_err(|e| Failure::failed(format!("signals cannot be received: {e}")))
}

fn run(cli: &Cli) -> Result<u8, Failure> {
    match &cli.command {
        Some(Command::Keygen(args)) => keygen::run(args).map(|()| 0),
        Some(Command::Decrypt(args)) => decrypt::run(args),
        Some(Command::Verify(args)) => verify::run(args),
        Some(Command::List(args)) => list::run(args),
        Some(Command::Stats(args)) => stats::run(args),
        Some(Command::Cat(args)) => cat::run(args),
        Some(Command::Extract(args)) => extract::run(args),
        Some(Command::Diff(args)) => diff::run(args),
        Some(Command::Prune(args)) => prune::run(args),
        Some(Command::Consolidate(args)) => consolidate::run(args),
        Some(Command::Rekey(args)) => rekey::run(args),
        Some(Command::Sample { dir }) => {
            // The configuration that is written names its folder, and must hold from anywhere.
            let absolute = std::path::absolute(dir)
                .map_err(|e| Failure::failed(format!("{}: {e}", dir.display())))?;
            sample::create_sample_platform(&absolute)
                .map_err(|e| Failure::failed(e.to_string()))?;
            answer!("sample platform: {}", dir.display());
            Ok(0)
        }
        None if cli.backup.restore.is_some() => restored(&cli.backup),
        None => {
            let report = backup::run(&cli.backup)?;
            if cli.backup.json {
                answer!(
                    "{}",
                    serde_json::to_string(&report).map_err(|e| Failure::failed(e.to_string()))?
                );
            } else if cli.backup.quiet {
                say::note(format_args!(
                    "{}{}",
                    report.plain_text(),
                    report.losses_text()
                ));
            } else {
                say::answer(format_args!("{}", report.text()));
            }
            Ok(report.exit_code())
        }
    }
}

fn restored(args: &BackupArgs) -> Result<u8, Failure> {
    let Some(dir) = &args.restore else {
        return Ok(0);
    };
    let report = restore::run(dir, args)?;
    if args.json {
        answer!(
            "{}",
            serde_json::to_string(&report).map_err(|e| Failure::failed(e.to_string()))?
        );
    } else if !args.quiet || report.exit_code() != 0 {
        say::answer(format_args!("{}", report.text()));
    }
    Ok(report.exit_code())
}
