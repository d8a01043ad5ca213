//! Where the files of an archive are: separate files, and members of volumes.

use std::sync::Arc;

use super::header;
use crate::{
    Code, Error,
    finding::{Finding, Severity},
    layout::run_of,
    listing::FileList,
};

/// The files of a folder, or of a single tar file, and where each is.
#[derive(Debug, Default)]
pub struct Members {
    /// Every file with its size in bytes, in the order of the paths: separate files, volumes among them, and the members of volumes.
    pub files: Arc<FileList>,
    /// What is wrong with the volumes.
    pub findings: Vec<Finding>,
    /// Whether members are known from indexes, which anyone may have changed. Read the volumes through before you report a file as missing.
    pub indexed: bool,
    /// Paths of the volumes.
    pub(super) volumes: Vec<String>,
    /// Which volume each of the files is in, and where, by its place in `files`; nothing where there are no volumes.
    pub(super) places: Vec<PackedPlace>,
}

/// The files of a folder, as the walk over an archive takes them.
#[derive(Debug, Default)]
pub struct Listed {
    /// Paths with `/`, and sizes.
    pub files: Arc<FileList>,
    /// What is wrong with the volumes among them.
    pub findings: Vec<Finding>,
    /// See [`Members::indexed`].
    pub indexed: bool,
    /// Where the members are, for a driver that reads many of them at once; see [`Members::blocks`].
    pub members: Option<Arc<Members>>,
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

/// Instead of a volume, for a file that is in none.
const SEPARATE: u32 = u32::MAX;

/// The place of a member, without its size; the offset in two halves, so that nothing is left between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedPlace {
    volume: u32,
    offset: [u32; 2],
}

impl PackedPlace {
    const SEPARATE: PackedPlace = PackedPlace {
        volume: SEPARATE,
        offset: [0; 2],
    };

    fn of(place: Place) -> Self {
        PackedPlace {
            volume: place.volume as u32,
            offset: [(place.offset >> 32) as u32, place.offset as u32],
        }
    }
}

impl Members {
    /// The place of a file; none for a separate one.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.place_of(self.files.find(path)?)
    }

    /// The same of the file at a place of `files`.
    pub(super) fn place_of(&self, at: usize) -> Option<Place> {
        let PackedPlace { volume, offset } = *self.places.get(at)?;
        (volume != SEPARATE).then(|| Place {
            volume: volume as usize,
            offset: u64::from(offset[0]) << 32 | u64::from(offset[1]),
            size: self.files.size(at),
        })
    }

    /// The path of a volume, from the folder that was listed; empty for a single tar file.
    pub fn volume(&self, place: Place) -> &str {
        self.volumes.get(place.volume).map_or("", String::as_str)
    }

    /// The header that must be at the place of `path`, or another file lies there.
    pub fn header(&self, path: &str, place: Place) -> Vec<u8> {
        header(self.path_within(path, place), place.size)
    }

    /// What the member at the place of `path` is called in its volume.
    pub(super) fn path_within<'p>(&self, path: &'p str, place: Place) -> &'p str {
        match self.volume(place).is_empty() {
            true => path,
            false => run_of(path).map_or(path, |(_, within)| within),
        }
    }

    /// Files and findings, for the walk over them; the findings are taken out.
    pub fn take_listed(&mut self) -> Listed {
        Listed {
            files: self.files.clone(),
            findings: std::mem::take(&mut self.findings),
            indexed: self.indexed,
            members: None,
        }
    }

    /// The same, with the places of the members.
    pub fn listed(members: &Arc<Members>) -> Listed {
        Listed {
            files: members.files.clone(),
            findings: members.findings.clone(),
            indexed: members.indexed,
            members: Some(members.clone()),
        }
    }

    /// Whether any file is in a volume.
    pub fn has_volumes(&self) -> bool {
        !self.volumes.is_empty()
    }

    /// Brings the files into their order, and names those that are there more than once.
    pub(super) fn arrange(&mut self, mut found: Found) {
        // In place of the sizes stand the numbers of the places.
        found.paths.sort();
        let separate = std::mem::take(&mut self.files);
        let mut separate = separate.iter().peekable();
        let mut files = FileList::default();
        for at in 0..found.paths.len() {
            let path = found.paths.path(at);
            // Of several, the first one stays.
            if at > 0 && found.paths.path(at - 1) == path {
                self.damaged(&path, &Error::of(Code::VolumeDoubled));
                continue;
            }
            while let Some((other, size)) = separate.next_if(|(other, _)| *other <= path) {
                if other == path {
                    self.findings.push(Finding {
                        severity: Severity::Warning,
                        code: "volume-beside",
                        path: path.clone(),
                        message: "lies beside the volumes too; the one in its volume is read"
                            .to_owned(),
                    });
                } else {
                    files.push(&other, size);
                    self.places.push(PackedPlace::SEPARATE);
                }
            }
            let Some(place) = found.places.get(found.paths.size(at) as usize) else {
                continue;
            };
            files.push(&path, place.size);
            self.places.push(PackedPlace::of(*place));
        }
        for (path, size) in separate {
            files.push(&path, size);
            self.places.push(PackedPlace::SEPARATE);
        }
        files.shrink();
        self.places.shrink_to_fit();
        self.files = Arc::new(files);
    }

    /// Takes note of damage of the file at `path`.
    pub(super) fn damaged(&mut self, path: &str, error: &Error) {
        self.findings.push(Finding::damage(path, error));
    }
}

/// Members that were found, in the order of the volumes and of the members in each.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The paths, with the numbers of the places.
    pub(super) paths: FileList,
    pub(super) places: Vec<Place>,
}

impl Found {
    pub(super) fn push(&mut self, path: &str, place: Place) {
        self.paths.push(path, self.places.len() as u64);
        self.places.push(place);
    }
}
