//! Finds the members of volumes: by their indexes where those hold, and header by header where they do not.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Member, Members, TAIL, VolumeIndex, VolumeList,
    members::{Found, Place},
};
use crate::{
    Code, Error, ErrorKind,
    finding::{Finding, Severity},
    gather,
    layout::{PathKind, RUN, SIGNATURE, VOLUMES, index_name, most_bytes, number_of, run_of},
    listing::FileList,
};

mod scan;

/// The code of the finding for a volume that the list of its run does not name.
pub const VOLUME_LEFT: &str = "volume-left";

/// Bytes that are asked for at once while a volume is read through.
const WINDOW: u64 = 64 * 1024;

/// A part of a stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The file, from the folder that was listed; empty for a single tar file.
    pub path: String,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes; the file may have fewer.
    pub length: u64,
}

/// Finds the members of the volumes in a folder. Give it the bytes of each [`VolumeReading::next_range`] until there is none.
pub struct VolumeReading {
    members: Members,
    found: Found,
    /// The same in volumes that no list names.
    found_left: Found,
    volumes: Vec<Volume>,
    /// The lists of volumes, by the folders of their runs.
    lists: Vec<String>,
    /// What a single tar file is called where something is wrong with it.
    tar: String,
    scan: bool,
    step: Step,
}

/// A volume that is there.
struct Volume {
    /// The prefix of its run: empty, or `increments/0002/`.
    folder: String,
    number: u32,
    path: String,
    size: u64,
    /// Where its index begins, as its run's list says.
    index: Option<u64>,
    /// In an object store, no list of a finished run names it: an attempt to write the run left it. It is read only where something is amiss.
    left: bool,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Reads the list of this number.
    List(usize),
    /// Looks for the index from the end of a volume.
    Tail(usize),
    /// Reads an index.
    Index(usize, u64),
    /// Reads through a volume.
    Scan {
        volume: usize,
        at: u64,
        searching: bool,
    },
    Done,
}

impl VolumeReading {
    /// Of the volumes in a folder; `files`: every file in it with its size in bytes. With `scan`, no index is believed.
    pub fn new(files: FileList, scan: bool) -> Self {
        // In an object store the signature is the last file of a run.
        let is_unfinished = |folder: &str| {
            let signature = format!("{folder}{SIGNATURE}");
            !folder.is_empty() && files.has(RUN) && !files.has(&signature)
        };
        let (mut volumes, mut lists) = (Vec::new(), Vec::new());
        for (path, size) in files.iter() {
            let Some((_, within)) = run_of(&path) else {
                continue;
            };
            let folder = &path[..path.len() - within.len()];
            if within == VOLUMES && !is_unfinished(folder) {
                lists.push(folder.to_owned());
            }
            if let Some(number) = number_of(within, ".tar") {
                volumes.push(Volume {
                    folder: folder.to_owned(),
                    number,
                    path: path.clone(),
                    size,
                    index: None,
                    left: is_unfinished(folder),
                });
            }
        }
        VolumeReading::of(files, volumes, lists, scan)
    }

    /// Of a single tar file of `size` bytes, which holds a whole archive; `name`: what it is called where something is wrong with it.
    pub fn of_tar(name: &str, size: u64, scan: bool) -> Self {
        let volume = Volume {
            folder: String::new(),
            number: 1,
            path: String::new(),
            size,
            index: None,
            left: false,
        };
        let mut reading = VolumeReading::of(FileList::default(), vec![volume], Vec::new(), scan);
        name.clone_into(&mut reading.tar);
        reading
    }

    fn of(files: FileList, volumes: Vec<Volume>, lists: Vec<String>, scan: bool) -> Self {
        let mut reading = VolumeReading {
            members: Members {
                files: Arc::new(files),
                volumes: volumes.iter().map(|volume| volume.path.clone()).collect(),
                ..Members::default()
            },
            found: Found::default(),
            found_left: Found::default(),
            volumes,
            lists,
            tar: String::new(),
            scan,
            step: Step::List(0),
        };
        reading.begin_list(0);
        reading
    }

