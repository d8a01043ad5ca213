//! The options of a backup.

use crate::{
    archive::write::ArchiveLayout, installation::Installation, platform::PlatformMode, sealing,
    signing, storage::Location, trust::Trust,
};

/// Source, destination and manner of a backup.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform.
    pub installation: Installation,
    /// Folder for the backup: new or empty, or of a chain that of the runs before.
    pub output: Location,
    /// Make the folders above it too.
    pub create_parents: bool,
    /// Only this user, by id or name.
    pub user: Option<String>,
    /// The name of the core that it is of; none: that of the platform's configuration.
    pub core: Option<String>,
    /// How the files lie in that folder.
    pub layout: ArchiveLayout,
    /// Write records compressed.
    pub compress: bool,
    /// Bytes of records per event or audit file.
    pub chunk_bytes: u64,
    /// The lock.
    pub sealing: sealing::Options,
    /// Key that signs the backup.
    pub signing: signing::Options,
    /// Which signers of earlier runs are expected, and where this host keeps its key.
    pub trust: Trust,
    /// Which of the platform's own entries are backed up.
    pub platform: PlatformMode,
    /// Threads, and connections to the database for large users; none: one per core, at most 8.
    pub jobs: Option<u16>,
    /// Write nothing.
    pub dry_run: bool,
    /// Name each user as it is done.
    pub name_users: bool,
    /// Things that this version does not know and may leave out.
    pub accept_loss: Vec<String>,
    /// Sessions and password resets too.
    pub include_ephemeral: bool,
    /// The configuration of the platform, its keys and certificates, and the versions of what runs there, too.
    pub include_config: bool,
    /// Read the backup again when it is made.
    pub verify: bool,
    /// Bring only what has changed since the last run in that folder.
    pub incremental: bool,
}

impl Options {
    /// A full backup of everything, compressed and not encrypted, signed by this host.
    #[must_use]
    pub fn new(installation: Installation, output: impl Into<Location>) -> Self {
        Options {
            installation,
            output: output.into(),
            create_parents: false,
            user: None,
            core: None,
            layout: ArchiveLayout::default(),
            compress: true,
            chunk_bytes: 50 * 1024 * 1024,
            sealing: sealing::Options::default(),
            signing: signing::Options::default(),
            trust: Trust::default(),
            platform: PlatformMode::Full,
            jobs: None,
            dry_run: false,
            name_users: false,
            accept_loss: Vec::new(),
            include_ephemeral: false,
            include_config: false,
            verify: false,
            incremental: false,
        }
    }
}
