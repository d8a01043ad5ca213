//! Writing an archive: everything aside first, one durability barrier, then into place, the manifest last.

mod block;
mod chain;
mod companions;
mod destination;
mod duplicate_attachments;
mod error;
pub mod file;
mod index;
mod listing;
mod losses;
mod manifest_format;
mod records;
mod sign;
mod sink;
mod staged;
mod store_removal;
mod store_run;
mod store_work;
mod tar;
mod user;
mod user_manifest;
mod volumes;
mod work_folder;

use std::sync::{Arc, Mutex};

use decryptor_wasm::{
    BackupType, DataKey, Envelope, FileEntry, Kdf, Manifest, PublicKey,
    chain::Link,
    layout::PathKind,
    manifest::{
        Companion, FORMAT_VERSION, InventoryFiles, Loss, PlatformConfig, PlatformSection, Producer,
    },
    raw::RawSection,
};
use zeroize::Zeroizing;

pub use chain::{ChainFolder, Host, Leftover, Proof};
pub use companions::{PAGE, SCRIPT, page_sha256, script_sha256};
pub use error::ArchiveError;
pub use index::{IndexDone, IndexWriter};
pub use listing::{DoneUsers, ListedManifest, Listing};
pub use sign::{Finished, SignedContent, Signing, Stamp};
pub use sink::Sink;
pub use staged::{RecordCopy, Staged, UserCopy};
pub use store_removal::{Removal, remove as remove_objects};
pub use store_run::is_first_volume;
pub use store_work::StoreWork;
pub use user::{UserDone, UserFilesWriter};

pub use destination::{Destination, STAGING, remove, sync};

use self::{
    file::{FileStorage, FileWriter},
    records::RecordPlace,
};
use super::sums::{Sorter, SumLine};
use crate::{digest::sha256_hex, random::SystemRandom, storage::Stream};
use crate::{platform::User, progress::Tally};
pub use volumes::{ArchiveLayout, Volumes};

/// The storage version that Pryv's own tool wrote into its manifests before it wrote its release.
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
    /// How its files lie in its folder.
    pub layout: ArchiveLayout,
    /// Where it goes as a single tar file; none: into its folder.
    pub stream: Option<Stream>,
    /// gzip the record files.
    pub compress: bool,
    /// Plain bytes after which an event or audit file ends.
    pub chunk_bytes: u64,
    /// When what is in it was read, in milliseconds since 1970, if that is not the instant of the archive.
    pub created_at: Option<i64>,
    /// Whether it holds everything or the changes since another run; an increment has no record files without records.
    pub backup_type: BackupType,
    /// Who signs it.
    pub signing: Signing,
}

/// An archive that is being written.
pub struct ArchiveWriter {
    destination: Destination,
    storage: FileStorage,
    options: Options,
    key: Option<DataKey>,
    shared: InventoryFiles,
    /// A line for each file as it is finished: of all of them there is no room for a list.
    sums: Mutex<Sorter>,
    /// The lines of the files beside the volumes, where there are volumes.
    beside: Mutex<Vec<SumLine>>,
    /// Bytes of what lies in the clear.
    clear: u64,
    instant: f64,
    /// Amounts written so far, for whoever shows them.
    pub tally: Arc<Tally>,
}

/// Facts for the manifest that are known when all users are written.
pub struct Summary {
    /// Engine and domain, for the manifest.
    pub config: PlatformConfig,
    /// How much of the platform's own database, and how the platform keeps things.
    pub platform: PlatformSection,
    /// Pryv's release, where it is known.
    pub release: Option<String>,
    /// Losses that concern no user.
    pub losses: Vec<Loss>,
    /// Items that are left out and are no loss.
    pub accepted_losses: Vec<Loss>,
    /// The place in a chain, of any run but the first.
    pub chain: Option<Link>,
    /// Users who are no more, in an increment.
    pub removed_users: Vec<String>,
    /// Files that travel in the clear at the root of the chain, of any run but the first.
    pub companions: Vec<Companion>,
    /// The number of all losses, those of the users too.
    pub loss_count: u64,
    /// The stores of a raw dump, which names no users.
    pub raw: Option<RawSection>,
}

