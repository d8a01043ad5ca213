//! Reading an archive: the files of a folder, the manifests that say what they should be, and the content of each.

mod content;
mod disk;
mod drive;
mod error;
mod folder;
mod in_store;
mod lines;
mod losses;
mod objects;
mod open;
mod state;
mod stored_file;
mod stream;
mod tar;
mod volumes;
mod whole_volume;

pub use content::ContentReader;
pub use error::{CopyError, ReadError};
pub use folder::Folder;
pub use losses::UserLosses;
pub use open::{Archive, outline};
pub use stored_file::StoredFile;
pub(super) use stream::read_some;
pub use stream::{Content, GunzipCheck, ReadFile, Seen};
pub use whole_volume::{MemberDigest, WholeVolume};
