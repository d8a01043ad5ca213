//! Writing an archive: everything aside first, one durability barrier, then into place, the manifest last.

mod block;
mod companions;
pub mod file;
mod records;
mod sink;
mod user;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    DataKey, Envelope, FileEntry, Inventory, Kdf, Manifest, PublicKey, RandomSource,
    manifest::{FORMAT_VERSION, Loss, PlatformConfig, PlatformSection, Producer},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use sink::Sink;
pub use user::{UserDone, UserWriter, now_ms};

use self::{
    block::Block,
    file::{FileWriter, hex},
    records::{Place, RecordFile},
};
use crate::platform::{self, IndexSink, SinkError, User};

/// Where a run writes before its archive is whole. A run that died leaves it, and the next run to that path removes it.
const STAGING: &str = ".pryv-backup-partial";
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
    output: PathBuf,
    /// Whether this run made the folder.
    created: bool,
    staging: PathBuf,
    options: Options,
    key: Option<DataKey>,
    shared: Vec<FileEntry>,
    envelope: Option<FileEntry>,
    snapshot_before: f64,
}

/// Takes the platform's own entries.
pub struct IndexWriter {
    compress: bool,
    file: RecordFile,
    block: Block,
    losses: Vec<Loss>,
}

impl IndexWriter {
    fn pass_on(&mut self) -> Result<(), ArchiveError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let file = &mut self.file;
        self.block
            .take(self.compress, |content| file.append(&content))
    }
}

impl IndexSink for IndexWriter {
    fn record(&mut self, line: &[u8]) -> Result<(), SinkError> {
        self.block.push(line);
        if self.block.is_full() {
            self.pass_on()?;
        }
        Ok(())
    }

    fn loss(&mut self, loss: platform::Loss) {
        self.losses.push(loss.into());
    }
}

impl From<platform::Loss> for Loss {
    fn from(loss: platform::Loss) -> Self {
        Loss {
            user_id: loss.user_id,
            collection: loss.collection,
            path: loss.path,
            what: loss.what,
        }
    }
}

/// What is known when all users are written.
pub struct Summary {
    /// Engine and domain, for the manifest.
    pub config: PlatformConfig,
    /// `pryv` or `none`.
    pub platform_mode: &'static str,
    /// Losses that concern no user.
    pub losses: Vec<Loss>,
}