impl ArchiveWriter {
    /// Begins an archive that holds what the platform stored before `instant`, in seconds since 1970.
    pub fn create_in(
        destination: Destination,
        sealing: &Sealing,
        options: Options,
        instant: f64,
    ) -> Result<Self, ArchiveError> {
        let sums = Mutex::new(Sorter::new(destination.staging().to_owned()));
        let storage = match options.stream.as_ref().and_then(Stream::output) {
            None => destination.storage(options.layout),
            Some(out) => FileStorage::in_tar(destination.staging(), out)?,
        };
        let mut writer = ArchiveWriter {
            destination,
            storage,
            options,
            key: None,
            shared: InventoryFiles::default(),
            sums,
            beside: Mutex::default(),
            clear: 0,
            instant,
            tally: Arc::default(),
        };
        match writer.lock(sealing) {
            Ok(()) => Ok(writer),
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
        let envelope = envelope.with_created_at(self.created_at());
        let envelope_file = self.write_clear("encryption.json", &envelope.to_json()?)?;
        self.clear += envelope_file.size;
        self.key = Some(key);
        // A chain has them once, at its root.
        if self.destination.is_beside() {
            return Ok(());
        }
        for (name, text) in companions::companions(&envelope) {
            let entry = self.write_clear(name, text.as_bytes())?;
            self.shared.push(&entry);
        }
        Ok(())
    }

    /// Begins a user's folder.
    pub fn user<'a>(&'a self, user: &'a User) -> Result<UserFilesWriter<'a>, ArchiveError> {
        UserFilesWriter::create(self, user)
    }

    /// Begins what belongs to no user.
    pub fn index(&self) -> IndexWriter<'_> {
        IndexWriter::new(self.place())
    }

    /// Begins the list of the users that are done.
    pub fn done_users(&self) -> Result<DoneUsers, ArchiveError> {
        DoneUsers::new(self.destination.staging())
    }

    /// Adds what belongs to no user.
    pub fn add_index(&mut self, index: &mut IndexDone) -> Result<(), ArchiveError> {
        for file in &index.files {
            self.sum(file)?;
        }
        index
            .files
            .drain(..)
            .for_each(|file| self.shared.push(&file));
        Ok(())
    }

    /// Writes manifest and sums, waits until all of it is on the disk, and moves it into place. What could not be finished is
    /// removed.
    pub fn finish(self, users: DoneUsers, summary: Summary) -> Result<Finished, ArchiveError> {
        self.complete(users, summary)?.publish()
    }

    /// The same, but for the last step.
    pub fn complete(mut self, users: DoneUsers, summary: Summary) -> Result<Staged, ArchiveError> {
        let listing = match self.list(users) {
            Ok(listing) => listing,
            Err(error) => {
                self.abandon();
                return Err(error);
            }
        };
        let stamp = self.stamp(summary.loss_count);
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            core_version: summary.release.unwrap_or_else(|| CORE_VERSION.to_owned()),
            config: summary.config,
            backup_type: self.options.backup_type,
            backup_timestamp: self.timestamp(),
            snapshot_before: Some(self.timestamp() as f64 / 1000.0),
            users: Default::default(),
            compressed: self.options.compress,
            producer: Some(Producer {
                name: "pryv-backup".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            encrypted: Some(self.key.is_some()),
            platform: Some(summary.platform),
            losses: summary.losses,
            accepted_losses: summary.accepted_losses,
            created_at: Some(stamp.created_at),
            signer: Some(stamp.signer),
            source: Some(stamp.source),
            core: stamp.core,
            loss_count: Some(stamp.loss_count),
            companions: summary.companions,
            inventory: None,
            chain: summary.chain,
            removed_users: summary.removed_users,
        };
        let content = SignedContent {
            bytes: listing.bytes,
            loss_count: stamp.loss_count,
            link: manifest.chain.as_ref(),
        };
        match listing.manifest(&manifest, summary.raw.as_ref()) {
            Ok(listed) => self.stage(&listed, content),
            Err(e) => {
                let error = ArchiveError::io("manifest.json".as_ref(), e.into());
                self.abandon();
                Err(error)
            }
        }
    }

    /// Whether the archive is sealed.
    pub fn encrypted(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the archive is a full run or an increment.
    pub fn backup_type(&self) -> BackupType {
        self.options.backup_type
    }

    /// Gives up: what was written of the archive is removed.
    pub fn abandon(self) {
        self.destination.abandon();
    }

    /// The instant of the platform that the archive shows, in milliseconds since 1970.
    fn timestamp(&self) -> i64 {
        (self.instant * 1000.0).floor() as i64
    }

    /// When what is in it was read, in milliseconds since 1970.
    fn created_at(&self) -> i64 {
        self.options.created_at.unwrap_or_else(|| self.timestamp())
    }

    /// Adds a finished file to the files that are signed, and to SHA256SUMS.
    fn sum(&self, file: &FileEntry) -> Result<(), ArchiveError> {
        if self.storage.volumes.is_some() && PathKind::of(&file.path).is_separate() {
            crate::threads::lock(&self.beside).push(SumLine::from(file));
        }
        Ok(crate::threads::lock(&self.sums).add(&file.path, &file.sha256)?)
    }

    fn key(&self) -> Option<&DataKey> {
        self.key.as_ref()
    }

    fn place(&self) -> RecordPlace<'_> {
        RecordPlace {
            storage: &self.storage,
            compress: self.options.compress,
            key: self.key(),
        }
    }

    fn write_clear(&self, path: &str, bytes: &[u8]) -> Result<FileEntry, ArchiveError> {
        let mut file = FileWriter::create(&self.storage, path, None)?;
        file.write(bytes)?;
        let entry = file.finish(None)?;
        self.sum(&entry)?;
        Ok(entry)
    }
}
