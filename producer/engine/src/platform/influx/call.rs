//! Questions to InfluxDB and its answers, which come piece by piece.

use super::Influx;
use crate::limits::MAX_INFLUXDB_PIECE;
use crate::platform::waiting::{Incoming, Waited, pause};
use crate::platform::{ExportError, PlatformError};
use crate::threads::refused;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use ureq::Body;
use ureq::http::{Response, header};

/// Rows in a piece of an answer: what both sides hold at once.
const PIECE_ROWS: &str = "1000";
/// Pauses before asking again a server that does not answer, or says that it cannot now: one that is restarted takes a second or more.
pub(super) const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Bytes of an answer that are read to say why it refuses.
const REASON: u64 = 64 * 1024;
/// Characters of it that are told.
const TOLD: usize = 400;

/// Why a question has no answer.
pub(super) enum Trouble {
    /// Nothing came, or not all of it: asking again may help.
    Later(String),
    /// It refuses, and will again.
    Never(String),
    /// It cannot carry out this statement, or does not take these points.
    Statement(String),
    /// A signal came.
    Interrupted,
    /// Whoever took the answer failed.
    Taker(ExportError),
}

impl Trouble {
    pub(super) fn of(self, server: &Influx) -> ExportError {
        match self {
            Self::Later(what) | Self::Never(what) | Self::Statement(what) => {
                server.error(what).into()
            }
            Self::Interrupted => PlatformError::Interrupted.into(),
            Self::Taker(error) => error,
        }
    }
}

impl From<ExportError> for Trouble {
    fn from(error: ExportError) -> Self {
        Self::Taker(error)
    }
}

/// A piece of an answer.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    results: Vec<Outcome<'a>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default)]
    series: Vec<Piece<'a>>,
    error: Option<String>,
    /// More pieces come.
    #[serde(default)]
    partial: bool,
}

/// Rows of a measurement, or of what is asked for.
#[derive(Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow, default)]
    pub name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub values: Vec<Vec<&'a RawValue>>,
}

/// A row of an answer that is short.
pub(super) struct NamedRow {
    /// Of what it is.
    pub name: String,
    /// Its cells as text.
    pub cells: Vec<String>,
}

/// What the thread that asks brings.
enum Part {
    Line(Vec<u8>),
    Trouble(Trouble),
    End,
}

impl Influx {
    /// Asks once; hands over the answer piece by piece. Without an error it was whole.
    pub(super) fn ask(
        &self,
        statement: &str,
        take: &mut dyn FnMut(&Piece<'_>) -> Result<(), ExportError>,
    ) -> Result<(), Trouble> {
        let (asking, text) = (self.clone(), statement.to_owned());
        // Whoever takes no more has failed before.
        let incoming = Incoming::of(move |way| asking.stream(&text, way).unwrap_or_default());
        let incoming = incoming.map_err(|e| Trouble::Never(refused(&e)))?;
        let mut whole = false;
        loop {
            match self.wait(&incoming)? {
                Part::Line(line) => whole = answer(&line, take)?.unwrap_or(whole),
                Part::Trouble(trouble) => return Err(trouble),
                Part::End if whole => return Ok(()),
                Part::End => return Err(Trouble::Later("its answer ends early".to_owned())),
            }
        }
    }

    fn wait<T: Send + 'static>(&self, incoming: &Incoming<T>) -> Result<T, Trouble> {
        match incoming.next(Some(self.timeout), self.patient) {
            Ok(Some(part)) => Ok(part),
            Ok(None) => Err(Trouble::Never(
                "the thread that asks it panicked".to_owned(),
            )),
            Err(Waited::Interrupted) => Err(Trouble::Interrupted),
            Err(Waited::Long) => Err(Trouble::Later(format!(
                "it has said nothing for {} s; look what it is doing, or raise timeout",
                self.timeout.as_secs()
            ))),
        }
    }

    /// Asks, and passes on the lines of the answer.
    fn stream(&self, statement: &str, way: &SyncSender<Part>) -> Option<()> {
        let form = [
            ("q", statement),
            ("epoch", "ns"),
            ("chunked", "true"),
            ("chunk_size", PIECE_ROWS),
        ];
        let request = self
            .agent
            .post(format!("{}/query", self.url))
            .header(header::AUTHORIZATION, &self.credentials);
        let response = match request.send_form(form) {
            Ok(response) if response.status().as_u16() == 200 => response,
            Ok(response) => return way.send(Part::Trouble(self.refusal(response))).ok(),
            Err(e) => return way.send(Part::Trouble(failed(&e))).ok(),
        };
        let mut reader = BufReader::new(response.into_body().into_reader());
        loop {
            let mut line = Vec::new();
            let mut piece = reader.by_ref().take(MAX_INFLUXDB_PIECE);
            match piece.read_until(b'\n', &mut line) {
                Ok(0) => return way.send(Part::End).ok(),
                Ok(bytes) if bytes as u64 == MAX_INFLUXDB_PIECE => {
                    let what = "a piece of its answer has no end".to_owned();
                    return way.send(Part::Trouble(Trouble::Never(what))).ok();
                }
                Ok(_) => way.send(Part::Line(line)).ok()?,
                Err(e) => {
                    let what = format!("its answer breaks off ({e})");
                    return way.send(Part::Trouble(Trouble::Later(what))).ok();
                }
            }
        }
    }

