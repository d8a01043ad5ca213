//! `extract`: the records of one collection that are wanted, as JSON lines, CSV or Parquet.

mod columns;
mod csv;
mod filter;
mod output;
mod parquet;

use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
};

use decryptor_wasm::{Error, integrity::Record, jsonl::Line, layout::PathKind, plan::PlannedFile};
use serde::Serialize;
use serde_json::value::RawValue;

use self::{
    columns::OutputColumn,
    filter::Filter,
    output::{Output, refused},
    parquet::Rows,
};
use crate::{
    advice::Advice,
    archive::read::{Archive, CopyError},
    failure::{Failure, FailureKind},
    findings, interrupt,
    observer::Observer,
    opening::ArchiveOptions,
};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A JSON object a line.
    #[default]
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Which records.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive, and whose records; needed where there are several users.
    pub opening: ArchiveOptions,
    /// `events`, …, or `platform/keys` and the like.
    pub collection: String,
    /// From this moment on, in seconds since 1970.
    pub since: Option<f64>,
    /// Before this moment.
    pub until: Option<f64>,
    /// In this stream or one below it.
    pub stream: Option<String>,
    /// Of this type; `mass/*` takes all that begin so.
    pub kind: Option<String>,
    /// How they are written.
    pub format: Format,
    /// New file for them; none: they go to the writer that is given.
    pub out: Option<PathBuf>,
}

/// Collections whose records have a moment.
const TIMED: [&str; 5] = ["events", "audit", "streams", "accesses", "webhooks"];

/// Writes the records to the file of the options, or to `out`. Every one is authentic, but only the problem that comes
/// with the outcome says whether some are missing. There is no outcome when the reader of `out` has closed it.
///
/// # Errors
/// When the archive cannot be opened or read, no record can meet the conditions, or they cannot be written.
pub fn run(
    options: &Options,
    out: &mut (dyn Write + Send),
    observer: &dyn Observer,
) -> Result<(Option<Extracted>, Option<FailureKind>), Failure> {
    let collection = options.collection.as_str();
    let Some(columns) = columns::of(collection) else {
        let names: Vec<&str> = columns::names().collect();
        return Err(Failure::usage(format!(
            "there is no collection {collection:?}; there are {}",
            names.join(", ")
        )));
    };
    possible(options)?;
    let archive = options.opening.open(observer)?;
    let shared = collection.contains('/');
    if !shared && options.opening.user.is_none() && archive.plan.users.len() > 1 {
        return Err(
            Failure::usage("there are several users in this archive").advise(Advice::OneUser)
        );
    }
    let problem = findings::tell(&archive, observer);
    let files: Vec<PlannedFile> = files(&archive, collection).collect();
    let filter = Filter {
        since: options.since,
        until: options.until,
        streams: branch(&archive, options)?,
        kind: options.kind.clone(),
    };
    let _graceful = interrupt::finish_gracefully();
    let mut output = Output::create(options.out.as_deref(), out)?;
    let written = write(&archive, &files, &filter, columns, options, &mut output);
    Failure::unless_interrupted()?;
    let records = match written {
        Ok(records) => records,
        // Whoever reads has had enough.
        Err(CopyError::Output(e)) if e.kind() == ErrorKind::BrokenPipe => {
            return Ok((None, problem));
        }
        Err(CopyError::Output(e)) => return Err(refused(e)),
        Err(CopyError::Archive(error)) => return Err(error.into()),
    };
    let bytes = output.finish()?;
    let done = Extracted {
        archive_id: archive.id().to_owned(),
        collection: collection.to_owned(),
        user: options.opening.user.clone(),
        records,
        bytes,
        out: options.out.clone(),
    };
    Ok((Some(done), problem))
}

/// Records that were written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extracted {
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// The collection.
    pub collection: String,
    /// The user, as it was asked.
    pub user: Option<String>,
    /// Lines or rows.
    pub records: u64,
    /// And their size.
    pub bytes: u64,
    /// The file.
    pub out: Option<PathBuf>,
}

/// Conditions that records of the collection can meet.
fn possible(options: &Options) -> Result<(), Failure> {
    let collection = options.collection.as_str();
    let refuse = |by: &str, of: &str| {
        Err(Failure::usage(format!(
            "records of {collection} have no {by}: only these can be chosen by it: {of}"
        )))
    };
    if (options.since.is_some() || options.until.is_some()) && !TIMED.contains(&collection) {
        return refuse("time", &TIMED.join(", "));
    }
    if options.stream.is_some() && collection != "events" {
        return refuse("stream", "events");
    }
    if options.kind.is_some() && !["events", "audit", "accesses"].contains(&collection) {
        return refuse("type", "events, audit, accesses");
    }
    Ok(())
}

/// The files of a collection, in order.
fn files<'a>(archive: &'a Archive, collection: &'a str) -> impl Iterator<Item = PlannedFile> {
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
    options: &Options,
) -> Result<Option<std::collections::BTreeSet<String>>, Failure> {
    let Some(root) = &options.stream else {
        return Ok(None);
    };
    let found = match files(archive, "streams").next() {
        Some(file) => filter::branch(archive, &file, root)?,
        None => None,
    };
    match found {
        Some(branch) => Ok(Some(branch)),
        None => {
            Err(Failure::usage(format!("there is no stream {root:?}")).advise(Advice::ListStreams))
        }
    }
}

fn write(
    archive: &Archive,
    files: &[PlannedFile],
    filter: &Filter,
    columns: &'static [OutputColumn],
    options: &Options,
    output: &mut Output<'_>,
) -> Result<u64, CopyError> {
    let mut records = 0;
    match options.format {
        Format::Jsonl => each(archive, files, filter, &mut |line, _| {
            records += 1;
            output.write_all(line)?;
            Ok(output.write_all(b"\n")?)
        })?,
        Format::Csv => {
            csv::header(columns, output)?;
            rows(archive, files, filter, options, &mut |record| {
                records += 1;
                Ok(csv::row(columns, record, output)?)
            })?;
        }
        Format::Parquet => {
            let mut table = Rows::new(columns, output)?;
            rows(archive, files, filter, options, &mut |record| {
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
    files: &[PlannedFile],
    filter: &Filter,
    take: &mut impl FnMut(&[u8], &Record<'_>) -> Result<(), CopyError>,
) -> Result<(), CopyError> {
    for file in files {
        archive.lines::<CopyError>(file, false, &mut |line: Line<'_>| {
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
    files: &[PlannedFile],
    filter: &Filter,
    options: &Options,
    take: &mut dyn FnMut(&Record<'_>) -> Result<(), CopyError>,
) -> Result<(), CopyError> {
    let series = options.collection == "series";
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
