//! The manifests of the users, as many at once as a driver likes to read exchange by exchange.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Answer, ManifestNeed, Need,
    exchange::{Exchange, misplaced, too_long},
    small::ManifestBlock,
};
use crate::{
    DataKey, ErrorKind, Manifest, Result, gather,
    layout::{PathKind, most_bytes, refuse_long},
    listing::FileList,
    plan::{
        Expected, Finding, ReadManifest, Severity, SortedInventory, UserManifests,
        check_against_inventory,
    },
    volume::Members,
};

/// So many are handed out before the first of them is answered, and of so many stored bytes together, but for a single one.
const AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: u64 = 16 * 1024 * 1024;

/// Manifests that are read at once: the place of each in the listing, and what came of it.
type Batch = Vec<(usize, Option<Result<ReadManifest>>)>;

/// The run whose user manifests are read.
pub(super) struct Users<'r> {
    /// The prefix of the run's paths.
    pub(super) folder: &'r str,
    pub(super) run: u32,
    pub(super) key: Option<&'r DataKey>,
    pub(super) manifest: &'r Manifest,
    /// The files that it lists.
    pub(super) own: &'r SortedInventory,
    /// The ids of the users who are read; none: all.
    pub(super) only: Option<&'r BTreeSet<String>>,
    /// See [`super::OpenedRun::decrypted`].
    pub(super) decrypted: bool,
}

/// The manifests that were read, and the findings about them.
pub(super) struct FoundManifests<'r> {
    /// The facts of each manifest.
    pub(super) manifests: UserManifests<'r>,
    /// The damaged ones, in the order of the listing.
    pub(super) findings: Vec<Finding>,
}

impl<'r> Users<'r> {
    /// Asks for every manifest, and holds it against the inventory of the archive's own.
    pub(super) async fn read(
        &self,
        exchange: &Exchange,
        listing: &Arc<FileList>,
    ) -> Result<FoundManifests<'r>> {
        let sealed = self.key.is_some();
        let mut found = FoundManifests {
            manifests: UserManifests::due(self.manifest, self.own, listing.clone(), sealed),
            findings: Vec::new(),
        };
        let is_read =
            |place: &usize| !listing.repeats(*place) && self.is_read(&listing.path(*place));
        let mut left = (0..listing.len()).filter(is_read);
        loop {
            let mut batch: Batch = Vec::new();
            let mut bytes = 0;
            while batch.len() < AT_ONCE
                && bytes < BYTES_AT_ONCE
                && let Some(place) = left.next()
            {
                let (path, size) = (listing.path(place), listing.size(place));
                bytes = bytes.saturating_add(size);
                batch.push((place, refuse_long(&path, size).err().map(Err)));
            }
            if batch.is_empty() {
                return Ok(found);
            }
            if let Some(members) = exchange.members() {
                self.read_blocks(exchange, listing, &members, &mut batch)
                    .await?;
            }
            self.read_each(exchange, listing, &mut batch).await?;
            for (place, read) in batch {
                found.add(&listing.path(place), read.ok_or_else(misplaced)?)?;
            }
        }
    }

    /// Asks for those that lie near each other in volumes, block by block. What is not as it should be is not read by that.
    async fn read_blocks(
        &self,
        exchange: &Exchange,
        listing: &FileList,
        members: &Members,
        batch: &mut Batch,
    ) -> Result<()> {
        let paths: Vec<String> = gather(
            batch
                .iter()
                .map(|(place, _)| format!("{}{}", self.folder, listing.path(*place))),
        );
        for block in members.blocks(&mut (0..).zip(paths), &mut Vec::new()) {
            let block = ManifestBlock::new(block, self.key.cloned(), exchange.cipher());
            let contents = match exchange.ask(Need::Block(block.clone())).await.1 {
                Ok(Answer::Block(contents)) => contents,
                // Each of them is asked for, and what is wrong with it is said then.
                Err(_) => continue,
                Ok(_) => return Err(misplaced()),
            };
            for (number, content) in block.numbers().zip(contents) {
                let (Some((bytes, summary, sha256)), Some((place, read @ None))) =
                    (content, batch.get_mut(number as usize))
                else {
                    continue;
                };
                let path = listing.path(*place);
                let content = Answer::Content {
                    bytes,
                    summary,
                    sha256: Some(sha256),
                };
                let checked = self.checked(Ok(content), &path, self.own.find(&path));
                *read = checked.ok().map(Ok);
            }
        }
        Ok(())
    }

    /// Asks for each of those that are not read.
    async fn read_each(
        &self,
        exchange: &Exchange,
        listing: &FileList,
        batch: &mut Batch,
    ) -> Result<()> {
        // Numbers of the needs, and which of the batch each is for.
        let mut asked: Vec<(u32, usize)> = Vec::new();
        for (at, (_, read)) in batch.iter().enumerate() {
            if read.is_none() {
                asked.push((0, at));
            }
        }
        // The last one that is put is handed out first.
        for (number, at) in asked.iter_mut().rev() {
            let (place, _) = batch.get(*at).ok_or_else(misplaced)?;
            let need = self.need(&listing.path(*place), listing.size(*place));
            *number = exchange.put(need);
        }
        for _ in 0..asked.len() {
            let (number, answer) = exchange.answer().await;
            // Their numbers go down.
            let at = asked.partition_point(|(known, _)| *known > number);
            let (_, at) = asked.get(at).ok_or_else(misplaced)?;
            let (place, read) = batch.get_mut(*at).ok_or_else(misplaced)?;
            let path = listing.path(*place);
            *read = Some(self.checked(answer, &path, self.own.find(&path)));
        }
        Ok(())
    }

    /// Whether a path is of a manifest that is read.
    fn is_read(&self, path: &str) -> bool {
        match PathKind::of(path) {
            PathKind::UserManifest { user } => self.only.is_none_or(|only| only.contains(&user)),
            _ => false,
        }
    }

    fn need(&self, path: &str, size: u64) -> Need {
        Need::Content(ManifestNeed {
            path: format!("{}{path}", self.folder),
            run: self.run,
            key: self.key.cloned(),
            size,
            most: most_bytes(path),
        })
    }

    /// Checks a manifest, and keeps of it what the plan needs.
    fn checked(
        &self,
        answer: Result<Answer>,
        path: &str,
        expected: Option<Expected>,
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
            check_against_inventory(&expected, &summary, sha256.as_deref(), self.decrypted)?;
        }
        Ok(ReadManifest::parse(&bytes, path))
    }
}

impl FoundManifests<'_> {
    /// Adds a manifest, or notes that it is damaged; any other error ends the walk.
    fn add(&mut self, path: &str, manifest: Result<ReadManifest>) -> Result<()> {
        let error = match manifest {
            Ok(manifest) => {
                self.manifests.add(path, manifest);
                return Ok(());
            }
            Err(error) => error.at(path),
        };
        if error.kind() != ErrorKind::Damaged {
            return Err(error);
        }
        self.manifests.add(path, ReadManifest::Damaged);
        self.findings.push(Finding {
            severity: Severity::Error,
            code: "damaged",
            path: path.to_owned(),
            message: error.to_string(),
        });
        Ok(())
    }
}
