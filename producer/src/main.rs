//! The `pryv-backup` command.

use std::{io, process::ExitCode};

use clap::Parser;
use pryv_backup::{
    cli::{BackupArgs, Cli, Command},
    commands::{backup, cat, decrypt, diff, keygen, list, restore, stats},
    failure::Failure,
    interrupt,
    report::printable,
    sample,
};
use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match prepare().and_then(|()| run(&cli)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("error: {}", printable(&failure.message));
            ExitCode::from(failure.code)
        }
    }
}

/// Secrets are in memory: a crash must not leave them in a core file.
fn prepare() -> Result<(), Failure> {
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
        Some(Command::List(args)) => list::run(args),
        Some(Command::Stats(args)) => stats::run(args),
        Some(Command::Cat(args)) => cat::run(args),
        Some(Command::Diff(args)) => diff::run(args),
        Some(Command::Sample { dir }) => {
            // The configuration that is written names its folder, and must hold from anywhere.
            let absolute = std::path::absolute(dir)
                .map_err(|e| Failure::failed(format!("{}: {e}", dir.display())))?;
            sample::create_sample_platform(&absolute)
                .map_err(|e| Failure::failed(e.to_string()))?;
            println!("sample platform: {}", dir.display());
            Ok(0)
        }
        None if cli.backup.restore.is_some() => restored(&cli.backup),
        None => {
            let report = backup::run(&cli.backup)?;
            if cli.backup.json {
                println!(
                    "{}",
                    serde_json::to_string(&report).map_err(|e| Failure::failed(e.to_string()))?
                );
            } else if cli.backup.quiet {
                eprint!("{}", report.losses_text());
            } else {
                print!("{}", report.text());
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
        println!(
            "{}",
            serde_json::to_string(&report).map_err(|e| Failure::failed(e.to_string()))?
        );
    } else if !args.quiet || report.exit_code() != 0 {
        print!("{}", report.text());
    }
    Ok(report.exit_code())
}
