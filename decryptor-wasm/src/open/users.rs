//! The manifests of the users, as many at once as a driver likes to read side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Answer, Need, Sealed,
    desk::{Side, misplaced, too_long},
};
use crate::{
    DataKey, Error, ErrorKind, FileEntry, Manifest, Result,
    layout::{PathKind, most_bytes, refuse_long},
    plan::{Finding, Severity, judge},
};

/// So many are handed out before the first of them is answered, and of so many stored bytes together, but for a single one.
const AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: u64 = 16 * 1024 * 1024;

/// Where the manifests lie, and how they are opened.
pub(super) struct Users<'r> {
    /// What begins the paths of the run.
    pub(super) folder: &'r str,
    pub(super) run: u32,
    pub(super) key: Option<&'r DataKey>,
    pub(super) manifest: &'r Manifest,
    /// See [`super::OpenedRun::decrypted`].
    pub(super) decrypted: bool,
}

/// What the manifests come to.
#[derive(Default)]
pub(super) struct UserManifests {
    /// The content of each, by its path.
    pub(super) contents: BTreeMap<String, Vec<u8>>,
    /// The paths of those that are damaged.
    pub(super) damaged: BTreeSet<String>,
    /// What is wrong with the others, in the order of the listing.
    pub(super) findings: Vec<Finding>,
    places: Vec<usize>,
}

impl Users<'_> {
    /// Asks for every manifest, and holds it against the inventory of the archive's own.
    pub(super) async fn read(
        &self,
        side: &Side,
        listing: &[(String, u64)],
    ) -> Result<UserManifests> {
        let listed = self.manifest.inventory.as_ref();
        let listed = listed.map_or(&[][..], |inventory| &inventory.files);
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        for (place, entry) in (0..).zip(listed) {
            expected.insert(&entry.path, place);
        }
        let mut found = UserManifests::default();
        let is_manifest = |path: &str| matches!(PathKind::of(path), PathKind::UserManifest { .. });
        let mut left = (0..listing.len()).filter(|place| is_manifest(&listing[*place].0));
        loop {
            let mut asked: Vec<(u32, usize)> = Vec::new();
            let mut bytes = 0;
            while asked.len() < AT_ONCE
                && bytes < BYTES_AT_ONCE
                && let Some(place) = left.next()
            {
                let (path, size) = &listing[place];
                bytes = bytes.saturating_add(*size);
                match refuse_long(path, *size) {
                    Ok(()) => asked.push((0, place)),
                    Err(error) => found.note(place, path, error)?,
                }
            }
            // What is put down last is handed out first.
            for (number, place) in asked.iter_mut().rev() {
                let (path, size) = &listing[*place];
                *number = side.put(self.need(path, *size));
            }
            if asked.is_empty() && left.clone().next().is_none() {
                return Ok(found);
            }
            for _ in 0..asked.len() {
                let (number, answer) = side.answer().await;
                // Their numbers go down.
                let at = asked.partition_point(|(known, _)| *known > number);
                let (_, place) = *asked.get(at).ok_or_else(misplaced)?;
                let path = listing[place].0.as_str();
                let entry = expected.get(path).and_then(|at| listed.get(*at as usize));
                match self.judged(answer, path, entry) {
                    Ok(bytes) => drop(found.contents.insert(path.to_owned(), bytes)),
                    Err(error) => found.note(place, path, error)?,
                }
            }
        }
    }

    fn need(&self, path: &str, size: u64) -> Need {
        Need::Content(Sealed {
            path: format!("{}{path}", self.folder),
            run: self.run,
            key: self.key.cloned(),
            stored: None,
            size,
            most: most_bytes(path),
        })
    }

    fn judged(
        &self,
        answer: Result<Answer>,
        path: &str,
        expected: Option<&FileEntry>,
    ) -> Result<Vec<u8>> {
        let (bytes, summary, sha256) = match answer? {
            Answer::Content {
                bytes,
                summary,
                sha256,
            } => (bytes, summary, sha256),
            Answer::TooLong => return Err(too_long(path)),
            _ => return Err(misplaced()),
        };
        if let Some(expected) = expected {
            judge(expected, &summary, sha256.as_deref(), self.decrypted)?;
        }
        Ok(bytes)
    }
}

impl UserManifests {
    /// Notes a manifest that is damaged; any other error ends the walk.
    fn note(&mut self, place: usize, path: &str, error: Error) -> Result<()> {
        let error = error.within(path);
        if error.kind() != ErrorKind::Damaged {
            return Err(error);
        }
        self.damaged.insert(path.to_owned());
        let at = self.places.partition_point(|known| *known < place);
        self.places.insert(at, place);
        self.findings.insert(
            at,
            Finding {
                severity: Severity::Error,
                code: "damaged",
                path: path.to_owned(),
                message: error.to_string(),
            },
        );
        Ok(())
    }
}
