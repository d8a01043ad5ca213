//! Streams on their way into the database: each row has the path of its stream.

use std::collections::HashSet;

use super::user::{PostgresUser, malformed, parse};
use crate::interrupt;
use crate::limits::MAX_STREAM_PATH_POSTGRES;
use crate::platform::Collection;
use crate::platform::sqlite::write::rows as files;
use crate::platform::write::RestoreError;

impl PostgresUser<'_, '_> {
    /// All of them, once all are known: parents may come after their children.
    pub(super) fn write_streams(&mut self) -> Result<(), RestoreError> {
        let lines = std::mem::take(&mut self.streams);
        for line in &lines {
            let fields = parse(Collection::Streams, line)?;
            let parent = fields.get("parentId").filter(|raw| *raw != "null");
            let id = files::id(&fields, "id");
            self.tree.add(id, parent.map(files::string));
        }
        // No two streams of a user have the same path: a deleted one gives way.
        let mut taken = HashSet::new();
        for deleted in [false, true] {
            for line in &lines {
                interrupt::check()?;
                let fields = parse(Collection::Streams, line)?;
                if fields.get("deleted").is_some_and(|raw| raw != "null") != deleted {
                    continue;
                }
                let id = files::id(&fields, "id");
                let was = self.stream_paths.remove(&id);
                let was = was.filter(|path| deleted && valid(path) && !taken.contains(path));
                let path = match was {
                    Some(path) => path,
                    None => self
                        .tree
                        .path(&id, MAX_STREAM_PATH_POSTGRES)
                        .map_err(|what| malformed(Collection::Streams, what))?,
                };
                self.record(Collection::Streams, line, Some(&path))?;
                taken.insert(path);
            }
        }
        Ok(())
    }
}

/// Whether a path of a deleted stream can be stored.
fn valid(path: &str) -> bool {
    path.len() <= MAX_STREAM_PATH_POSTGRES && !path.contains('\0')
}
