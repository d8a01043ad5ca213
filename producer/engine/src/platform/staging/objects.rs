//! Attachments of users on their way into a bucket. An attachment that the bucket does not have comes to its place at once, where nobody asks
//! for it before its event is there; one that it has with other content comes aside. A note in the user's files names each before it is
//! sent, so that whatever happens, the next run puts them in place or removes them: those that this restore has sent, and no others.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read};
use std::path::Path;
use std::thread::{Builder, JoinHandle};

use sha2::{Digest, Sha256};

use super::object_note::{self, NoteLine, ObjectNote};
use crate::interrupt;
use crate::limits::{BLOCK, PIECE};
use crate::platform::s3::{AttachmentStore, IncomingObject, ObjectName, failed, number};
use crate::platform::write::RestoreError;
use crate::storage::{ObjectReader, StoreError, StoreErrorKind};

/// Attachments of a user that are sent at the same time, each of a block of bytes at most; larger ones are sent in parts, one after the other.
const AT_ONCE: usize = 8;

/// The attachments of a user on their way.
pub struct StagedObjects {
    store: AttachmentStore,
    /// Tells what is put here from what others put.
    mark: String,
    /// Those that are there, and have not come.
    there: BTreeSet<ObjectName>,
    /// The note, once there is one.
    note: Option<ObjectNote>,
    sending: VecDeque<(ObjectName, JoinHandle<Result<(), StoreError>>)>,
}

impl StagedObjects {
    /// Looks at what is there of a user.
    pub fn look(store: &AttachmentStore, user_id: &str) -> Result<Self, RestoreError> {
        Ok(Self {
            there: store.objects_of(user_id)?,
            store: store.clone(),
            mark: number()?,
            note: None,
            sending: VecDeque::new(),
        })
    }

    /// Whether there is anything of the user.
    pub fn has_some(&self) -> bool {
        !self.there.is_empty()
    }

    /// Whether there is nothing to be put in place or removed.
    pub fn is_empty(&self) -> bool {
        self.note.is_none()
    }

    /// Takes an attachment; `root` is the folder of the user's files aside.
    pub fn attachment(
        &mut self,
        root: &Path,
        name: ObjectName,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        if self.there.remove(&name) {
            return self.over(root, name, content);
        }
        let mut first = vec![0; BLOCK];
        let length = fill(content, &mut first)?;
        let mut object = self.store.put(&name, &self.mark)?;
        if length < BLOCK {
            self.write(root, &NoteLine::Sent(name.clone()))?;
            first.truncate(length);
            return self.send(name, move || {
                object.write(&first)?;
                object.finish()
            });
        }
        self.write(root, &NoteLine::SentInParts(name.clone()))?;
        let sent = object.write(&first);
        drop(first);
        let refused = |error| self.store.refused(error);
        sent.map_err(refused)?;
        each_piece(content, &mut |piece| {
            Ok(object.write(piece).map_err(refused)?)
        })?;
        let sent = object.finish();
        self.ended(&name, sent)
    }

    /// Sends on another thread, as far as there are any.
    fn send(
        &mut self,
        name: ObjectName,
        work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), RestoreError> {
        while self.sending.len() >= AT_ONCE {
            self.wait_for_one()?;
        }
        let begun = Builder::new().spawn(work);
        let begun = begun.map_err(|e| RestoreError::Conflict {
            what: crate::threads::refused(&e),
        })?;
        self.sending.push_back((name, begun));
        Ok(())
    }

    /// Waits for the one that was begun first.
    fn wait_for_one(&mut self) -> Result<(), RestoreError> {
        let Some((name, begun)) = self.sending.pop_front() else {
            return Ok(());
        };
        let sent = begun.join().map_err(|_| RestoreError::Conflict {
            what: format!(
                "the thread that sends {} has ended",
                self.store.place_of(&name)
            ),
        })?;
        self.ended(&name, sent)
    }

    fn ended(&self, name: &ObjectName, sent: Result<(), StoreError>) -> Result<(), RestoreError> {
        match sent {
            Err(error) if error.kind() == StoreErrorKind::Exists => {
                Err(RestoreError::AlreadyThere {
                    what: format!(
                        "{} has come meanwhile: does another restore run?",
                        self.store.place_of(name)
                    ),
                })
            }
            sent => Ok(sent.map_err(|error| self.store.refused(error))?),
        }
    }

    /// Takes an attachment that is there: the same one stays as it is.
    fn over(
        &mut self,
        root: &Path,
        name: ObjectName,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        let mut piece = vec![0; PIECE];
        let mut other = vec![0; PIECE];
        let (mut same, mut compared) = (0_u64, Sha256::new());
        // One that cannot be read is replaced.
        let mut there = self.store.reader(&name).unwrap_or_default();
        let length = loop {
            interrupt::check()?;
            let length = fill(content, &mut piece)?;
            let known = there.as_mut().map_or(Ok(0), |there| {
                let known = fill_some(there, &mut other);
                known.map_err(|e| of_reader(there, e))
            });
            match known {
                Ok(known) if there.is_some() && piece[..length] == other[..known] => {
                    if length == 0 {
                        return Ok(());
                    }
                    same += length as u64;
                    compared.update(&piece[..length]);
                }
                Err(error) if same > 0 => return Err(error),
                _ => break length,
            }
        };
        let number = number()?;
        self.write(root, &NoteLine::Aside(name.clone(), number.clone()))?;
        let refused = |error| self.store.refused(error);
        let mut object = self.store.put_aside(&number, &self.mark);
        if same > 0 {
            self.put_again(&name, &mut object, same, compared)?;
        }
        object.write(&piece[..length]).map_err(refused)?;
        each_piece(content, &mut |piece| {
            Ok(object.write(piece).map_err(refused)?)
        })?;
        Ok(object.finish().map_err(refused)?)
    }

