//! What a manifest lists: users, and files that are no user's own. Of many users there is no room for a list: each goes into a file
//! without a name as it is done.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    Manifest,
    manifest::InventoryFiles,
    raw::{RAW, RawSection},
};
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value, value::RawValue};

use super::{ArchiveError, UserDone};

/// Users that are done, in any order.
pub struct DoneUsers {
    folder: PathBuf,
    out: BufWriter<File>,
    places: Vec<Place>,
    next: u64,
    /// Bytes of their files.
    bytes: u64,
}

/// A user in the file: what the manifest says of it, then the entry of its own manifest.
struct Place {
    /// The place among all users.
    order: u32,
    length: u32,
    begin: u64,
}

/// The users and files of an archive that is nearly done.
pub struct Listing {
    users: File,
    places: Vec<Place>,
    shared: InventoryFiles,
    /// Bytes of all files, for [`super::ArchiveWriter::stage`].
    pub bytes: u64,
}

/// A manifest: of what it says, `users` and `inventory` come from the listing where they are null.
pub struct ListedManifest<'l> {
    /// Its members, in their order.
    pub said: Map<String, Value>,
    /// See [`Listing`].
    pub listing: &'l Listing,
}

impl DoneUsers {
    /// None yet; `folder`: where the file is.
    pub(super) fn new(folder: &Path) -> Result<Self, ArchiveError> {
        let file = tempfile::tempfile_in(folder).map_err(|e| ArchiveError::io(folder, e))?;
        Ok(DoneUsers {
            folder: folder.to_owned(),
            out: BufWriter::with_capacity(1 << 16, file),
            places: Vec::new(),
            next: 0,
            bytes: 0,
        })
    }

    /// Adds a user, who comes at that place in the manifest.
    pub fn add(&mut self, order: usize, user: &UserDone) -> Result<(), ArchiveError> {
        let at = |e: io::Error| ArchiveError::io(&self.folder, e);
        let line = serde_json::to_vec(&(&user.entry, &user.manifest_file));
        let line = line.map_err(|e| at(e.into()))?;
        self.out.write_all(&line).map_err(at)?;
        self.places.push(Place {
            order: order as u32,
            length: line.len() as u32,
            begin: self.next,
        });
        self.next += line.len() as u64;
        self.bytes += user.bytes + user.manifest_file.size;
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// All of them in order, and the files that belong to no user.
    pub(super) fn list(mut self, shared: InventoryFiles) -> Result<Listing, ArchiveError> {
        self.places.sort_by_key(|place| place.order);
        let of_shared: u64 = shared.iter().map(|file| file.size).sum();
        let users = self.out.into_inner().map_err(|e| e.into_error());
        Ok(Listing {
            users: users.map_err(|e| ArchiveError::io(&self.folder, e))?,
            places: self.places,
            bytes: self.bytes + of_shared,
            shared,
        })
    }
}

impl Listing {
    /// A manifest with these users and files; `said`: what else it says. That of a raw dump names no users.
    pub(super) fn manifest(
        &self,
        said: &Manifest,
        raw: Option<&RawSection>,
    ) -> serde_json::Result<ListedManifest<'_>> {
        let mut said = match serde_json::to_value(said)? {
            Value::Object(said) => said,
            _ => Map::new(),
        };
        for name in ["users", "inventory"] {
            said.insert(name.to_owned(), Value::Null);
        }
        if let Some(raw) = raw {
            said.shift_remove("users");
            said.insert("backupType".to_owned(), RAW.into());
            said.insert(RAW.to_owned(), serde_json::to_value(raw)?);
        }
        Ok(ListedManifest {
            said,
            listing: self,
        })
    }

    /// Shows of each user what the manifest says of it, and the entry of its own manifest.
    fn each<E: Error>(
        &self,
        mut show: impl FnMut(&RawValue, &RawValue) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut line = Vec::new();
        for place in &self.places {
            line.resize(place.length as usize, 0);
            let read = self.users.read_exact_at(&mut line, place.begin);
            read.map_err(E::custom)?;
            let (entry, file) = serde_json::from_slice(&line).map_err(E::custom)?;
            show(entry, file)?;
        }
        Ok(())
    }
}

impl Serialize for ListedManifest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.said.len()))?;
        for (name, value) in &self.said {
            match (name.as_str(), value) {
                ("users", Value::Null) => map.serialize_entry(name, &Users(self.listing))?,
                ("inventory", Value::Null) => map.serialize_entry(name, &Files(self.listing))?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

/// The users of a manifest.
struct Users<'l>(&'l Listing);

impl Serialize for Users<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.places.len()))?;
        self.0.each(|entry, _| list.serialize_element(entry))?;
        list.end()
    }
}

/// The inventory of a manifest.
struct Files<'l>(&'l Listing);

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("v", &1)?;
        map.serialize_entry("files", &FileEntries(self.0))?;
        map.end()
    }
}

struct FileEntries<'l>(&'l Listing);

impl Serialize for FileEntries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.0.shared.len() + self.0.places.len();
        let mut list = serializer.serialize_seq(Some(count))?;
        for file in self.0.shared.iter() {
            list.serialize_element(&file)?;
        }
        self.0.each(|_, file| list.serialize_element(file))?;
        list.end()
    }
}
