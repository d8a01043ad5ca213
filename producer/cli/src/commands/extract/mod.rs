//! `extract`: the records of one collection that are wanted, as JSON lines, CSV or Parquet.

mod columns;
mod csv;
mod filter;
mod output;
mod parquet;

use std::path::Path;

use decryptor_wasm::{Error, Result, integrity::Record, layout::PathKind, plan::PlannedFile};
use serde::Serialize;
use serde_json::value::RawValue;

use self::{columns::Column, filter::Filter, output::Output, parquet::Rows};
use super::{open, print_json_beside, secrets::Secrets, warn};
use crate::{
    archive::read::{Archive, Choice, Line},
    cli::{ExtractArgs, FormatArg},
    failure::Failure,
    interrupt,
};

/// Collections whose records have a moment.
const TIMED: [&str; 5] = ["events", "audit", "streams", "accesses", "webhooks"];

/// Writes the records. Every one is authentic, but only the exit code says that none is missing.
pub fn run(args: &ExtractArgs) -> std::result::Result<u8, Failure> {
    let collection = args.collection.as_str();
    let Some(columns) = columns::of(collection) else {
        let names: Vec<&str> = columns::names().collect();
        return Err(Failure::usage(format!(
            "there is no collection {collection:?}; there are {}",
            names.join(", ")
        )));
    };
    possible(args)?;
    let demands = super::demands(&args.expect, &args.key)?;
    let choice = Choice {
        user: args.user.as_deref(),
        at: args.at,
        expect_id: args.expect.id(),
        demands: &demands,
    };
    let archive = open(&args.dir, choice, &Secrets::new(&args.key))?;
    let shared = collection.contains('/');
    if !shared && args.user.is_none() && archive.plan.users.len() > 1 {
        return Err(Failure::usage(
            "there are several users in this archive: give --user (`pryv-backup list` shows them)",
        ));
    }
    let code = warn(&archive);
    let files: Vec<&PlannedFile> = files(&archive, collection).collect();
    let filter = Filter {
        since: args.since,
        until: args.until,
        streams: branch(&archive, args)?,
        kind: args.r#type.clone(),
    };
    let _graceful = interrupt::finish_gracefully();
    let mut output = Output::create(args.out.as_deref())?;
    let written = write(&archive, &files, &filter, columns, args, &mut output);
    interrupt::failure()?;
    let records = match written {
        // Whoever reads has had enough.
        Err(_) if output.closed() => return Ok(code),
        written => written?,
    };
    let bytes = output.finish()?;
    if args.json {
        let done = Extracted {
            archive_id: &archive.id,
            collection,
            user: args.user.as_deref(),
            records,
            bytes,
            out: args.out.as_deref(),
        };
        print_json_beside(&done, args.out.is_none())?;
    }
    Ok(code)
}

/// What was written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extracted<'a> {
    archive_id: &'a str,
    collection: &'a str,
    user: Option<&'a str>,
    /// Lines or rows.
    records: u64,
    bytes: u64,
    out: Option<&'a Path>,
}

/// Conditions that records of the collection can meet.
fn possible(args: &ExtractArgs) -> std::result::Result<(), Failure> {
    let collection = args.collection.as_str();
    let refuse = |option: &str, of: &str| {
        Err(Failure::usage(format!(
            "{option} is for {of}; {collection} have no such thing"
        )))
    };
    if (args.since.is_some() || args.until.is_some()) && !TIMED.contains(&collection) {
        return refuse("--since and --until", &TIMED.join(", "));
    }
    if args.stream.is_some() && collection != "events" {
        return refuse("--stream", "events");
    }
    if args.r#type.is_some() && !["events", "audit", "accesses"].contains(&collection) {
        return refuse("--type", "events, audit, accesses");
    }
    Ok(())
}

/// The files of a collection, in order.
fn files<'a>(archive: &'a Archive, collection: &'a str) -> impl Iterator<Item = &'a PlannedFile> {
    archive.files().iter().filter(move |file| {
        let within = match PathKind::of(&file.path) {
            PathKind::UserRecords { .. } => file.path.split('/').nth(2).unwrap_or_default(),
            PathKind::SharedRecords => file.path.as_str(),
            _ => return false,
        };
        within.split('.').next() == Some(collection)
    })
}

fn branch(
    archive: &Archive,
    args: &ExtractArgs,
) -> std::result::Result<Option<std::collections::BTreeSet<String>>, Failure> {
    let Some(root) = &args.stream else {
        return Ok(None);
    };
    let found = match files(archive, "streams").next() {
        Some(file) => filter::branch(archive, file, root)?,
        None => None,
    };
    match found {
        Some(branch) => Ok(Some(branch)),
        None => Err(Failure::usage(format!(
            "there is no stream {root:?}; `pryv-backup extract --collection streams` shows those of the user"
        ))),
    }
}

fn write(
    archive: &Archive,
    files: &[&PlannedFile],
    filter: &Filter,
    columns: &'static [Column],
    args: &ExtractArgs,
    output: &mut Output,
) -> Result<u64> {
    let mut records = 0;
    match args.format {
        FormatArg::Jsonl => each(archive, files, filter, &mut |line, _| {
            records += 1;
            output.put(line)?;
            output.put(b"\n")
        })?,
        FormatArg::Csv => {
            output.with(|out| csv::header(columns, out))?;
            rows(archive, files, filter, args, &mut |record| {
                records += 1;
                output.with(|out| csv::row(columns, record, out))
            })?;
        }
        FormatArg::Parquet => {
            let mut table = Rows::new(columns, output)?;
            rows(archive, files, filter, args, &mut |record| {
                records += 1;
                table.add(record)
            })?;
            table.finish()?;
        }
    }
    Ok(records)
}

/// Every wanted record: a line, and what is in it.
fn each(
    archive: &Archive,
    files: &[&PlannedFile],
    filter: &Filter,
    take: &mut dyn FnMut(&[u8], &Record<'_>) -> Result<()>,
) -> Result<()> {
    for file in files {
        archive.lines(file, false, &mut |line: Line<'_>| {
            let record = line.record()?;
            if filter.wants(&record) {
                take(line.text, &record)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The same as rows; of series, each point is one.
fn rows(
    archive: &Archive,
    files: &[&PlannedFile],
    filter: &Filter,
    args: &ExtractArgs,
    take: &mut dyn FnMut(&Record<'_>) -> Result<()>,
) -> Result<()> {
    let series = args.collection == "series";
    each(archive, files, filter, &mut |_, record| {
        if !series {
            return take(record);
        }
        let points: Vec<&RawValue> = serde_json::from_str(record.get("points").unwrap_or("[]"))
            .map_err(|e| Error::damaged(format!("the points of a series cannot be read ({e})")))?;
        let member = |name: &str| record.get(name).unwrap_or("null");
        let start = format!(
            "{{\"namespace\":{},\"measurement\":{}",
            member("namespace"),
            member("measurement")
        );
        for point in points {
            let members = point.get().trim().trim_start_matches('{').trim_start();
            let comma = if members == "}" { "" } else { "," };
            let row = format!("{start}{comma}{members}");
            take(&Record::parse(row.as_bytes())?)?;
        }
        Ok(())
    })
}
