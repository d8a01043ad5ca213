//! The files to read, in few bytes.

use std::{ops::Range, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::Expected;
use crate::{Result, integrity::Record, layout::PathKind, listing::FileList, manifest::Entries};

/// A file to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// From the archive's root.
    pub path: String,
    /// The content is JSON lines.
    pub jsonl: bool,
    /// The content is gzip.
    pub gzip: bool,
    /// The file is a sealed container.
    pub encrypted: bool,
    /// Stored bytes, as the host listed it.
    pub size: u64,
    /// Its entry in the inventory.
    pub expected: Option<Expected>,
}

impl PlannedFile {
    /// Reads what was written as JSON.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let written = Record::parse(json)?;
        let is = |name: &str| written.get(name) == Some("true");
        let expected = written.get("expected");
        Ok(PlannedFile {
            path: written.text("path").unwrap_or_default(),
            jsonl: is("jsonl"),
            gzip: is("gzip"),
            encrypted: is("encrypted"),
            size: written.number("size").unwrap_or_default(),
            expected: match expected {
                Some(entry) => Some(Expected::parse(entry.as_bytes())?),
                None => None,
            },
        })
    }

    /// The path that it is written to; `gunzip`: inflated, without its `.gz`.
    pub fn output_name(&self, gunzip: bool) -> &str {
        let plain = self
            .path
            .strip_suffix(".gz")
            .filter(|_| gunzip && self.gzip);
        plain.unwrap_or(&self.path)
    }

    /// The user whose folder it is in.
    pub fn user(&self) -> Option<&str> {
        user_of(&self.path)
    }
}

/// The user whose folder a path is in.
fn user_of(path: &str) -> Option<&str> {
    let (user, _) = path.strip_prefix("users/")?.split_once('/')?;
    Some(user)
}

impl Serialize for PlannedFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut file = serializer.serialize_struct("PlannedFile", 7)?;
        file.serialize_field("path", &self.path)?;
        file.serialize_field("user", &self.user())?;
        file.serialize_field("jsonl", &self.jsonl)?;
        file.serialize_field("gzip", &self.gzip)?;
        file.serialize_field("encrypted", &self.encrypted)?;
        file.serialize_field("size", &self.size)?;
        file.serialize_field("expected", &self.expected)?;
        file.end()
    }
}

/// Files of a listing, in the order of their paths: there is a [`PlannedFile`] of each when it is asked for.
#[derive(Debug, Clone, Default)]
pub struct PlannedFiles {
    listing: Arc<FileList>,
    entries: Arc<Entries>,
    encrypted: bool,
    /// Places in `listing` and in `entries`.
    items: Vec<(u32, u32)>,
}

/// Instead of a place in [`Entries`], for a file that no inventory lists.
const NOWHERE: u32 = u32::MAX;

impl PlannedFiles {
    /// None yet, of these that are listed; `encrypted`: those of a kind that is sealed are.
    pub(crate) fn new(listing: Arc<FileList>, encrypted: bool) -> Self {
        PlannedFiles {
            listing,
            encrypted,
            ..PlannedFiles::default()
        }
    }

    /// Adds the file at a place of the listing, which comes after those that are there; `entry`: where its entry will be.
    pub(crate) fn push(&mut self, at: usize, entry: Option<u32>) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.items.push((at, entry.unwrap_or(NOWHERE)));
    }

    /// The entries of all files.
    pub(crate) fn set_entries(&mut self, entries: Arc<Entries>) {
        self.entries = entries;
        self.items.shrink_to_fit();
    }

    /// Whether those of a kind that is sealed are.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Each of them.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = PlannedFile> + ExactSizeIterator + Clone + '_ {
        self.within(0..self.len())
    }

    /// Those at some places.
    pub fn within(
        &self,
        places: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = PlannedFile> + ExactSizeIterator + Clone + '_ {
        let items = self.items.get(places).unwrap_or_default();
        items.iter().map(|(at, entry)| self.file(*at, *entry))
    }

    /// The one at a place.
    pub fn get(&self, place: usize) -> Option<PlannedFile> {
        let (at, entry) = self.items.get(place)?;
        Some(self.file(*at, *entry))
    }

    /// Paths and sizes alone.
    pub fn sizes(&self) -> impl ExactSizeIterator<Item = (String, u64)> + Clone + '_ {
        let items = self.items.iter();
        items.map(|(at, _)| {
            (
                self.listing.path(*at as usize),
                self.listing.size(*at as usize),
            )
        })
    }

    /// The bytes of all together, as stored.
    pub fn bytes(&self) -> u64 {
        let items = self.items.iter();
        items.fold(0, |sum: u64, (at, _)| {
            sum.saturating_add(self.listing.size(*at as usize))
        })
    }

    /// The file at a path.
    pub fn find(&self, path: &str) -> Option<PlannedFile> {
        self.get(self.place(path)?)
    }

    /// Its place.
    pub fn place(&self, path: &str) -> Option<usize> {
        let at = self.listing.find(path)?;
        let found = self
            .items
            .binary_search_by(|(known, _)| (*known as usize).cmp(&at));
        found.ok()
    }

    /// The places of the files of a user.
    pub fn of_user(&self, user_id: &str) -> Range<usize> {
        self.below(&format!("users/{user_id}/"))
    }

    /// The places of the files whose paths begin so.
    pub fn below(&self, prefix: &str) -> Range<usize> {
        let there = self.listing.below(prefix);
        let place = |end: usize| self.items.partition_point(|(at, _)| (*at as usize) < end);
        place(there.start)..place(there.end)
    }

    /// The places of the files of each user, and of those between that are of none.
    pub fn by_user(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (at, _) = self.items.get(from)?;
            let path = self.listing.path(*at as usize);
            let places = match user_of(&path) {
                Some(user) => self.of_user(user),
                None => {
                    let rest = self.items.get(from..).unwrap_or_default();
                    let path = |at: &u32| self.listing.path(*at as usize);
                    let none = |(at, _): &&(u32, u32)| user_of(&path(at)).is_none();
                    from..from + rest.iter().take_while(none).count()
                }
            };
            from = places.end;
            Some(places)
        })
    }

    /// Keeps only some.
    pub fn retain(&mut self, mut keep: impl FnMut(&PlannedFile) -> bool) {
        let mut items = std::mem::take(&mut self.items);
        items.retain(|(at, entry)| keep(&self.file(*at, *entry)));
        self.items = items;
    }

    fn file(&self, at: u32, entry: u32) -> PlannedFile {
        let path = self.listing.path(at as usize);
        let kind = PathKind::of(&path);
        PlannedFile {
            jsonl: kind.is_records(),
            gzip: kind.is_records() && path.ends_with(".gz"),
            encrypted: self.encrypted && kind.is_sealed(),
            size: self.listing.size(at as usize),
            expected: self.entries.get(entry as usize),
            path,
        }
    }
}
