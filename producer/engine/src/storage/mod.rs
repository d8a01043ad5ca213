//! Where an archive lies: a folder or a tar file of this machine, a stream, or a prefix in a bucket of an object store.

mod access_key;
mod begun_uploads;
mod bounded;
mod listing;
mod object;
mod object_lock;
mod pages;
mod reach;
mod reader;
mod signed;
mod store;
mod store_error;
mod store_tls;
mod stream;
mod upload;
mod versioning;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use decryptor_wasm::{Error, ErrorKind};

pub use access_key::AccessKey;
pub use begun_uploads::BegunUpload;
pub use listing::{StoreObject, StoreVersion};
pub use object::{KeptPieces, ObjectFile};
pub use object_lock::ObjectLock;
pub use reader::ObjectReader;
pub use store::{Before, ObjectStore, StoreOptions};
pub use store_error::{StoreError, StoreErrorKind, failure};
pub use stream::{Stream, large_folder};
pub use upload::Upload;

/// Before the bucket and prefix of an address.
const SCHEME: &str = "s3://";
/// Names a stream.
const STREAM: &str = "-";

/// Where an archive lies, or is to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder, or a single tar file that is read.
    Folder(PathBuf),
    /// A single tar file that comes or goes as a stream.
    Stream(Stream),
    /// A prefix in a bucket.
    Store(StoreAddress),
}

/// A prefix in a bucket: `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// The bucket.
    pub bucket: String,
    /// Without `/` at its begin and end; empty for the whole bucket.
    pub prefix: String,
    /// How the store is reached.
    pub options: StoreOptions,
}

impl Location {
    /// The folder; none for a stream or an object store.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Location::Folder(path) => Some(path),
            Location::Stream(_) | Location::Store(_) => None,
        }
    }

    /// The folder, for what cannot be done elsewhere.
    ///
    /// # Errors
    /// A usage error, for a stream or an object store.
    pub fn require_folder(&self) -> Result<&Path, Error> {
        let place = match self {
            Location::Folder(path) => return Ok(path),
            Location::Stream(_) => "a stream",
            Location::Store(_) => "an object store",
        };
        let text = format!("{self}: this cannot be done in {place}: give a folder");
        Err(Error::new(ErrorKind::Usage, text))
    }

    /// The stream; none for another place.
    #[must_use]
    pub fn stream(&self) -> Option<&Stream> {
        match self {
            Location::Stream(stream) => Some(stream),
            Location::Folder(_) | Location::Store(_) => None,
        }
    }

    /// The place of another name, which is reached in the same way.
    ///
    /// # Errors
    /// When it is no name of a place.
    pub fn named(&self, name: &str) -> Result<Self, String> {
        let mut other: Location = name.parse()?;
        if let Location::Store(address) = self {
            other.reach(&address.options);
        }
        Ok(other)
    }

    /// The same place, of an object store that is reached in this way.
    pub fn reach(&mut self, options: &StoreOptions) {
        if let Location::Store(address) = self {
            address.options = options.clone();
        }
    }
}

impl StoreAddress {
    /// Whether `other` is this place, or one below it.
    #[must_use]
    pub fn holds(&self, other: &StoreAddress) -> bool {
        let below = other.prefix.strip_prefix(self.prefix.as_str());
        let is_below =
            |rest: &str| rest.is_empty() || self.prefix.is_empty() || rest.starts_with('/');
        self.bucket == other.bucket && below.is_some_and(is_below)
    }

    /// The prefix `name` below this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let prefix = match self.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        };
        StoreAddress {
            prefix,
            ..self.clone()
        }
    }
}

impl Default for Location {
    fn default() -> Self {
        Location::Folder(PathBuf::from("."))
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Location::Folder(path)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Location::Folder(path.to_owned())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Folder(path) => path.display().fmt(f),
            Location::Stream(_) => STREAM.fmt(f),
            Location::Store(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreAddress { bucket, prefix, .. } = self;
        match prefix.is_empty() {
            true => write!(f, "{SCHEME}{bucket}"),
            false => write!(f, "{SCHEME}{bucket}/{prefix}"),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return match text {
                "" => Err("give a folder, or s3://BUCKET/PREFIX".to_owned()),
                STREAM => Ok(Location::Stream(Stream::default())),
                path => Ok(Location::Folder(PathBuf::from(path))),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_of_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_of_bucket) {
            return Err("the name of a bucket is missing: s3://BUCKET/PREFIX".to_owned());
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() && !decryptor_wasm::layout::is_safe_path(prefix) {
            return Err("the prefix holds a character that not every system can write".to_owned());
        }
        Ok(Location::Store(StoreAddress {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            options: StoreOptions::default(),
        }))
    }
}

/// Bytes that are read by their place: of a file on disk, or of an object in a store.
pub trait ReadAt: Send + Sync {
    /// Reads bytes from `offset` on into `buffer`; returns how many, 0 at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// When the system does not say.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for std::fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_those_below_them() {
        let store = |text: &str| match text.parse() {
            Ok(Location::Store(address)) => address,
            _ => panic!("{text}"),
        };
        let holds = |one: &str, other: &str| store(one).holds(&store(other));
        assert!(holds("s3://b/a", "s3://b/a"));
        assert!(holds("s3://b/a", "s3://b/a/c"));
        assert!(holds("s3://b", "s3://b/a"));
        assert!(!holds("s3://b/a", "s3://b/ab"));
        assert!(!holds("s3://b/a", "s3://c/a"));
        assert!(!holds("s3://b/a/c", "s3://b/a"));
    }

    #[test]
    fn places_are_read_and_shown() {
        for (text, shown) in [
            ("backup", "backup"),
            ("/a/b", "/a/b"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("./-", "./-"),
            ("-", "-"),
        ] {
            let place: Location = text.parse().unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!(
                place.folder().is_none(),
                text.starts_with("s3:") || text == "-",
                "{text}"
            );
        }
        for bad in ["", "s3://", "s3:///x", "s3://b/../x", "s3://b u/x"] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }
}
