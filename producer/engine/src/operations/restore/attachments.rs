//! Attachments: which event lists which, and whether each is what its event says.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use decryptor_wasm::integrity as hashes;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{integrity::note_stale, report::Integrity};
use crate::{platform::write::RestoreError, progress::Tally};

/// Attachments that the events of a user list, by the id of the file.
#[derive(Default)]
pub struct Attachments(HashMap<String, Vec<ListedAttachment>>);

/// An attachment as an event lists it.
pub struct ListedAttachment {
    /// The event, or the one that it is a version of: its folder is where the file lies.
    pub event_id: String,
    size: Option<u64>,
    integrity: Option<String>,
    /// The event is deleted, or a version: its file may be gone.
    optional: bool,
}

impl Attachments {
    /// Notes what an event lists.
    pub fn note(&mut self, line: &[u8]) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Event {
            id: String,
            #[serde(default)]
            head_id: Option<String>,
            #[serde(default)]
            deleted: Option<f64>,
            #[serde(default)]
            attachments: Option<Vec<File>>,
        }
        #[derive(Deserialize)]
        struct File {
            id: String,
            #[serde(default)]
            size: Option<serde_json::Value>,
            #[serde(default)]
            integrity: Option<String>,
        }
        const KEY: &[u8] = b"\"attachments\"";
        if memchr::memmem::find(line, KEY).is_none() {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(line).map_err(|e| RestoreError::Record {
            collection: "events",
            what: format!("the attachments of an event cannot be read: {e}"),
        })?;
        let optional = event.head_id.is_some() || event.deleted.is_some();
        let event_id = event.head_id.unwrap_or(event.id);
        for file in event.attachments.into_iter().flatten() {
            self.0.entry(file.id).or_default().push(ListedAttachment {
                event_id: event_id.clone(),
                size: file.size.and_then(|size| size.as_u64()),
                integrity: file.integrity,
                optional,
            });
        }
        Ok(())
    }

    /// The events to which a file belongs, each once; none when nobody lists it.
    pub fn take(&mut self, id: &str) -> Option<Vec<ListedAttachment>> {
        let mut listed = self.0.remove(id)?;
        // A version repeats what its event lists or listed.
        if listed.iter().any(|one| !one.optional) {
            listed.retain(|one| !one.optional);
        }
        let mut given: Vec<String> = Vec::new();
        listed.retain(|one| {
            let first = !given.contains(&one.event_id);
            given.push(one.event_id.clone());
            first
        });
        Some(listed)
    }

    /// Attachments that were not taken and should have been there: file and event.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(id, listed)| {
            let one = listed.iter().find(|one| !one.optional)?;
            Some((id.as_str(), one.event_id.as_str()))
        })
    }
}

/// An attachment on its way, looked at as it passes.
pub struct Digested<'a, R> {
    content: R,
    digest: Option<Sha256>,
    size: u64,
    tally: &'a Tally,
}

impl<'a, R> Digested<'a, R> {
    /// Not yet read; `verify` says whether it will be checked.
    pub fn new(content: R, verify: bool, tally: &'a Tally) -> Self {
        Self {
            content,
            digest: verify.then(Sha256::new),
            size: 0,
            tally,
        }
    }

    /// The sentence for when there were other bytes than a live event says.
    pub fn other_size(&self, id: &str, listed: &ListedAttachment) -> Option<String> {
        let due = listed
            .size
            .filter(|size| *size != self.size && !listed.optional)?;
        Some(format!(
            "attachment {id} of event {} has {} bytes, and its event says {due}; it was restored as it is",
            listed.event_id, self.size
        ))
    }

    /// Compares what has passed with what the event says, and counts. `proven` says that the inventory shows it to be as it was
    /// backed up.
    pub fn check_hash(
        self,
        id: &str,
        listed: &ListedAttachment,
        proven: bool,
        seen: &mut Integrity,
    ) -> Result<(), RestoreError> {
        let Some(digest) = self.digest else {
            return Ok(());
        };
        let hash = hashes::attachment(&digest.finalize().into());
        let stored = listed.integrity.as_deref();
        let wrong = match (listed.size, stored) {
            (Some(size), _) if size != self.size => {
                format!("has {} bytes, and its event says {size}", self.size)
            }
            (_, Some(stored)) if stored.starts_with("sha256-") && stored != hash => {
                format!("does not match its hash {stored}")
            }
            (_, Some(stored)) if stored == hash => {
                seen.matching += 1;
                return Ok(());
            }
            _ => {
                seen.unhashed += 1;
                return Ok(());
            }
        };
        if proven {
            note_stale(seen, id.to_owned());
            return Ok(());
        }
        Err(RestoreError::Record {
            collection: "attachments",
            what: format!("{id} of event {} {wrong}", listed.event_id),
        })
    }
}

impl<R: Read> Read for Digested<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read(into)?;
        if let Some(digest) = &mut self.digest {
            digest.update(&into[..n]);
        }
        self.size += n as u64;
        self.tally.add(0, n as u64);
        Ok(n)
    }
}
