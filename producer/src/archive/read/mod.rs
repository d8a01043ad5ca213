//! Reading an archive: the files of a folder, the manifests that say what they should be, and the content of each.

mod content;
mod folder;
mod open;
mod stream;

pub use content::ContentReader;
pub use folder::Folder;
pub use open::{Archive, Choice};
pub(super) use stream::read_some;
pub use stream::{Content, GunzipCheck, ReadFile};
