//! rqlite's own backup, and what puts it back.

use super::{QUERY, Rqlite};
use crate::config::rqlite_address as address;
use crate::limits::PIECE;
use crate::platform::PlatformError;
use crate::platform::waiting::{Incoming, Waited};
use crate::threads::refused;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use ureq::Body;
use ureq::http::{Response, header};

/// How long the server may say nothing.
const SILENCE: Duration = Duration::from_secs(120);
const REDIRECTS: usize = 5;
/// Bytes of an answer that are read to say why it refuses, and characters of it that are told.
const REASON: u64 = 64 * 1024;
const TOLD: usize = 200;
/// What a SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// What a core says of itself when it is started the first time.
const OF_CORES: &str = "core-info/";

impl Rqlite {
    /// The server's version, as it tells it.
    ///
    /// # Errors
    /// When it does not answer, or does not tell.
    pub fn version(&self) -> Result<String, PlatformError> {
        let server = self.clone();
        let status = self.in_time(move || {
            let mut answer = server.get("/status")?;
            let text = answer.body_mut().read_to_vec();
            text.map_err(|e| server.error(&e.to_string()))
        })?;
        let status: Value = serde_json::from_slice(&status)
            .map_err(|e| self.error(&format!("it gives an unexpected answer: {e}")))?;
        let version = status["build"]["version"].as_str();
        let version = version.map(|version| version.trim_start_matches('v').to_owned());
        version.ok_or_else(|| self.error("it does not tell its version"))
    }

    /// Whether it holds more than a platform that was only started.
    ///
    /// # Errors
    /// When it does not answer, or has no leader.
    pub fn holds_entries(&self) -> Result<bool, PlatformError> {
        if !self.has_table()? {
            return Ok(false);
        }
        let sql = "SELECT key, '' FROM keyValue WHERE substr(key, 1, length(?)) <> ? LIMIT 1";
        let rows = self.call(QUERY, &serde_json::json!([[sql, OF_CORES, OF_CORES]]))?;
        Ok(!rows.is_empty())
    }

    /// Hands over its database as a SQLite file, piece by piece.
    ///
    /// # Errors
    /// When the server does not answer, or not to the end; or when `take` fails.
    pub fn backup<E: From<PlatformError>>(
        &self,
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let server = self.clone();
        let incoming = Incoming::of(move |way| {
            let failed =
                |e: &dyn std::fmt::Display| server.error(&format!("its backup ended early: {e}"));
            let mut body = match server.get("/db/backup") {
                Ok(answer) => answer.into_body().into_reader(),
                Err(error) => return drop(way.send(Err(error))),
            };
            loop {
                let mut piece = Vec::new();
                let read = body.by_ref().take(PIECE as u64).read_to_end(&mut piece);
                let read = read.map(|_| piece).map_err(|e| failed(&e));
                let ends = read.as_ref().is_ok_and(Vec::is_empty);
                let fails = read.is_err();
                // Nobody waits for it any more after a signal.
                if way.send(read).is_err() || ends || fails {
                    return;
                }
            }
        });
        let incoming = incoming.map_err(|e| self.error(&refused(&e)))?;
        let (mut first, mut bytes, mut due) = (true, 0, None);
        loop {
            let piece = match incoming.next(Some(SILENCE), true) {
                Ok(Some(piece)) => piece?,
                Ok(None) => return Err(self.error("the thread that asks it panicked").into()),
                Err(waited) => return Err(self.waited(&waited).into()),
            };
            if first && !piece.starts_with(MAGIC) {
                return Err(self.error("its backup is no SQLite file").into());
            }
            if piece.is_empty() {
                // A server that fails in the middle ends its answer as if that were all.
                return match due.is_none_or(|due| due == bytes) {
                    true => Ok(()),
                    false => Err(self.error("its backup ended early").into()),
                };
            }
            if first {
                due = size_of(&piece);
            }
            first = false;
            bytes += piece.len() as u64;
            take(&piece)?;
        }
    }

