//! Which ids there are, in a few bytes each.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use decryptor_wasm::plan::PlannedFile;

/// A set of ids as sorted numbers. Nobody can make ids whose numbers meet: the key is new each time.
#[derive(Default)]
pub struct Ids {
    key: RandomState,
    numbers: Vec<u64>,
}

impl Ids {
    /// The number that stands for an id.
    pub fn number(&self, id: &str) -> u64 {
        self.key.hash_one(id)
    }

    /// Adds an id.
    pub fn add(&mut self, id: &str) {
        self.numbers.push(self.number(id));
    }

    /// To be called when all are added.
    pub fn sort(&mut self) {
        self.numbers.sort_unstable();
        self.numbers.dedup();
    }

    /// Whether an id with that number is among them.
    pub fn holds(&self, number: u64) -> bool {
        self.numbers.binary_search(&number).is_ok()
    }
}

/// Size and digest of an attachment.
pub struct AttachmentContent {
    /// Bytes.
    pub size: u64,
    /// Their digest.
    pub sha256: [u8; 32],
}

/// An attachment that lies in the archive.
pub struct StoredAttachment {
    number: u64,
    /// Of its file, in the plan.
    place: usize,
    listed: AtomicBool,
    content: OnceLock<AttachmentContent>,
}

/// The attachments of a user, by their ids.
#[derive(Default)]
pub struct StoredAttachments {
    key: RandomState,
    all: Vec<StoredAttachment>,
}

impl StoredAttachments {
    /// Those among `files`, which come with their places in the plan.
    pub fn of(files: impl Iterator<Item = (usize, PlannedFile)>) -> Self {
        let key = RandomState::new();
        let mut all: Vec<StoredAttachment> = files
            .map(|(place, file)| StoredAttachment {
                number: key.hash_one(id(&file)),
                place,
                listed: AtomicBool::new(false),
                content: OnceLock::new(),
            })
            .collect();
        all.sort_unstable_by_key(|attachment| attachment.number);
        StoredAttachments { key, all }
    }

    /// The one with that id.
    pub fn get(&self, id: &str) -> Option<&StoredAttachment> {
        let number = self.key.hash_one(id);
        let at = self.all.binary_search_by_key(&number, |a| a.number).ok()?;
        self.all.get(at)
    }

    /// The places of those that no event lists.
    pub fn unlisted(&self) -> impl Iterator<Item = usize> {
        let unlisted = |a: &&StoredAttachment| !a.listed.load(Ordering::Relaxed);
        self.all.iter().filter(unlisted).map(|a| a.place)
    }
}

impl StoredAttachment {
    /// An event lists it.
    pub fn list(&self) {
        self.listed.store(true, Ordering::Relaxed);
    }

    /// It was read.
    pub fn read(&self, content: AttachmentContent) {
        // A file is read once.
        let _ = self.content.set(content);
    }

    /// Size and digest, if it could be read.
    pub fn content(&self) -> Option<&AttachmentContent> {
        self.content.get()
    }
}

/// The id of an attachment, which is its file's name.
pub fn id(file: &PlannedFile) -> &str {
    file.path.rsplit('/').next().unwrap_or_default()
}
