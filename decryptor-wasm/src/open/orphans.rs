//! Finds attachments that no event of the state of a chain lists any longer: the runs still have their files.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::value::RawValue;

use super::OpenedArchive;
use crate::{
    Code, Error, ErrorKind, Result,
    integrity::Record,
    jsonl::{Line, LineSplitter},
    layout::PathKind,
};

/// The search for attachments of events that are gone. For each file that [`Orphans::next_file`] names, pass its content to
/// [`Orphans::push`] and call [`Orphans::end`]; then [`OpenedArchive::drop_orphans`]. It finds none in an archive by itself.
pub struct Orphans {
    /// Last first.
    users: Vec<User>,
    now: Option<User>,
    lines: LineSplitter,
    gone: BTreeSet<String>,
}

/// A user of whom events were changed.
#[derive(Default)]
struct User {
    id: String,
    /// The files of events that are not read yet.
    events: Vec<String>,
    /// The paths of all attachments, by their ids.
    attachments: BTreeMap<String, String>,
    /// The ids of those that events list.
    listed: BTreeSet<String>,
}

impl Orphans {
    /// Nothing is read yet.
    pub fn new(archive: &OpenedArchive) -> Self {
        let mut users: Vec<User> = Vec::new();
        let files = archive
            .plan
            .files
            .iter()
            .filter(|_| archive.chain.is_some());
        // They are in the order of their paths: those of a user follow each other.
        for file in files {
            let Some(user_id) = file.user() else {
                continue;
            };
            if users.last().is_none_or(|last| last.id != user_id) {
                users.push(User {
                    id: user_id.to_owned(),
                    ..User::default()
                });
            }
            let Some(user) = users.last_mut() else {
                continue;
            };
            let mut parts = file.path.split('/').skip(2);
            match (PathKind::of(&file.path), parts.next()) {
                (PathKind::Attachment { .. }, ..) => {
                    let (id, path) = (id(&file.path).to_owned(), file.path.clone());
                    user.attachments.insert(id, path);
                }
                (PathKind::UserRecords { .. }, Some("events")) => {
                    user.events.push(file.path.clone());
                }
                _ => {}
            }
        }
        if let Some(chain) = &archive.chain {
            let wanted = |user: &User| {
                !user.attachments.is_empty() && chain.changes.passes(&user.id, "events") > 0
            };
            users.retain(wanted);
        }
        users.reverse();
        Orphans {
            users,
            now: None,
            lines: LineSplitter::default(),
            gone: BTreeSet::new(),
        }
    }

    /// The file of the state to read next.
    pub fn next_file(&mut self) -> Option<String> {
        loop {
            if let Some(user) = &mut self.now {
                if let Some(path) = user.events.pop() {
                    self.lines = LineSplitter::default();
                    return Some(path);
                }
                for (id, path) in std::mem::take(&mut user.attachments) {
                    if !user.listed.contains(&id) {
                        self.gone.insert(path);
                    }
                }
            }
            self.now = Some(self.users.pop()?);
        }
    }

    /// The next bytes of that file.
    ///
    /// # Errors
    /// When the attachments of an event cannot be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(user) = &mut self.now else {
            return Ok(());
        };
        self.lines.push(bytes, &mut |line| user.lists(line))
    }

    /// The end of that file, which was whole.
    ///
    /// # Errors
    /// See [`Orphans::push`].
    pub fn end(&mut self) -> Result<()> {
        let Some(user) = &mut self.now else {
            return Ok(());
        };
        self.lines.finish(&mut |line| user.lists(line)).map(drop)
    }

    /// That file cannot be read. Damage is reported when the records are read; until then nobody knows which attachments they list.
    ///
    /// # Errors
    /// The error, when it is another.
    pub fn failed(&mut self, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::Damaged => {
                self.now = None;
                Ok(())
            }
            _ => Err(error),
        }
    }
}

impl User {
    /// An event lists these attachments.
    fn lists(&mut self, line: Line<'_>) -> Result<()> {
        for id in listed(line.text).map_err(|why| line.unreadable(&why))? {
            if self.attachments.contains_key(id.as_ref()) {
                self.listed.insert(id.into_owned());
            }
        }
        Ok(())
    }
}

impl OpenedArchive {
    /// Leaves out the attachments that were found; whether there were any.
    pub fn drop_orphans(&mut self, orphans: &Orphans) -> bool {
        let gone = &orphans.gone;
        self.plan.files.retain(|file| !gone.contains(&file.path));
        !gone.is_empty()
    }
}

/// The id of an attachment, by its path.
fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The ids of the attachments that an event lists.
fn listed(line: &[u8]) -> Result<Vec<Cow<'_, str>>> {
    const NAME: &[u8] = b"\"attachments\"";
    // Most lines have no byte pair to look at twice.
    let is_name = |part: &[u8]| part[1] == b'a' && part[2] == b't' && part == NAME;
    if !line.windows(NAME.len()).any(is_name) {
        return Ok(Vec::new());
    }
    let wrong = |why: &dyn std::fmt::Display| Error::of(Code::AttachmentsUnreadable).because(why);
    let event = Record::parse(line)?;
    let Some(list) = event.get("attachments").filter(|list| *list != "null") else {
        return Ok(Vec::new());
    };
    let list: Vec<&RawValue> = serde_json::from_slice(list.as_bytes()).map_err(|e| wrong(&e))?;
    let mut ids = Vec::new();
    for attachment in list {
        let attachment = Record::parse(attachment.get().as_bytes())?;
        let id = attachment.string("id");
        ids.push(id.ok_or_else(|| wrong(&"one has no id"))?);
    }
    Ok(ids)
}
