//! The files of an archive, as far as they are small and lie near each other in volumes.

use super::{
    FileStep, OpenedArchive,
    small::{Ordered, Way},
};
use crate::{
    plan::PlannedFile,
    volume::{Members, Range},
};

/// Small files of an archive that lie near each other in a volume.
pub struct FileBlock {
    /// Where they lie.
    pub range: Range,
    /// Stored bytes of them together.
    pub size: u64,
    /// Their places in the plan.
    pub places: Vec<u32>,
    /// The users whose they are, in that order, and how many are of each; an empty id for those of none.
    pub users: Vec<(String, u32)>,
    /// What each should be, for [`super::SmallReader::check`]: bytes that can cross to another thread.
    pub order: Vec<u8>,
}

impl OpenedArchive {
    /// The blocks of so many files from a place of the plan on, of an archive by itself; the places of files that are large or in no volume
    /// are added to `others`.
    pub fn blocks(
        &self,
        members: &Members,
        from: usize,
        count: usize,
        others: &mut Vec<u32>,
    ) -> Vec<FileBlock> {
        let files = self.files();
        let places = from.min(files.len())..from.saturating_add(count).min(files.len());
        if !members.has_volumes() {
            others.extend(places.filter_map(|at| u32::try_from(at).ok()));
            return Vec::new();
        }
        let mut planned: Vec<PlannedFile> = Vec::with_capacity(places.len());
        planned.extend(files.within(places.clone()));
        let first = places.start;
        let mut paths = planned.iter().zip(places).filter_map(|(file, place)| {
            let place = u32::try_from(place).ok()?;
            Some((place, file.path.clone()))
        });
        let mut blocks = Vec::new();
        for block in members.blocks(&mut paths, others) {
            let mut of_plan = FileBlock {
                range: block.range,
                size: 0,
                places: Vec::with_capacity(block.members.len()),
                users: Vec::new(),
                order: Vec::new(),
            };
            for (place, member) in block.members {
                let Some(file) = planned.get(place as usize - first) else {
                    continue;
                };
                let user = file.user().unwrap_or_default();
                match of_plan.users.last_mut() {
                    Some((last, files)) if last == user => *files += 1,
                    _ => of_plan.users.push((user.to_owned(), 1)),
                }
                let step = FileStep::of(file, true, true);
                let way = Way {
                    encrypted: step.encrypted,
                    gunzip: step.gunzip,
                    lines: step.lines,
                };
                let ordered = Ordered {
                    member,
                    way,
                    expected: file.expected.clone(),
                };
                ordered.pack(&mut of_plan.order);
                of_plan.places.push(place);
                of_plan.size += file.size;
            }
            blocks.push(of_plan);
        }
        blocks
    }
}
