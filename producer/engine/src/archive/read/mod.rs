//! Reading an archive: the files of a folder, the manifests that say what they should be, and the content of each.

mod chain;
mod content;
mod error;
mod folder;
mod lines;
mod open;
mod settle;
mod stream;
mod told;

pub use chain::{Chain, links, lost_index, mixed_runs};
pub use content::ContentReader;
pub use error::{CopyError, ReadError};
pub use folder::Folder;
pub use lines::Line;
pub use open::{Archive, Choice, require_manifest};
pub(super) use stream::read_some;
pub use stream::{Content, GunzipCheck, ReadFile, Seen};
pub use told::Told;
