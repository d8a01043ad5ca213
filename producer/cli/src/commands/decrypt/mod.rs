//! `decrypt`: an archive in, its files out; or only a look at it.

mod output;
pub(super) mod report;
pub(super) mod work;

use std::path::Path;

use crate::{
    archive::read::Choice,
    cli::DecryptArgs,
    commands::{open, secrets::Secrets},
    failure::Failure,
    interrupt,
    progress::{self, Goal, Manner, Tally},
};

use output::OutputFolder;
use work::{Outcome, Work};

/// Does what was asked and prints what came of it. The exit code is 4 when anything is damaged.
pub fn run(args: &DecryptArgs) -> Result<u8, Failure> {
    if let Some(out) = &args.out {
        refuse_inside(&args.dir, out, "--out")?;
        super::require_parent(out, args.create_parents, "--out")?;
    }
    let demands = super::demands(&args.expect, &args.key)?;
    let choice = Choice {
        user: args.user.as_deref(),
        expect_id: args.expect.id(),
        at: args.at,
        demands: &demands,
    };
    let mut archive = open(&args.dir, choice, &Secrets::new(&args.key))?;
    report::guarantees(&archive);
    if args.list {
        report::users(&archive);
        return Ok(report::findings(&archive));
    }
    archive.settle()?;
    let tally = Tally::default();
    let work = Work::new(&archive, args, &tally);
    let goal = Goal::Bytes(archive.files().iter().map(|file| file.size).sum());
    // Whoever waits at a terminal sees a bar; a script reads what is said at the end.
    let manner = match Manner::for_people() {
        Manner::Lines => Manner::Silent,
        bar => bar,
    };
    let outcome = progress::watch(&tally, goal, manner, || match &args.out {
        None => work.verify(),
        Some(out) => decrypt(&work, out, args),
    })?;
    Ok(report::summary(&archive, &outcome))
}

fn decrypt(work: &Work<'_>, out: &Path, args: &DecryptArgs) -> Result<Outcome, Failure> {
    let output = OutputFolder::create(out, args.force, args.strict)?;
    let _guard = interrupt::finish_gracefully();
    let outcome = work.write(&output);
    match outcome {
        Ok(outcome) if !outcome.nothing_written => {
            output.finish()?;
            Ok(outcome)
        }
        other => {
            output.abandon();
            other
        }
    }
}

/// An output inside the backup would change the backup.
pub(super) fn refuse_inside(dir: &Path, out: &Path, option: &str) -> Result<(), Failure> {
    let absolute = |path: &Path| {
        // What does not exist yet is judged by its nearest folder that does.
        let mut known = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut rest = Vec::new();
        loop {
            if let Ok(real) = known.canonicalize() {
                return rest
                    .iter()
                    .rev()
                    .fold(real, |path, name: &std::ffi::OsString| path.join(name));
            }
            match (known.file_name().map(ToOwned::to_owned), known.pop()) {
                (Some(name), true) => rest.push(name),
                _ => return known,
            }
        }
    };
    if absolute(out).starts_with(absolute(dir)) {
        return Err(Failure::usage(format!(
            "{option} {} is inside the backup: choose a folder outside it",
            out.display()
        )));
    }
    Ok(())
}
