//! Obstacles to a restore, before anything is written.

use std::collections::{BTreeMap, HashSet};

use super::{
    Options, lines,
    report::Report,
    selection::{Conflict, Selection},
};
use crate::limits::INFLATION;
use crate::{
    advice::Advice,
    archive::read::Archive,
    config::Config,
    failure::Failure,
    platform::{
        Collection, User, running,
        write::{PlatformWriter, Room, Weight},
    },
};

/// Users and their target platform.
pub struct Coming<'a> {
    /// The platform.
    pub writer: &'a dyn PlatformWriter,
    /// Where everybody comes from.
    pub archive: &'a Archive,
    /// Who is to come.
    pub selection: &'a Selection,
    /// Those of them who cannot.
    pub found: &'a BTreeMap<String, Conflict>,
    /// Who is there.
    pub there: &'a [User],
}

impl Coming<'_> {
    /// Looks; what is no reason to stop is told in the report.
    pub fn look(
        &self,
        config: &Config,
        options: &Options,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut core = Vec::new();
        for obstacle in self.writer.obstacles(self.room())? {
            match obstacle.weight {
                Weight::Note => report.warnings.push(obstacle.what),
                Weight::Core => core.push(obstacle.what),
                Weight::Fatal => {
                    let what = format!("nothing was restored: {}", obstacle.what);
                    return Err(Failure::failed(what));
                }
            }
        }
        core.extend(running::signs_of_core(config));
        if core.is_empty() {
            return Ok(());
        }
        let found = format!("a Pryv.io core seems to be running: {}", core.join("; "));
        if options.dry_run || options.force {
            report.warnings.push(format!(
                "{found}; stop it before you restore, or restart it afterwards"
            ));
            return Ok(());
        }
        Err(
            Failure::failed(format!("nothing was restored: {found}. Stop it"))
                .advise(Advice::RestoreBesideCore),
        )
    }

    /// The room that the files of all need. Users who are there have theirs replaced one by one, so that only the largest of them counts.
    fn room(&self) -> Room {
        let there: HashSet<&str> = self
            .there
            .iter()
            .map(|user| user.user_id.as_str())
            .collect();
        let (mut all, mut largest) = (Room::default(), Room::default());
        for user in &self.selection.users {
            if self.found.contains_key(&user.source.user_id) {
                continue;
            }
            let own = self.room_of(&user.source.user_id);
            if there.contains(user.target.user_id.as_str()) {
                largest.least = largest.least.max(own.least);
                largest.likely = largest.likely.max(own.likely);
            } else {
                all.least += own.least;
                all.likely += own.likely;
            }
        }
        Room {
            least: all.least + largest.least,
            likely: all.likely + largest.likely,
        }
    }

    fn room_of(&self, user_id: &str) -> Room {
        let mut room = Room::default();
        if self.writer.keeps_in_files(None) {
            let sizes = lines::attachments(self.archive, user_id).map(|(_, file)| file.size);
            room.least = sizes.sum();
            room.likely = room.least;
        }
        for collection in Collection::ALL {
            if !self.writer.keeps_in_files(Some(collection)) {
                continue;
            }
            for file in lines::files(self.archive, user_id, collection) {
                // Rows hold the values that a record has, without the names of its members.
                let (least, likely) = match file.gzip {
                    true => (file.size, file.size * INFLATION),
                    false => (file.size / INFLATION, file.size),
                };
                room.least += least;
                room.likely += likely;
            }
        }
        room
    }
}
