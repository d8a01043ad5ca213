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
    /// Whether members are known from indexes, which anyone may have changed: before a file is said to be missing, the volumes are to be
    /// read through.
    pub indexed: bool,
    /// Paths of the volumes.
    pub(super) volumes: Vec<String>,
    /// In the order of the paths.
    pub(super) places: Vec<(String, Place)>,
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

    /// Whether any file is in a volume.
    pub fn has_volumes(&self) -> bool {
        !self.volumes.is_empty()
    }

    /// Brings the files into their order, and names those that are there more than once.
    pub(super) fn arrange(&mut self, found: Vec<(String, Place)>) {
        self.places = found;
        // Of several, the first one stays.
        self.places
            .sort_by(|a, b| (&a.0, a.1.volume, a.1.offset).cmp(&(&b.0, b.1.volume, b.1.offset)));
        let mut doubled = Vec::new();
        self.places.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                doubled.push(first.0.clone());
            }
            same
        });
        doubled.dedup();
        for path in doubled {
            self.damaged(&path, &Error::of(Code::VolumeDoubled));
        }
        let places = &self.places;
        let member = |path: &str| {
            places
                .binary_search_by(|(known, _)| known.as_str().cmp(path))
                .is_ok()
        };
        let mut beside = Vec::new();
        self.files.retain(|(path, _)| {
            let is_member = member(path);
            if is_member {
                beside.push(path.clone());
            }
            !is_member
        });
        for path in beside {
            self.findings.push(Finding {
                severity: Severity::Warning,
                code: "volume-beside",
                path,
                message: "lies beside the volumes too; the one in its volume is read".to_owned(),
            });
        }
        self.files.extend(
            self.places
                .iter()
                .map(|(path, place)| (path.clone(), place.size)),
        );
        self.files.sort();
    }

    /// Takes note of damage of the file at `path`.
    pub(super) fn damaged(&mut self, path: &str, error: &Error) {
        self.findings.push(Finding {
            severity: Severity::Error,
            code: error.code().name(),
            path: path.to_owned(),
            message: error.to_string(),
        });
    }
}