    /// What an answer with another status than it should have means.
    fn refusal(&self, response: Response<Body>) -> Trouble {
        let status = response.status().as_u16();
        let said = reason(response);
        match status {
            401 if self.named => {
                Trouble::Never("it refuses username and password; correct them".to_owned())
            }
            401 => Trouble::Never(
                "it wants a user and a password; set username and password there".to_owned(),
            ),
            403 => Trouble::Never(format!(
                "the user {:?} is no admin, and sees some databases only ({said}): GRANT ALL PRIVILEGES TO it, or name another username",
                self.username
            )),
            500.. => Trouble::Later(format!("it answers {status} {said:?}")),
            _ => Trouble::Never(format!("it answers {status} {said:?}")),
        }
    }

    /// Does something that may be done again, until it is done or will not be.
    pub(super) fn again<T>(
        &self,
        mut work: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut pauses = PAUSES.iter().filter(|_| self.patient);
        loop {
            match (work(), pauses.next()) {
                (Err(Trouble::Later(_)), Some(length)) => {
                    pause(*length).map_err(|_| Trouble::Interrupted)?;
                }
                (done, _) => return done,
            }
        }
    }

    /// The rows of an answer that is short; the statement may be repeated.
    pub(super) fn rows(&self, statement: &str) -> Result<Vec<NamedRow>, PlatformError> {
        let rows = self.again(|| {
            let mut all = Vec::new();
            self.ask(statement, &mut |piece| {
                all.extend(piece.values.iter().map(|row| NamedRow {
                    name: piece.name.clone().into_owned(),
                    cells: row.iter().map(|cell| text(cell)).collect(),
                }));
                Ok(())
            })?;
            Ok(all)
        });
        rows.map_err(|trouble| self.plain(trouble))
    }

    /// The error for whoever takes nothing that could fail otherwise.
    pub(super) fn plain(&self, trouble: Trouble) -> PlatformError {
        match trouble.of(self) {
            ExportError::Platform(error) => error,
            other => self.error(other.to_string()),
        }
    }

    /// Writes points, as lines, into a database, and says why it does not take them all, if so. The same points may be written again.
    pub(super) fn write(
        &self,
        database: &str,
        lines: &Arc<[u8]>,
    ) -> Result<Result<(), String>, PlatformError> {
        let written = self.again(|| {
            let (asking, database, lines) = (self.clone(), database.to_owned(), lines.clone());
            let incoming = Incoming::of(move |way| {
                // Nobody waits for it any more after a signal.
                let _ = way.send(asking.post(&database, &lines));
            });
            let incoming = incoming.map_err(|e| Trouble::Never(refused(&e)))?;
            self.wait(&incoming)?
        });
        match written {
            Ok(()) => Ok(Ok(())),
            Err(Trouble::Statement(said)) => Ok(Err(said)),
            Err(trouble) => Err(self.plain(trouble)),
        }
    }

    fn post(&self, database: &str, lines: &[u8]) -> Result<(), Trouble> {
        let request = self
            .agent
            .post(format!("{}/write", self.url))
            .query("db", database)
            .query("precision", "ns")
            .header(header::AUTHORIZATION, &self.credentials);
        match request.send(lines) {
            Ok(response) => match response.status().as_u16() {
                204 => Ok(()),
                // Of which part of it may be taken.
                400 | 413 => Err(Trouble::Statement(reason(response))),
                _ => Err(self.refusal(response)),
            },
            Err(e) => Err(failed(&e)),
        }
    }
}

/// The reason that the server gives in an answer.
fn reason(response: Response<Body>) -> String {
    #[derive(Deserialize)]
    struct Reason {
        error: String,
    }
    let mut text = Vec::new();
    // What cannot be read is not told.
    let _ = response
        .into_body()
        .into_reader()
        .take(REASON)
        .read_to_end(&mut text);
    let said = serde_json::from_slice(&text).map_or_else(
        |_| String::from_utf8_lossy(&text).trim().to_owned(),
        |reason: Reason| reason.error,
    );
    said.chars().take(TOLD).collect()
}

/// A piece of an answer; whether it is the last one, unless it is empty.
fn answer(
    line: &[u8],
    take: &mut dyn FnMut(&Piece<'_>) -> Result<(), ExportError>,
) -> Result<Option<bool>, Trouble> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let answer: Answer<'_> = serde_json::from_slice(line)
        .map_err(|e| Trouble::Later(format!("it gives an unexpected answer ({e})")))?;
    let told = |error: &str| {
        let said: String = error.chars().take(TOLD).collect();
        Trouble::Statement(format!("it answers {said:?}"))
    };
    if let Some(error) = &answer.error {
        return Err(told(error));
    }
    let Some(outcome) = answer.results.first() else {
        return Err(Trouble::Later("it answers nothing".to_owned()));
    };
    if let Some(error) = &outcome.error {
        return Err(told(error));
    }
    outcome.series.iter().try_for_each(take)?;
    Ok(Some(!outcome.partial))
}

/// The text of a cell: of a string, what it says.
fn text(cell: &RawValue) -> String {
    serde_json::from_str(cell.get()).unwrap_or_else(|_| cell.get().to_owned())
}

fn failed(error: &ureq::Error) -> Trouble {
    let what = format!("{error}; check the address and that it runs");
    match error {
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Timeout(_) => {
            Trouble::Later(what)
        }
        _ => Trouble::Never(what),
    }
}
