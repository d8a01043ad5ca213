//! Where the files of an archive are: separate files, and members of volumes.

use super::header;
use crate::{
    Code, Error,
    finding::{Finding, Severity},
    layout::run_of,
};

/// The files of a folder, or of a single tar file, and where each is.
#[derive(Debug, Default)]
pub struct Members {
    /// Every file with its size in bytes, in the order of the paths: separate files, volumes among them, and the members of volumes.
    pub files: Vec<(String, u64)>,
    /// What is wrong with the volumes.
    pub findings: Vec<Finding>,
    /// Whether members are known from indexes, which anyone may have changed. Read the volumes through before you report a file as missing.
    pub indexed: bool,
    /// Paths of the volumes.
    pub(super) volumes: Vec<String>,
    /// In the order of the paths.
    pub(super) places: Vec<(String, Place)>,
}

/// The files of a folder, as the walk over an archive takes them.
#[derive(Debug, Default)]
pub struct Listed {
    /// Paths with `/`, and sizes.
    pub files: Vec<(String, u64)>,
    /// What is wrong with the volumes among them.
    pub findings: Vec<Finding>,
    /// See [`Members::indexed`].
    pub indexed: bool,
}

/// The place of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which volume; see [`Members::volume`].
    pub volume: usize,
    /// Where its header begins.
    pub offset: u64,
    /// Bytes of its content.
    pub size: u64,
}

impl Members {
    /// The place of a file; none for a separate one.
    pub fn place(&self, path: &str) -> Option<Place> {
        let known = |(known, _): &(String, Place)| known.as_str().cmp(path);
        let at = self.places.binary_search_by(known).ok()?;
        Some(self.places[at].1)
    }

    /// The path of a volume, from the folder that was listed; empty for a single tar file.
    pub fn volume(&self, place: Place) -> &str {
        self.volumes.get(place.volume).map_or("", String::as_str)
    }

    /// The header that must be at the place of `path`, or another file lies there.
    pub fn header(&self, path: &str, place: Place) -> Vec<u8> {
        let within = match self.volume(place).is_empty() {
            true => path,
            false => run_of(path).map_or(path, |(_, within)| within),
        };
        header(within, place.size)
    }

    /// Takes out the files and findings, for the walk over them; the places stay.
    pub fn take_listed(&mut self) -> Listed {
        Listed {
            files: std::mem::take(&mut self.files),
            findings: std::mem::take(&mut self.findings),
            indexed: self.indexed,
        }
    }

    /// Whether any file is in a volume.
    pub fn has_volumes(&self) -> bool {
        !self.volumes.is_empty()
    }

    /// Brings the files into their order, and names those that are there more than once. `found`: in the order of the volumes, and of the
    /// members in each.
    pub(super) fn arrange(&mut self, found: Vec<(String, Place)>) {
        let mut order = Vec::with_capacity(found.len());
        let mut places = Vec::with_capacity(found.len());
        for (at, (path, place)) in (0..).zip(found) {
            order.push((path, at));
            places.push(place);
        }
        sort(&mut order);
        let mut separate = std::mem::take(&mut self.files).into_iter().peekable();
        for (path, at) in order {
            // Of several, the first one stays.
            if self.places.last().is_some_and(|(last, _)| *last == path) {
                self.damaged(&path, &Error::of(Code::VolumeDoubled));
                continue;
            }
            while let Some(file) = separate.next_if(|(other, _)| *other <= path) {
                if file.0 == path {
                    self.findings.push(Finding {
                        severity: Severity::Warning,
                        code: "volume-beside",
                        path: path.clone(),
                        message: "lies beside the volumes too; the one in its volume is read"
                            .to_owned(),
                    });
                } else {
                    self.files.push(file);
                }
            }
            let place = places[at as usize];
            self.files.push((path.clone(), place.size));
            self.places.push((path, place));
        }
        self.files.extend(separate);
    }

    /// Takes note of damage of the file at `path`.
    pub(super) fn damaged(&mut self, path: &str, error: &Error) {
        self.findings.push(Finding::damage(path, error));
    }
}

/// Sorts by path, then number. Called from here only: each further call would add its code to the WASM file again.
pub(super) fn sort(files: &mut [(String, u64)]) {
    files.sort_unstable();
}
