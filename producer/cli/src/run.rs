//! One function per command: options for the library, and its outcome for whoever asked.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use pryv_backup_engine::{
    failure::{Failure, FailureKind},
    operations::{
        backup, capsule, cat, consolidate, copy, decrypt, decryptors, diff, extract, fleet, keygen,
        list, prune, raw, raw_restore, rekey, restore, stats, verify,
    },
    sample::create_sample_platform,
    storage::Location,
};

use crate::{
    cli::{
        BackupArgs, CapsuleArgs, CatArgs, ConsolidateArgs, CopyArgs, DecryptArgs, DecryptorsArgs,
        DiffArgs, ExtractArgs, FleetArgs, KeygenArgs, LookArgs, PruneArgs, RawArgs, RawRestoreArgs,
        RekeyArgs, VerifyArgs,
    },
    observer::Terminal,
    progress::Manner,
    render,
    stdio::{self, answer},
};

/// An observer that shows no progress.
const STILL: Terminal = Terminal {
    work: Manner::Silent,
    check: Manner::Silent,
    quiet: false,
};

pub fn backup(args: &BackupArgs) -> Result<Option<FailureKind>, Failure> {
    let aside = args.streams();
    let work = match args {
        _ if args.json && aside => Manner::Silent,
        _ if args.json => Manner::Events,
        _ if args.quiet => Manner::Silent,
        // The names of the users would break the bar.
        _ if args.verbose => Manner::Lines,
        _ => Manner::for_people(),
    };
    let observer = Terminal {
        quiet: args.quiet,
        ..Terminal::new(work)
    };
    let report = backup::run(&args.options()?, &observer)?;
    if args.json && aside {
        render::json_aside(&report)?;
    } else if args.json {
        render::json(&report)?;
    } else if aside && !args.quiet {
        stdio::write_note(format_args!("{}", render::backup::text(&report)));
    } else if args.quiet {
        let plain = render::backup::not_encrypted(&report);
        stdio::write_note(format_args!("{plain}{}", render::backup::losses(&report)));
    } else {
        stdio::write_answer(format_args!("{}", render::backup::text(&report)));
    }
    Ok(report.problem())
}

pub fn restore(dir: &Location, args: &BackupArgs) -> Result<Option<FailureKind>, Failure> {
    let work = match args {
        _ if args.json => Manner::Events,
        _ if args.quiet => Manner::Silent,
        _ => Manner::for_people(),
    };
    let observer = Terminal {
        quiet: args.quiet,
        ..Terminal::new(work)
    };
    let mut report = restore::run(&args.restore_options(dir)?, &observer)?;
    render::restore::put_in_words(&mut report);
    if args.json {
        render::json(&report)?;
    } else if !args.quiet || report.problem().is_some() {
        stdio::write_answer(format_args!("{}", render::restore::text(&report)));
    }
    Ok(report.problem())
}

pub fn capsule(args: &CapsuleArgs) -> Result<Option<FailureKind>, Failure> {
    let saved = if_read(capsule::run(&args.options(), &STILL))?;
    if args.json {
        render::json(&saved)?;
    } else {
        stdio::write_answer(format_args!("{}", render::capsule::saved(&saved)));
    }
    Ok(saved.problem())
}

pub fn raw(args: &RawArgs) -> Result<Option<FailureKind>, Failure> {
    let aside = args.streams();
    let report = raw::run(&args.options(), &terminal(args.json, args.quiet, aside))?;
    if args.json && aside {
        render::json_aside(&report)?;
    } else if args.json {
        render::json(&report)?;
    } else if args.quiet {
        stdio::write_note(format_args!("{}", render::raw::losses(&report)));
    } else if aside {
        stdio::write_note(format_args!("{}", render::raw::text(&report)));
    } else {
        stdio::write_answer(format_args!("{}", render::raw::text(&report)));
    }
    Ok(report.problem())
}

pub fn raw_restore(args: &RawRestoreArgs) -> Result<Option<FailureKind>, Failure> {
    let observer = terminal(args.json, args.quiet, false);
    let report = if_read(raw_restore::run(&args.options(), &observer))?;
    if args.json {
        render::json(&report)?;
    } else if !args.quiet || report.problem().is_some() {
        stdio::write_answer(format_args!("{}", render::raw::restored(&report)));
    }
    Ok(report.problem())
}

/// What is shown of work: nothing on standard output where a stream goes there.
fn terminal(json: bool, quiet: bool, aside: bool) -> Terminal {
    let work = match (json, quiet) {
        (true, _) if aside => Manner::Silent,
        (true, _) => Manner::Events,
        (false, true) => Manner::Silent,
        (false, false) => Manner::for_people(),
    };
    Terminal {
        quiet,
        ..Terminal::new(work)
    }
}

pub fn sample(dir: &Path) -> Result<Option<FailureKind>, Failure> {
    // The configuration that is written names its folder, and must hold from anywhere.
    let absolute =
        std::path::absolute(dir).map_err(|e| Failure::failed(format!("{}: {e}", dir.display())))?;
    create_sample_platform(&absolute).map_err(|e| Failure::failed(e.to_string()))?;
    answer!("sample platform: {}", dir.display());
    Ok(None)
}

pub fn decryptors(args: &DecryptorsArgs) -> Result<Option<FailureKind>, Failure> {
    if args.hashes {
        for known in decryptors::known() {
            let own = if known.own { "  (this version)" } else { "" };
            answer!("{}  {}  {}{own}", known.version, known.sha256, known.file);
        }
    }
    for path in args
        .out
        .as_deref()
        .map_or(Ok(Vec::new()), decryptors::write)?
    {
        answer!("{}", path.display());
    }
    Ok(None)
}

