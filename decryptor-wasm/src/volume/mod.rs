//! Volumes: an archive's files as members of a few tar files, so that it is copied with few requests. See `docs/format.md`, "Volumes".
//!
//! A volume is a plain POSIX tar file: `tar -x` of all volumes gives the archive as separate files. Readers accept one form of it
//! only: regular files, each with the header that [`header`] makes of its path and size, no other bytes between them.

mod block;
mod index;
mod list;
mod members;
mod reading;
mod single;
mod tar;
#[cfg(test)]
mod tests;

pub use crate::layout::{VOLUMES, index_name, volume_name};
pub use block::{BlockMember, SMALL, VolumePiece};
pub use index::{Member, TAIL, VolumeIndex};
pub use list::{Volume, VolumeList};
pub use members::{Listed, Members, Place};
pub use reading::{Range, VOLUME_LEFT, VolumeReading};
pub use single::{LOOK, require_tar};
pub use tar::{BLOCK, END, HEADER_MOST, MemberHeader, header, padding, read_header};
