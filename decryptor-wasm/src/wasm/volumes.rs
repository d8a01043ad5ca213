//! The volumes of an archive; see `volume` of the core.

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use crate::{FileList, Result, volume};

/// A part of a stored file.
#[wasm_bindgen]
pub struct Range(volume::Range);

getters! { Range(range):
    /// The file; empty for a single tar file.
    path: String = range.0.path.clone();
    /// Where the part begins.
    offset: f64 = range.0.offset as f64;
    /// How many bytes; the file may have fewer.
    length: f64 = range.0.length as f64;
}

/// Finds the members of volumes. Give the bytes of each range that it needs, until there is none.
#[wasm_bindgen]
pub struct VolumeReading(volume::VolumeReading);

#[wasm_bindgen]
impl VolumeReading {
    /// Of the files that were listed. `scan`: no index is believed.
    #[wasm_bindgen(constructor)]
    pub fn new(paths: Vec<String>, sizes: &[f64], scan: bool) -> Self {
        VolumeReading(volume::VolumeReading::new(listing(paths, sizes), scan))
    }

    /// Of a single tar file that holds a whole archive.
    #[wasm_bindgen(js_name = ofTar)]
    pub fn of_tar(name: &str, size: f64, scan: bool) -> Self {
        VolumeReading(volume::VolumeReading::of_tar(name, size as u64, scan))
    }

    /// The next range; undefined when all members are known.
    pub fn next(&self) -> Option<Range> {
        self.0.next_range().map(Range)
    }

    /// Takes the bytes of that range.
    pub fn give(&mut self, bytes: &[u8]) {
        self.0.give(bytes);
    }

    /// The members.
    pub fn finish(self) -> Members {
        Members(Arc::new(self.0.finish()))
    }
}

/// The files of an archive, and the places of those that lie in volumes.
#[wasm_bindgen]
pub struct Members(pub(super) Arc<volume::Members>);

/// The place of a member.
#[wasm_bindgen]
pub struct Place {
    volume: String,
    offset: f64,
    size: f64,
    header: Vec<u8>,
}

getters! { Place(place):
    /// The volume; empty for a single tar file.
    volume: String = place.volume.clone();
    /// Where its header begins.
    offset: f64 = place.offset;
    /// Bytes of its content, which follows the header.
    size: f64 = place.size;
    /// The header that must be there, or another file lies there.
    header: Vec<u8> = place.header.clone();
}

#[wasm_bindgen]
impl Members {
    /// Whether indexes were believed.
    pub fn indexed(&self) -> bool {
        self.0.indexed
    }

    /// Whether there is a file of that path.
    pub fn has(&self, path: &str) -> bool {
        self.0.files.has(path)
    }

    /// The place of a file; undefined for a separate one.
    pub fn place(&self, path: &str) -> Option<Place> {
        let place = self.0.place(path)?;
        Some(Place {
            volume: self.0.volume(place).to_owned(),
            offset: place.offset as f64,
            size: place.size as f64,
            header: self.0.header(path, place),
        })
    }
}

/// Throws for a file that is no single tar file of an archive; `head` and `tail`: its first and last 4096 bytes, or all of it.
#[wasm_bindgen(js_name = requireTar)]
pub fn require_tar(path: &str, head: &[u8], tail: &[u8]) -> Result<()> {
    volume::require_tar(path, head, tail)
}

/// A listing as the core takes it.
fn listing(paths: Vec<String>, sizes: &[f64]) -> FileList {
    let sizes = sizes.iter().map(|size| *size as u64);
    paths.into_iter().zip(sizes).collect()
}
