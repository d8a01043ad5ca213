//! One collection of one user in two archives. What is held in memory is two numbers a record, for at most so many records.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use decryptor_wasm::{Error, Result, layout::PathKind, plan::PlannedFile};

use super::record::{ComparedRecord, records};
use crate::{archive::read::Archive, interrupt};

/// Records of which the numbers are held at once; of more, the files are read several times.
const AT_ONCE: u64 = 4_000_000;

/// How a record differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only the newer archive has it.
    Added,
    /// Both have it, with other content.
    Changed,
    /// Only the older archive has it.
    Removed,
}

/// A collection in an archive.
pub struct CollectionSource<'a> {
    /// The archive.
    pub archive: &'a Archive,
    /// The user id; empty for what belongs to no user.
    pub user: &'a str,
    /// The collection.
    pub collection: &'a str,
}

/// User id and collection of a file that holds records or is an attachment.
pub fn place(path: &str) -> Option<(String, String)> {
    let stem = |name: &str| {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        name.strip_suffix(".jsonl").unwrap_or(name).to_owned()
    };
    match PathKind::of(path) {
        PathKind::UserRecords { user } => Some((user, stem(path.split('/').nth(2)?))),
        PathKind::Attachment { user } => Some((user, "attachments".to_owned())),
        PathKind::SharedRecords => Some((String::new(), stem(path))),
        _ => None,
    }
}

impl CollectionSource<'_> {
    fn files(&self) -> impl Iterator<Item = PlannedFile> {
        let files = self.archive.files();
        let places = match self.user.is_empty() {
            true => 0..files.len(),
            false => files.of_user(self.user),
        };
        files.within(places).filter(|file| {
            place(&file.path)
                .is_some_and(|(user, kind)| user == self.user && kind == self.collection)
        })
    }

    fn count(&self) -> u64 {
        let listed = |file: &PlannedFile| file.expected.as_ref()?.records;
        // Without an inventory: a record has seldom fewer bytes than this when compressed.
        self.files()
            .map(|file| listed(&file).unwrap_or(file.size / 16))
            .sum()
    }

    /// Hands over what there is, piece by piece.
    fn each(&self, take: &mut dyn FnMut(ComparedRecord<'_>)) -> Result<()> {
        for file in self.files() {
            if self.collection == "attachments" {
                self.attachment(&file, take)?;
                continue;
            }
            self.archive.lines(&file, false, &mut |line| {
                records(self.collection, line.text, take).map_err(Error::damaged)
            })?;
        }
        Ok(())
    }

    /// The inventory knows the digest of an attachment; otherwise it is read.
    fn attachment(
        &self,
        file: &PlannedFile,
        take: &mut dyn FnMut(ComparedRecord<'_>),
    ) -> Result<()> {
        let id = file.path.rsplit('/').next().unwrap_or_default();
        let expected = file.expected.as_ref();
        let listed = expected.and_then(|expected| expected.content_digest());
        let digest = match listed {
            Some(digest) => crate::text::hex(&digest),
            None => {
                use sha2::Digest;
                let mut digest = sha2::Sha256::new();
                self.archive.stream(file, false, false, &mut |piece| {
                    digest.update(piece);
                    interrupt::check()
                })?;
                crate::text::hex(&digest.finalize())
            }
        };
        take(ComparedRecord::of(id, digest.as_bytes()));
        Ok(())
    }
}

/// Two sources, beside each other.
pub struct Compare<'a> {
    old: CollectionSource<'a>,
    new: CollectionSource<'a>,
    /// Nobody can make records whose numbers meet: the key is new each time.
    key: RandomState,
}

impl<'a> Compare<'a> {
    /// Not yet compared.
    pub fn new(old: CollectionSource<'a>, new: CollectionSource<'a>) -> Self {
        Self {
            old,
            new,
            key: RandomState::new(),
        }
    }

    /// Names every change.
    pub fn run(&self, found: &mut dyn FnMut(Change, &str)) -> Result<()> {
        let passes = self
            .old
            .count()
            .max(self.new.count())
            .div_ceil(AT_ONCE)
            .max(1);
        for pass in 0..passes {
            self.pass(pass, passes, found)?;
        }
        Ok(())
    }

    fn pass(&self, pass: u64, passes: u64, found: &mut dyn FnMut(Change, &str)) -> Result<()> {
        let number = |id: &str| Some(self.key.hash_one(id)).filter(|n| n % passes == pass);
        let mut old: HashMap<u64, u64> = HashMap::new();
        self.old.each(&mut |record| {
            if let Some(id) = number(&record.id) {
                old.insert(id, record.digest(&self.key));
            }
        })?;
        self.new.each(&mut |record| {
            let Some(id) = number(&record.id) else {
                return;
            };
            match old.remove(&id) {
                None => found(Change::Added, &record.id),
                Some(digest) if digest != record.digest(&self.key) => {
                    found(Change::Changed, &record.id);
                }
                Some(_) => {}
            }
        })?;
        if old.is_empty() {
            return Ok(());
        }
        // Records that are left were not met again; only the archive knows their names.
        self.old.each(&mut |record| {
            let left = number(&record.id).and_then(|id| old.remove(&id));
            if left.is_some() {
                found(Change::Removed, &record.id);
            }
        })
    }
}