    /// Replaces its database by a SQLite file.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn load(&self, file: File) -> Result<(), PlatformError> {
        let server = self.clone();
        let bytes = file.metadata().map_or(0, |about| about.len());
        self.in_time(move || {
            let mut request = server
                .patient
                .post(format!("{}/db/load", server.url))
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, bytes);
            if let Some(credentials) = &server.credentials {
                request = request.header(header::AUTHORIZATION, credentials);
            }
            let answer = request.send(&file);
            let answer = answer.map_err(|e| server.error(&format!("{e}; check that it runs")))?;
            match answer.status().as_u16() {
                200 => Ok(()),
                _ => Err(server.refusal(answer)),
            }
        })
    }

    /// Asks, wherever the leader is.
    fn get(&self, endpoint: &str) -> Result<Response<Body>, PlatformError> {
        let mut target = format!("{}{endpoint}", self.url);
        for _ in 0..=REDIRECTS {
            let mut request = self.patient.get(&target);
            if let Some(credentials) = &self.credentials
                && (target.starts_with("https:") || !self.url.starts_with("https:"))
            {
                request = request.header(header::AUTHORIZATION, credentials);
            }
            let failed = |e| self.error(&format!("{e}; check the address and that it runs"));
            let answer = request.call().map_err(failed)?;
            let place = answer.headers().get(header::LOCATION);
            let place = place.and_then(|place| place.to_str().ok());
            match (answer.status().as_u16(), place) {
                (200, _) => return Ok(answer),
                (301 | 302 | 307 | 308, Some(place)) => {
                    let next = address::follow(&target, place).filter(|next| {
                        !self.url.starts_with("https:") || next.starts_with("https:")
                    });
                    target = next.ok_or_else(|| {
                        self.error("it redirects to where nothing may be sent; check its leader")
                    })?;
                }
                _ => return Err(self.refusal(answer)),
            }
        }
        Err(self.error("its nodes redirect to one another; check its leader"))
    }

    fn refusal(&self, answer: Response<Body>) -> PlatformError {
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        // What cannot be read is not told.
        let _ = answer
            .into_body()
            .into_reader()
            .take(REASON)
            .read_to_end(&mut text);
        let text: String = String::from_utf8_lossy(&text).chars().take(TOLD).collect();
        self.error(&format!("it answers {status} {:?}", text.trim()))
    }

    /// Does what takes its time on a thread of its own: whoever interrupts the run does not wait for it.
    fn in_time<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PlatformError> + Send + 'static,
    ) -> Result<T, PlatformError> {
        let incoming = Incoming::of(move |way| drop(way.send(work())));
        let incoming = incoming.map_err(|e| self.error(&refused(&e)))?;
        match incoming.next(None, true) {
            Ok(Some(done)) => done,
            Ok(None) => Err(self.error("the thread that asks it panicked")),
            Err(waited) => Err(self.waited(&waited)),
        }
    }

    fn waited(&self, waited: &Waited) -> PlatformError {
        match waited {
            Waited::Interrupted => PlatformError::Interrupted,
            Waited::Long => self.error("it says nothing any more"),
        }
    }
}
/// The bytes that a SQLite file has, as its header says (sqlite.org/fileformat.html, 1.3); none where what wrote it last keeps no such number.
fn size_of(header: &[u8]) -> Option<u64> {
    let number = |at: usize| -> Option<u32> {
        let bytes = header.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let page = match header.get(16..18)? {
        [0, 1] => 65_536,
        size => u64::from(u16::from_be_bytes(size.try_into().ok()?)),
    };
    let is_kept = number(24)? == number(92)?;
    let pages = number(28).filter(|pages| is_kept && *pages > 0)?;
    Some(u64::from(pages) * page)
}

#[cfg(test)]
mod tests {
    use super::size_of;

    #[test]
    fn a_database_says_how_long_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let database = rusqlite::Connection::open(file.path()).unwrap();
        database
            .execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(100000))")
            .unwrap();
        drop(database);
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(size_of(&bytes[..100]), Some(bytes.len() as u64));
        assert_eq!(size_of(&bytes[..50]), None);
        assert_eq!(size_of(&[0; 100]), None);
    }
}