pub fn keygen(args: &KeygenArgs) -> Result<Option<FailureKind>, Failure> {
    render::keygen::show(&keygen::run(&args.options(), &STILL)?);
    Ok(None)
}

pub fn decrypt(args: &DecryptArgs) -> Result<Option<FailureKind>, Failure> {
    // Whoever waits at a terminal sees a bar; a script reads what is said at the end.
    let observer = Terminal::new(match Manner::for_people() {
        Manner::Lines => Manner::Silent,
        bar => bar,
    });
    let options = args.options();
    let mut decryption = if_read(decrypt::Decryption::open(&options, &observer))?;
    render::decrypt::guarantees(decryption.archive());
    if args.list {
        render::decrypt::users(decryption.archive());
        return Ok(render::decrypt::findings(decryption.archive()));
    }
    let outcome = if_read(decryption.run(&observer))?;
    Ok(render::decrypt::summary(decryption.archive(), &outcome))
}

pub fn verify(args: &VerifyArgs) -> Result<Option<FailureKind>, Failure> {
    let observer = Terminal::new(match args {
        _ if args.json => Manner::Events,
        _ if args.quiet => Manner::Silent,
        _ => Manner::for_people(),
    });
    let report = if_read(verify::run(&args.options(), &observer))?;
    let problem = report.problem();
    if args.json {
        render::json(&report)?;
    } else if !args.quiet || problem.is_some() {
        render::verify::show(&report);
    }
    Ok(problem)
}

pub fn list(args: &LookArgs) -> Result<Option<FailureKind>, Failure> {
    let outcome = if_read(list::run(&args.options(), &STILL))?;
    if args.json {
        render::json(&serde_json::json!({ "archives": outcome.archives }))?;
    } else {
        render::list::show(&outcome.archives);
    }
    Ok(outcome.problem)
}

pub fn stats(args: &LookArgs) -> Result<Option<FailureKind>, Failure> {
    let (stats, problem) = if_read(stats::run(&args.options(), &STILL))?;
    if args.json {
        render::json(&stats)?;
    } else {
        render::stats::show(&stats);
    }
    Ok(problem)
}

pub fn cat(args: &CatArgs) -> Result<Option<FailureKind>, Failure> {
    let mut out = Named(BufWriter::with_capacity(1 << 16, io::stdout().lock()));
    let printed = if_read(cat::run(&args.options(), &mut out, &STILL))?;
    if let Some(printed) = printed.filter(|_| args.json) {
        render::json_aside(&printed)?;
    }
    Ok(None)
}

pub fn extract(args: &ExtractArgs) -> Result<Option<FailureKind>, Failure> {
    let (extracted, problem) = if_read(extract::run(&args.options(), &mut io::stdout(), &STILL))?;
    match extracted.filter(|_| args.json) {
        Some(extracted) if args.out.is_some() => render::json(&extracted)?,
        Some(extracted) => render::json_aside(&extracted)?,
        None => {}
    }
    Ok(problem)
}

pub fn diff(args: &DiffArgs) -> Result<Option<FailureKind>, Failure> {
    let mut each = |difference: diff::Difference<'_>| {
        if args.verbose {
            render::diff::one(difference);
        }
    };
    let (diff, problem) = if_read(diff::run(&args.options(), &mut each, &STILL))?;
    if args.json {
        render::json(&diff)?;
    } else {
        render::diff::show(&diff);
    }
    Ok(problem)
}

pub fn rekey(args: &RekeyArgs) -> Result<Option<FailureKind>, Failure> {
    let mut rekeyed = rekey::run(&args.options(), &STILL)?;
    rekeyed
        .left
        .iter_mut()
        .for_each(render::advice::put_in_words);
    if args.json {
        render::json(&rekeyed)?;
    } else {
        render::rekey::show(&rekeyed);
    }
    Ok(rekeyed.problem())
}

pub fn prune(args: &PruneArgs) -> Result<Option<FailureKind>, Failure> {
    let pruned = prune::run(&args.options(), &STILL)?;
    if args.json {
        render::json(&pruned)?;
    } else {
        render::prune::show(&pruned);
    }
    Ok(pruned.problem())
}

pub fn fleet(args: &FleetArgs) -> Result<Option<FailureKind>, Failure> {
    let mut fleet = fleet::run(&args.options(), &STILL)?;
    if args.json {
        render::fleet::finish(&mut fleet);
        render::json(&fleet)?;
    } else {
        render::fleet::show(&fleet);
    }
    Ok(fleet.problem())
}

pub fn copy(args: &CopyArgs) -> Result<Option<FailureKind>, Failure> {
    let observer = Terminal::new(match args.json {
        true => Manner::Events,
        false => Manner::for_people(),
    });
    let copied = copy::run(&args.options()?, &observer)?;
    if args.json {
        render::json(&copied)?;
    } else {
        render::copy::show(&copied);
    }
    Ok(None)
}

pub fn consolidate(args: &ConsolidateArgs) -> Result<Option<FailureKind>, Failure> {
    let observer = Terminal::new(match args.json {
        true => Manner::Events,
        false => Manner::for_people(),
    });
    let consolidated = consolidate::run(&args.options(), &observer)?;
    if args.json {
        render::json(&consolidated)?;
    } else {
        render::consolidate::show(&consolidated);
    }
    Ok(consolidated.verified.problem())
}

/// What was found in an archive, unless its store could not be read.
fn if_read<T>(found: Result<T, Failure>) -> Result<T, Failure> {
    Failure::unless_store_failed().and(found)
}

/// Standard output that says its name when it cannot be written.
struct Named<W>(W);

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(named)
    }
}

fn named(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("standard output: {error}"))
}
