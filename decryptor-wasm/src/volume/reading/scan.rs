//! Reads a volume through, header by header.

use super::{Step, VolumeReading, WINDOW};
use crate::{
    Code, Error,
    layout::number_of,
    volume::{BLOCK, END, HEADER_MOST, Member, padding, read_header},
};

impl VolumeReading {
    /// Reads the headers in a window of a volume. `searching`: there is no header at `from`, and the next one is looked for.
    pub(super) fn scan(&mut self, volume: usize, from: u64, mut searching: bool, bytes: &[u8]) {
        let size = self.volumes[volume].size;
        let path = self.name(volume);
        let mut at = from;
        loop {
            let window = usize::try_from(at - from)
                .ok()
                .and_then(|skip| bytes.get(skip..))
                .unwrap_or_default();
            // There may be less than was listed.
            let last = (bytes.len() as u64) < WINDOW.min(size.saturating_sub(from))
                || from + bytes.len() as u64 >= size;
            if window.len() < HEADER_MOST && !last {
                self.step = Step::Scan {
                    volume,
                    at,
                    searching,
                };
                return;
            }
            if window.is_empty() {
                if !searching {
                    self.find(&path, &Error::of(Code::VolumeCut));
                }
                return self.begin_volume(volume + 1);
            }
            match read_header(window) {
                Ok(Some(header)) => {
                    searching = false;
                    let content = at + header.length as u64;
                    if number_of(&header.path, ".index").is_none() {
                        let there = size.saturating_sub(content);
                        self.add(
                            volume,
                            Member {
                                path: header.path,
                                offset: at,
                                size: header.size,
                            },
                        );
                        if there < header.size {
                            self.find(&path, &Error::of(Code::VolumeCut));
                            return self.begin_volume(volume + 1);
                        }
                    }
                    at = content
                        .saturating_add(header.size)
                        .saturating_add(padding(header.size) as u64);
                }
                Ok(None) => {
                    if at + END.len() as u64 != size {
                        self.find(&path, &Error::of(Code::VolumeLonger));
                    }
                    return self.begin_volume(volume + 1);
                }
                Err(error) => {
                    // One is named of each volume.
                    let named = self.members.findings.last();
                    let named = named
                        .is_some_and(|last| last.path == path && last.code == error.code().name());
                    if !searching && !named {
                        self.find(&path, &error);
                    }
                    searching = true;
                    at += BLOCK as u64;
                }
            }
        }
    }
}
