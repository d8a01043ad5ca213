//! The manifests of the users, as many at once as a driver likes to read exchange by exchange.

use std::collections::BTreeMap;

use super::{
    Answer, ManifestNeed, Need,
    exchange::{Exchange, misplaced, too_long},
};
use crate::{
    DataKey, Error, ErrorKind, FileEntry, Manifest, Result,
    layout::{PathKind, most_bytes, refuse_long},
    plan::{Finding, ReadManifest, Severity, UserManifests, check_against_inventory},
};

/// So many are handed out before the first of them is answered, and of so many stored bytes together, but for a single one.
const AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: u64 = 16 * 1024 * 1024;

/// The run whose user manifests are read.
pub(super) struct Users<'r> {
    /// The prefix of the run's paths.
    pub(super) folder: &'r str,
    pub(super) run: u32,
    pub(super) key: Option<&'r DataKey>,
    pub(super) manifest: &'r Manifest,
    /// See [`super::OpenedRun::decrypted`].
    pub(super) decrypted: bool,
}

/// The manifests that were read, and the findings about them.
#[derive(Default)]
pub(super) struct FoundManifests {
    /// The facts of each manifest.
    pub(super) manifests: UserManifests,
    /// The damaged ones, in the order of the listing.
    pub(super) findings: Vec<Finding>,
    places: Vec<usize>,
}

impl Users<'_> {
    /// Asks for every manifest, and holds it against the inventory of the archive's own.
    pub(super) async fn read(
        &self,
        exchange: &Exchange,
        listing: &[(String, u64)],
    ) -> Result<FoundManifests> {
        let listed = self.manifest.inventory.as_ref();
        let listed = listed.map_or(&[][..], |inventory| &inventory.files);
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        for (place, entry) in (0..).zip(listed) {
            expected.insert(&entry.path, place);
        }
        let mut found = FoundManifests::default();
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
            // The last one that is put is handed out first.
            for (number, place) in asked.iter_mut().rev() {
                let (path, size) = &listing[*place];
                *number = exchange.put(self.need(path, *size));
            }
            if asked.is_empty() && left.clone().next().is_none() {
                return Ok(found);
            }
            for _ in 0..asked.len() {
                let (number, answer) = exchange.answer().await;
                // Their numbers go down.
                let at = asked.partition_point(|(known, _)| *known > number);
                let (_, place) = *asked.get(at).ok_or_else(misplaced)?;
                let path = listing[place].0.as_str();
                let entry = expected.get(path).and_then(|at| listed.get(*at as usize));
                match self.checked(answer, path, entry) {
                    Ok(manifest) => found.manifests.add(path, manifest),
                    Err(error) => found.note(place, path, error)?,
                }
            }
        }
    }

    fn need(&self, path: &str, size: u64) -> Need {
        Need::Content(ManifestNeed {
            path: format!("{}{path}", self.folder),
            run: self.run,
            key: self.key.cloned(),
            stored: None,
            size,
            most: most_bytes(path),
        })
    }

    /// Checks a manifest, and keeps of it what the plan needs.
    fn checked(
        &self,
        answer: Result<Answer>,
        path: &str,
        expected: Option<&FileEntry>,
    ) -> Result<ReadManifest> {
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
            check_against_inventory(
                &expected.into(),
                &summary,
                sha256.as_deref(),
                self.decrypted,
            )?;
        }
        Ok(ReadManifest::parse(&bytes, path))
    }
}

impl FoundManifests {
    /// Notes a manifest that is damaged; any other error ends the walk.
    fn note(&mut self, place: usize, path: &str, error: Error) -> Result<()> {
        let error = error.at(path);
        if error.kind() != ErrorKind::Damaged {
            return Err(error);
        }
        self.manifests.add(path, ReadManifest::Damaged);
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