    /// Puts aside what an attachment that is there begins with, as it was when it was compared.
    fn put_again(
        &self,
        name: &ObjectName,
        object: &mut IncomingObject,
        mut left: u64,
        compared: Sha256,
    ) -> Result<(), RestoreError> {
        let refused = |error| self.store.refused(error);
        let mut there = self.store.reader(name).map_err(refused)?;
        let (mut read, mut piece) = (Sha256::new(), vec![0; PIECE]);
        while let Some(there) = there.as_mut().filter(|_| left > 0) {
            interrupt::check()?;
            let most = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
            let length = fill_some(there, &mut piece[..most]).map_err(|e| of_reader(there, e))?;
            if length == 0 {
                break;
            }
            left -= length as u64;
            read.update(&piece[..length]);
            object.write(&piece[..length]).map_err(refused)?;
        }
        match read.finalize() == compared.finalize() {
            true => Ok(()),
            false => Err(RestoreError::Conflict {
                what: format!(
                    "{} was changed or removed while it was read: does somebody else write there?",
                    self.store.place_of(name)
                ),
            }),
        }
    }

    /// All have come: those that were there and are not among them go when the user is restored.
    pub fn finish(&mut self, root: &Path) -> Result<(), RestoreError> {
        while !self.sending.is_empty() {
            self.wait_for_one()?;
        }
        for name in std::mem::take(&mut self.there) {
            self.write(root, &NoteLine::Old(name))?;
        }
        self.note.as_mut().map_or(Ok(()), ObjectNote::end)
    }

    /// Notes what is about to be sent, or to go.
    fn write(&mut self, root: &Path, line: &NoteLine) -> Result<(), RestoreError> {
        match &mut self.note {
            Some(note) => note.write(line),
            none => none
                .insert(ObjectNote::begin(root, &self.store, &self.mark)?)
                .write(line),
        }
    }
}

impl Drop for StagedObjects {
    /// Whoever removes what was sent has to know that nothing more comes.
    fn drop(&mut self) {
        for (_, begun) in self.sending.drain(..) {
            let _ = begun.join();
        }
    }
}

/// Puts in place what a note of a user who is restored names, and removes what is old. Can be done again and again.
pub fn place(root: &Path, store: Option<&AttachmentStore>) -> Result<(), RestoreError> {
    let Some((store, noted)) = object_note::read(root, store)? else {
        return Ok(());
    };
    for (name, number) in &noted.aside {
        if !store.place_aside(number, name, &noted.mark)? {
            return Err(RestoreError::Conflict {
                what: format!(
                    "the new content of {}, which lay aside in the bucket, is not there any more: remove {}, then restore this user again, \
                     in place of what is there",
                    store.place_of(name),
                    object_note::path(root).display()
                ),
            });
        }
    }
    Ok(store.remove(&noted.old)?)
}

/// Removes what was sent of a user who is not restored, and nothing that somebody else has put in the same places.
pub fn clear(root: &Path, store: Option<&AttachmentStore>) -> Result<(), RestoreError> {
    let Some((store, noted)) = object_note::read(root, store)? else {
        return Ok(());
    };
    for (_, number) in &noted.aside {
        store.remove_aside(number)?;
    }
    for name in &noted.in_parts {
        store.give_up(name)?;
    }
    let sent: Vec<ObjectName> = noted.sent.union(&noted.in_parts).cloned().collect();
    store.remove_marked(&sent, &noted.mark)?;
    object_note::remove(root)
}

/// Hands over the rest of an attachment of an archive, piece by piece; a signal ends it.
fn each_piece(
    content: &mut dyn Read,
    take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let mut piece = vec![0; PIECE];
    loop {
        interrupt::check()?;
        match fill(content, &mut piece)? {
            0 => return Ok(()),
            length => take(&piece[..length])?,
        }
    }
}

/// Reads of an attachment of an archive until a piece is full or nothing more comes.
fn fill(content: &mut dyn Read, piece: &mut [u8]) -> Result<usize, RestoreError> {
    fill_some(content, piece).map_err(|e| {
        let said = e.to_string();
        e.downcast().map_or_else(
            |_| RestoreError::Record {
                collection: "attachments",
                what: said,
            },
            RestoreError::Archive,
        )
    })
}

fn fill_some(content: &mut dyn Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < piece.len() {
        match content.read(&mut piece[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

/// Why an object cannot be read.
fn of_reader(object: &ObjectReader, error: io::Error) -> RestoreError {
    match object.failure() {
        Some(error) => failed(error.clone()).into(),
        None => RestoreError::Conflict {
            what: error.to_string(),
        },
    }
}