impl ArchiveWriter {
    /// Prepares `output`, which must be new, empty, or hold nothing but what a run that died left behind (said in the second value).
    pub fn create(
        output: &Path,
        sealing: &Sealing,
        options: Options,
    ) -> Result<(Self, bool), ArchiveError> {
        let created = !output.exists();
        let leftover = prepare(output)?;
        let staging = output.join(STAGING);
        fs::create_dir(&staging).map_err(|e| ArchiveError::io(&staging, e))?;
        let mut writer = ArchiveWriter {
            output: output.to_owned(),
            created,
            staging,
            options,
            key: None,
            shared: Vec::new(),
            envelope: None,
            snapshot_before: now_ms() as f64 / 1000.0,
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

    /// Begins the file of the platform's own entries.
    pub fn index(&self) -> Result<IndexWriter, ArchiveError> {
        Ok(IndexWriter {
            compress: self.options.compress,
            file: RecordFile::create(self.place(), "platform/platform")?,
            block: Block::default(),
            losses: Vec::new(),
        })
    }

    /// Ends the file of the platform's own entries, and says what is missing in it.
    pub fn add_index(&mut self, mut index: IndexWriter) -> Result<Vec<Loss>, ArchiveError> {
        index.pass_on()?;
        self.shared.push(index.file.finish()?);
        Ok(index.losses)
    }

    /// Writes manifest and sums, waits until all of it is on the disk, and moves it into place. Returns the archive id.
    pub fn finish(
        mut self,
        mut users: Vec<UserDone>,
        summary: Summary,
    ) -> Result<String, ArchiveError> {
        let mut files = std::mem::take(&mut self.shared);
        let mut sums: Vec<String> = files.iter().chain(&self.envelope).map(sum_line).collect();
        for user in &mut users {
            sums.push(std::mem::take(&mut user.sums));
            sums.push(sum_line(&user.manifest_file));
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
            platform: Some(PlatformSection {
                mode: summary.platform_mode.to_owned(),
            }),
            losses: summary.losses,
            inventory: Some(Inventory { v: 1, files }),
        };
        let entry = self.write_json("manifest.json", &manifest)?;
        let id = entry.sha256.clone();
        sums.push(sum_line(&entry));
        self.write_clear("SHA256SUMS", sorted(&sums).as_bytes())?;
        self.publish()?;
        Ok(id)
    }

    /// Gives up: what was written of the archive is removed.
    pub fn abandon(self) {
        // Best effort: whatever cannot be removed now is recognised by the next run.
        let _ = fs::remove_dir_all(&self.staging);
        if self.created {
            let _ = fs::remove_dir(&self.output);
        }
    }

    fn key(&self) -> Option<&DataKey> {
        self.key.as_ref()
    }

    fn place(&self) -> Place<'_> {
        Place {
            root: &self.staging,
            compress: self.options.compress,
            key: self.key(),
        }
    }

    fn write_json<T: Serialize>(&self, path: &str, value: &T) -> Result<FileEntry, ArchiveError> {
        let json = serde_json::to_vec_pretty(value)
            .map_err(|e| ArchiveError::io(Path::new(path), e.into()))?;
        let mut file = FileWriter::create(&self.staging, path, self.key())?;
        file.write(&json)?;
        file.finish(None)
    }

    fn write_clear(&self, path: &str, bytes: &[u8]) -> Result<FileEntry, ArchiveError> {
        let mut file = FileWriter::create(&self.staging, path, None)?;
        file.write(bytes)?;
        file.finish(None)
    }

    fn publish(self) -> Result<(), ArchiveError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |e: io::Error| ArchiveError::Io { path, source: e }
        };
        sync(&self.staging).map_err(at(&self.staging))?;
        let mut names: Vec<_> = fs::read_dir(&self.staging)
            .and_then(|entries| {
                entries
                    .map(|e| e.map(|e| e.file_name()))
                    .collect::<io::Result<_>>()
            })
            .map_err(at(&self.staging))?;
        names.sort_by_key(|name| name == "manifest.json");
        for name in names {
            if name == "manifest.json" {
                sync(&self.output).map_err(at(&self.output))?;
            }
            let target = self.output.join(&name);
            fs::rename(self.staging.join(&name), &target).map_err(at(&target))?;
        }
        fs::remove_dir(&self.staging).map_err(at(&self.staging))?;
        sync(&self.output).map_err(at(&self.output))
    }
}

/// Makes the whole file system that holds `folder` durable: one barrier instead of one per file.
fn sync(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}

fn prepare(output: &Path) -> Result<bool, ArchiveError> {
    fs::create_dir_all(output).map_err(|e| ArchiveError::io(output, e))?;
    if output.join("manifest.json").exists() {
        return Err(ArchiveError::Exists(output.to_owned()));
    }
    let leftover = output.join(STAGING).is_dir();
    for entry in fs::read_dir(output).map_err(|e| ArchiveError::io(output, e))? {
        let entry = entry.map_err(|e| ArchiveError::io(output, e))?;
        // Without the staging folder nothing here is known to be ours.
        if !leftover {
            return Err(ArchiveError::NotEmpty(output.to_owned()));
        }
        let known = [
            "users",
            "platform",
            STAGING,
            "encryption.json",
            "SHA256SUMS",
        ];
        let name = entry.file_name();
        if !known.iter().any(|k| name == *k) && !companions::NAMES.iter().any(|k| name == *k) {
            return Err(ArchiveError::NotEmpty(output.to_owned()));
        }
    }
    if leftover {
        for entry in fs::read_dir(output).map_err(|e| ArchiveError::io(output, e))? {
            let path = entry.map_err(|e| ArchiveError::io(output, e))?.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(|e| ArchiveError::io(&path, e))?;
        }
    }
    Ok(leftover)
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
