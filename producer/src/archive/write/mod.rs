//! Writing an archive: everything aside first, one durability barrier, then into place, the manifest last.

mod block;
mod companions;
mod destination;
pub mod file;
mod index;
mod records;
mod sink;
mod user;

use std::{
    io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    DataKey, Envelope, FileEntry, Inventory, Kdf, Manifest, PublicKey, RandomSource,
    manifest::{FORMAT_VERSION, Loss, PlatformConfig, PlatformSection, Producer},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use companions::page_sha256;
pub use index::{IndexDone, IndexWriter};
pub use sink::Sink;
pub use user::{UserDone, UserWriter, now_ms};

use self::{
    destination::Destination,
    file::{FileWriter, hex},
    records::Place,
};
use crate::{platform::User, progress::Tally};

/// The storage version that Pryv's own tool writes into its manifests.
const CORE_VERSION: &str = "1.9.3";

/// To whom an archive is locked.
pub enum Sealing {
    /// To nobody: the archive is readable as it lies there.
    None,
    /// To the holders of these keys.
    Recipients(Vec<PublicKey>),
    /// To whoever knows the passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: Zeroizing<String>,
        /// How it becomes a key.
        kdf: Kdf,
    },
}

/// How an archive is written.
pub struct Options {
    /// gzip the record files.
    pub compress: bool,
    /// Plain bytes after which an event or audit file ends.
    pub chunk_bytes: u64,
}

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The destination refused.
    #[error("{path}: {source}; the backup was not made")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a backup already.
    #[error("{0} already holds a backup; give an empty or new folder as --output")]
    Exists(PathBuf),
    /// Another run is at work there.
    #[error("another backup is being written to {0}; wait for it, or give another --output")]
    Busy(PathBuf),
    /// There is something else.
    #[error("{0} is not empty; give an empty or new folder as --output")]
    NotEmpty(PathBuf),
    /// An id of the platform that cannot be a name.
    #[error("{0:?} cannot be a file name; nothing was written for it")]
    UnsafeName(String),
    /// No randomness.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
    /// Compression failed.
    #[error("compression failed: {0}")]
    Compress(String),
    /// The core refused.
    #[error(transparent)]
    Core(#[from] decryptor_wasm::Error),
}

impl ArchiveError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        ArchiveError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The system's random bytes.
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), decryptor_wasm::Error> {
        getrandom::fill(out).map_err(|e| {
            decryptor_wasm::Error::new(
                decryptor_wasm::ErrorKind::Failed,
                format!("the system gave no random bytes: {e}"),
            )
        })
    }
}

/// An archive that is being written.
pub struct ArchiveWriter {
    destination: Destination,
    options: Options,
    key: Option<DataKey>,
    shared: Vec<FileEntry>,
    envelope: Option<FileEntry>,
    snapshot_before: f64,
    /// What was written so far, for whoever shows it.
    pub tally: Tally,
}

/// What is known when all users are written.
pub struct Summary {
    /// Engine and domain, for the manifest.
    pub config: PlatformConfig,
    /// How much of the platform's own database, and how the platform keeps things.
    pub platform: PlatformSection,
    /// Losses that concern no user.
    pub losses: Vec<Loss>,
}

/// An archive that stands.
pub struct Finished {
    /// SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// Bytes of all its files.
    pub bytes: u64,
}

impl ArchiveWriter {
    /// Prepares `output`, which must be new, empty, or hold nothing but what a run that died left behind (said in the second value).
    pub fn create(
        output: &Path,
        sealing: &Sealing,
        options: Options,
    ) -> Result<(Self, bool), ArchiveError> {
        let (destination, leftover) = Destination::prepare(output)?;
        let mut writer = ArchiveWriter {
            destination,
            options,
            key: None,
            shared: Vec::new(),
            envelope: None,
            snapshot_before: now_ms() as f64 / 1000.0,
            tally: Tally::default(),
        };
        match writer.lock(sealing) {
            Ok(()) => Ok((writer, leftover)),
            Err(error) => {
                writer.abandon();
                Err(error)
            }
        }
    }

