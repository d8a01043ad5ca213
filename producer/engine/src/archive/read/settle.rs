//! Which attachments belong to the state of a chain: those that its events list.

use std::{borrow::Cow, collections::HashSet};

use decryptor_wasm::{Error, ErrorKind, Result, layout::PathKind, plan::PlannedFile};
use serde::Deserialize;

use super::Archive;

impl Archive {
    /// Leaves out attachments of events that are gone: the state of a chain still has their files. An archive that is no such state
    /// is left as it is.
    pub fn settle(&mut self) -> Result<()> {
        let Some(chain) = &self.chain else {
            return Ok(());
        };
        let users = self.plan.users.iter().map(|user| user.user_id.as_str());
        let mut gone: HashSet<String> = HashSet::new();
        for user in users.filter(|user| chain.changed(user, "events")) {
            let files = self.files_of(user);
            let attachments: Vec<&PlannedFile> = files
                .iter()
                .filter(|file| matches!(PathKind::of(&file.path), PathKind::Attachment { .. }))
                .collect();
            if attachments.is_empty() {
                continue;
            }
            let mut unlisted: HashSet<&str> = attachments.iter().map(|file| id(file)).collect();
            let mut events = files.iter().filter(|file| is_events(file));
            let read = events.try_for_each(|file| {
                self.lines::<Error>(file, false, &mut |line| {
                    for id in listed(line.text)? {
                        unlisted.remove(id.as_ref());
                    }
                    Ok(())
                })
                .map(drop)
            });
            match read {
                Ok(()) => {}
                // Whoever reads the records will say so; which attachments they list, nobody knows.
                Err(error) if error.kind() == ErrorKind::Damaged => continue,
                Err(error) => return Err(error),
            }
            let unlisted = attachments
                .iter()
                .filter(|file| unlisted.contains(id(file)));
            gone.extend(unlisted.map(|file| file.path.clone()));
        }
        self.plan.files.retain(|file| !gone.contains(&file.path));
        Ok(())
    }
}

fn id(file: &PlannedFile) -> &str {
    file.path.rsplit('/').next().unwrap_or_default()
}

fn is_events(file: &PlannedFile) -> bool {
    file.jsonl && file.path.split('/').nth(2) == Some("events")
}

/// The ids of the attachments that an event lists.
fn listed(line: &[u8]) -> Result<Vec<Cow<'_, str>>> {
    #[derive(Deserialize)]
    struct Event<'e> {
        #[serde(borrow, default)]
        attachments: Option<Vec<Attachment<'e>>>,
    }
    #[derive(Deserialize)]
    struct Attachment<'e> {
        #[serde(borrow)]
        id: Cow<'e, str>,
    }
    if memchr::memmem::find(line, b"\"attachments\"").is_none() {
        return Ok(Vec::new());
    }
    let event: Event<'_> = serde_json::from_slice(line)
        .map_err(|e| Error::damaged(format!("the attachments of an event cannot be read ({e})")))?;
    let all = event.attachments.into_iter().flatten();
    Ok(all.map(|attachment| attachment.id).collect())
}
