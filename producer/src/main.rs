//! The `pryv-backup` command.

use std::{io, process::ExitCode};

use clap::Parser;
use pryv_backup::{
    answer,
    cli::{BackupArgs, Cli, Command},
    commands::{
        backup, cat, consolidate, decrypt, diff, extract, keygen, list, prune, rekey, restore,
        stats, verify,
    },
    failure::Failure,
    interrupt, note,
    report::printable,
    sample, say,
};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut code = match prepare(&cli).and_then(|()| run(&cli)) {
        Ok(code) => code,
        Err(failure) => {
            note!("error: {}", printable(&failure.message));
            if cli.is_json() {
                answer!("{}", failure.json());
            }
            failure.code
        }
    };
    if let Some(lost) = say::lost() {
        note!(
            "error: standard output could not be written: {lost}; what was done stands, what was to be said is lost"
        );
        code = code.max(1);
    }
    ExitCode::from(code)
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
    setrlimit(Resource::Core, none)
        .map_err(io::Error::from)
        .and_then(|()| interrupt::install())
        .map_err(|e| Failure::failed(format!("the process could not be prepared: {e}")))
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