    /// The bytes that are needed next; none when all members are known.
    pub fn next_range(&self) -> Option<Range> {
        let range = |volume: usize, offset: u64, length: u64| Range {
            path: self.volumes[volume].path.clone(),
            offset,
            length,
        };
        Some(match self.step {
            Step::List(list) => Range {
                path: format!("{}{VOLUMES}", self.lists[list]),
                offset: 0,
                length: most_bytes(VOLUMES),
            },
            Step::Tail(volume) => {
                let offset = self.volumes[volume].size.saturating_sub(TAIL);
                range(volume, offset, TAIL)
            }
            Step::Index(volume, at) => range(volume, at, self.volumes[volume].size - at),
            Step::Scan { volume, at, .. } => range(volume, at, WINDOW),
            Step::Done => return None,
        })
    }

    /// Takes the bytes of the range that was asked for.
    pub fn give(&mut self, bytes: &[u8]) {
        match self.step {
            Step::List(list) => {
                self.take_list(list, bytes);
                self.begin_list(list + 1);
            }
            Step::Tail(volume) => match VolumeIndex::find(bytes, self.volumes[volume].number) {
                Some(at) => self.begin_index(volume, at),
                // That of a large tar file would be too long.
                None if self.volumes[volume].path.is_empty() => self.begin_scan(volume),
                None => self.no_index(volume, &Error::of(Code::VolumeIndexLost)),
            },
            Step::Index(volume, at) => {
                match VolumeIndex::read(bytes, at, self.volumes[volume].number) {
                    Ok(members) => {
                        self.members.indexed = true;
                        for member in members {
                            self.add(volume, member);
                        }
                        self.begin_volume(volume + 1);
                    }
                    Err(error) => self.no_index(volume, &error),
                }
            }
            Step::Scan {
                volume,
                at,
                searching,
            } => self.scan(volume, at, searching, bytes),
            Step::Done => {}
        }
    }

    /// The members, when all are known.
    pub fn finish(mut self) -> Members {
        let mut found = std::mem::take(&mut self.found);
        let left = std::mem::take(&mut self.found_left);
        if !left.places.is_empty() {
            let known: BTreeSet<String> = gather(found.paths.iter().map(|(path, _)| path));
            for ((path, _), place) in left.paths.iter().zip(left.places) {
                if !known.contains(&path) {
                    found.push(&path, place);
                }
            }
        }
        if self.members.has_volumes() {
            self.members.arrange(found);
        }
        self.members
    }

    fn begin_list(&mut self, list: usize) {
        if list < self.lists.len() {
            self.step = Step::List(list);
            return;
        }
        let mut without = Vec::new();
        for volume in &self.volumes {
            if !volume.path.is_empty()
                && !volume.left
                && !self.lists.contains(&volume.folder)
                && !without.contains(&volume.folder)
            {
                without.push(volume.folder.clone());
            }
        }
        for volume in self.volumes.iter().filter(|volume| volume.left) {
            self.members.findings.push(Finding {
                severity: Severity::Warning,
                code: VOLUME_LEFT,
                path: volume.path.clone(),
                message: "volumes.json does not name it: a run that was not finished left it, or somebody put it there".to_owned(),
            });
        }
        for folder in without {
            self.find(
                &format!("{folder}{VOLUMES}"),
                &Error::of(Code::VolumesMissing),
            );
        }
        self.begin_volume(0);
    }