    /// Makes the data key, and writes what lies in the clear beside the sealed files.
    fn lock(&mut self, sealing: &Sealing) -> Result<(), ArchiveError> {
        let (envelope, key) = match sealing {
            Sealing::None => return Ok(()),
            Sealing::Recipients(recipients) => {
                let key = DataKey::generate(&mut SystemRandom)?;
                (
                    Envelope::for_recipients(&key, recipients, &mut SystemRandom)?,
                    key,
                )
            }
            Sealing::Passphrase { passphrase, kdf } => {
                Envelope::for_passphrase(*kdf, passphrase, &mut SystemRandom)?
            }
        };
        self.envelope = Some(self.write_clear("encryption.json", &envelope.to_json()?)?);
        self.key = Some(key);
        for (name, text) in companions::companions(&envelope) {
            let entry = self.write_clear(name, text.as_bytes())?;
            self.shared.push(entry);
        }
        Ok(())
    }

    /// Begins a user's folder.
    pub fn user<'a>(&'a self, user: &'a User) -> Result<UserWriter<'a>, ArchiveError> {
        UserWriter::create(self, user)
    }

    /// Begins what belongs to no user.
    pub fn index(&self) -> IndexWriter<'_> {
        IndexWriter::new(self.place())
    }

    /// Adds what belongs to no user.
    pub fn add_index(&mut self, index: &mut IndexDone) {
        self.shared.append(&mut index.files);
    }

    /// Writes manifest and sums, waits until all of it is on the disk, and moves it into place.
    pub fn finish(
        mut self,
        mut users: Vec<UserDone>,
        summary: Summary,
    ) -> Result<Finished, ArchiveError> {
        let mut files = std::mem::take(&mut self.shared);
        let mut bytes: u64 = files.iter().chain(&self.envelope).map(|f| f.size).sum();
        let mut sums: Vec<String> = files.iter().chain(&self.envelope).map(sum_line).collect();
        for user in &mut users {
            sums.push(std::mem::take(&mut user.sums));
            sums.push(sum_line(&user.manifest_file));
            bytes += user.bytes + user.manifest_file.size;
        }
        files.extend(users.iter().map(|u| u.manifest_file.clone()));
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            core_version: CORE_VERSION.to_owned(),
            config: summary.config,
            backup_type: "full".to_owned(),
            backup_timestamp: now_ms(),
            snapshot_before: Some(self.snapshot_before),
            users: users.into_iter().map(|u| u.entry).collect(),
            compressed: self.options.compress,
            producer: Some(Producer {
                name: "pryv-backup".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            encrypted: Some(self.key.is_some()),
            platform: Some(summary.platform),
            losses: summary.losses,
            inventory: Some(Inventory { v: 1, files }),
        };
        let entry = self.write_json("manifest.json", &manifest)?;
        sums.push(sum_line(&entry));
        let sums = self.write_clear("SHA256SUMS", sorted(&sums).as_bytes())?;
        self.destination.publish()?;
        Ok(Finished {
            id: entry.sha256,
            bytes: bytes + entry.size + sums.size,
        })
    }

    /// Gives up: what was written of the archive is removed.
    pub fn abandon(self) {
        self.destination.abandon();
    }

    fn key(&self) -> Option<&DataKey> {
        self.key.as_ref()
    }

    fn place(&self) -> Place<'_> {
        Place {
            root: self.destination.staging(),
            compress: self.options.compress,
            key: self.key(),
        }
    }

    fn write_json<T: Serialize>(&self, path: &str, value: &T) -> Result<FileEntry, ArchiveError> {
        let json = serde_json::to_vec_pretty(value)
            .map_err(|e| ArchiveError::io(Path::new(path), e.into()))?;
        let mut file = FileWriter::create(self.destination.staging(), path, self.key())?;
        file.write(&json)?;
        file.finish(None)
    }

    fn write_clear(&self, path: &str, bytes: &[u8]) -> Result<FileEntry, ArchiveError> {
        let mut file = FileWriter::create(self.destination.staging(), path, None)?;
        file.write(bytes)?;
        file.finish(None)
    }
}

/// A line of SHA256SUMS.
fn sum_line(file: &FileEntry) -> String {
    format!("{}  {}\n", file.sha256, file.path)
}

/// All lines in the order of their paths.
fn sorted(lines: &[String]) -> String {
    let mut lines: Vec<&str> = lines.iter().flat_map(|l| l.split_inclusive('\n')).collect();
    lines.sort_unstable_by_key(|line| line.split_once("  ").map(|(_, path)| path));
    lines.concat()
}

/// Lower-case hex SHA-256. The id of an archive is that of its `manifest.json` as stored.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}