    /// Learns from a list where the indexes are, and which volumes are missing.
    fn take_list(&mut self, list: usize, bytes: &[u8]) {
        let folder = self.lists[list].clone();
        let listed = match VolumeList::parse(bytes) {
            Ok(listed) => listed.volumes,
            Err(error) => {
                let mut finding = Finding::damage(&format!("{folder}{VOLUMES}"), &error);
                if error.kind() == ErrorKind::Unsupported {
                    finding.severity = Severity::Warning;
                }
                return self.members.findings.push(finding);
            }
        };
        // Elsewhere nobody leaves a volume that is not named.
        let lists_itself = self.members.files.has(&format!("{folder}{RUN}"));
        for there in &mut self.volumes {
            there.left |= there.folder == folder && lists_itself;
        }
        for volume in listed {
            let path = format!("{folder}{}", volume.name);
            let there = self.volumes.iter_mut().find(|there| there.path == path);
            match there {
                Some(there) => {
                    there.left = false;
                    there.index = Some(volume.index).filter(|_| there.size == volume.size)
                }
                // Whoever unpacked the volumes has the index of each as a file, and the files.
                None => {
                    let number = number_of(&volume.name, ".tar").unwrap_or_default();
                    let unpacked = format!("{folder}{}", index_name(number));
                    let there = self.members.files.has(&unpacked);
                    if !(there && self.has_separate(&folder)) {
                        self.find(&path, &Error::of(Code::VolumeMissing));
                    }
                }
            }
        }
    }

    /// Whether files of a run that volumes can hold lie in its folder.
    fn has_separate(&self, folder: &str) -> bool {
        let mut files = self.members.files.iter();
        files.any(|(path, _)| {
            let within = path.strip_prefix(folder).unwrap_or_default();
            let kind = PathKind::of(within);
            !kind.is_separate() && kind != PathKind::Stray
        })
    }

    fn begin_volume(&mut self, volume: usize) {
        let mut rest = self.volumes.iter().skip(volume);
        let skipped = match self.scan {
            true => 0,
            false => rest.by_ref().take_while(|volume| volume.left).count(),
        };
        // A list may be wrong as an index may.
        self.members.indexed |= skipped > 0;
        let volume = volume + skipped;
        let Some(next) = self.volumes.get(volume) else {
            self.step = Step::Done;
            return;
        };
        match next.index {
            _ if self.scan => self.begin_scan(volume),
            Some(at) => self.begin_index(volume, at),
            None => self.step = Step::Tail(volume),
        }
    }

    fn begin_index(&mut self, volume: usize, at: u64) {
        let size = self.volumes[volume].size;
        self.step = Step::Index(volume, at);
        if at >= size || size - at > most_bytes(&index_name(1)) {
            self.no_index(volume, &Error::of(Code::VolumeIndexLost));
        }
    }

    /// What a volume is called.
    fn name(&self, volume: usize) -> String {
        match self.volumes[volume].path.as_str() {
            "" => self.tar.clone(),
            path => path.to_owned(),
        }
    }

    fn no_index(&mut self, volume: usize, error: &Error) {
        let path = self.name(volume);
        self.find(&path, error);
        self.begin_scan(volume);
    }

    fn begin_scan(&mut self, volume: usize) {
        let (at, searching) = (0, false);
        self.step = Step::Scan {
            volume,
            at,
            searching,
        };
    }

    /// Adds a member, if a volume may hold it.
    fn add(&mut self, volume: usize, member: Member) {
        let Volume { folder, path, .. } = &self.volumes[volume];
        let kind = PathKind::of(&member.path);
        let foreign = match path.is_empty() {
            true => kind == PathKind::Volume,
            false => kind.is_separate() || run_of(&member.path).is_none_or(|(run, _)| run > 1),
        };
        let path = format!("{folder}{}", member.path);
        if foreign {
            return self.find(&path, &Error::of(Code::VolumeForeign));
        }
        let place = Place {
            volume,
            offset: member.offset,
            size: member.size,
        };
        match self.volumes[volume].left {
            true => self.found_left.push(&path, place),
            false => self.found.push(&path, place),
        }
    }

    fn find(&mut self, path: &str, error: &Error) {
        let left = |volume: &&Volume| volume.left && volume.path == path;
        // What an attempt left proves nothing.
        if self.volumes.iter().find(left).is_none() {
            self.members.damaged(path, error);
        }
    }
}
