//! `stats`: what an archive holds, and what takes its space. Counts are those of the manifests.

use std::collections::BTreeMap;

use decryptor_wasm::layout::PathKind;
use serde::Serialize;

use crate::{
    archive::read::Archive,
    failure::{Failure, FailureKind},
    findings,
    observer::Observer,
    opening::ArchiveOptions,
};

/// How many of the largest users are named.
const LARGEST: usize = 10;

/// Contents of an archive in numbers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// How many users.
    pub users: usize,
    /// As stored.
    pub bytes: u64,
    /// By collection, attachments and what users share included.
    pub collections: BTreeMap<String, CollectionTotal>,
    /// The largest users.
    pub largest: Vec<Largest>,
}

/// Of a collection.
#[derive(Debug, Default, Serialize)]
pub struct CollectionTotal {
    /// How many files.
    pub files: u64,
    /// As far as the archive says; attachments count as one each.
    pub records: u64,
    /// As stored.
    pub bytes: u64,
}

/// A user whose files are large.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Largest {
    /// The id.
    pub user_id: String,
    /// The name.
    pub username: String,
    /// How many events.
    pub events: u64,
    /// As stored.
    pub bytes: u64,
}

/// Counts what an archive holds; with it come the problems of its list of files.
///
/// # Errors
/// When the archive cannot be opened or read.
pub fn run(
    options: &ArchiveOptions,
    observer: &dyn Observer,
) -> Result<(Stats, Option<FailureKind>), Failure> {
    let mut archive = options.open(observer)?;
    archive.drop_orphans()?;
    let mut collections: BTreeMap<String, CollectionTotal> = BTreeMap::new();
    let (mut now, mut largest) = (None, Vec::new());
    for file in archive.files().iter() {
        let kind = PathKind::of(&file.path);
        let sum = collections
            .entry(collection(&file.path, &kind))
            .or_default();
        let attachment = matches!(kind, PathKind::Attachment { .. });
        let listed = file.expected.as_ref().and_then(|entry| entry.records);
        sum.files += 1;
        sum.bytes += file.size;
        sum.records += listed.unwrap_or(u64::from(attachment));
        if let Some(user) = file.user() {
            // Of users, those with most are named: nothing of the others is kept.
            match &mut now {
                Some((bytes, known)) if known == user => *bytes += file.size,
                _ => keep_largest(&mut largest, now.replace((file.size, user.to_owned()))),
            }
        }
    }
    if archive.chain.is_some() {
        of_state(&archive, &mut collections)?;
    }
    keep_largest(&mut largest, now);
    let largest = named(&archive, largest);
    let stats = Stats {
        archive_id: archive.id().to_owned(),
        users: archive.plan.users.len(),
        bytes: collections.values().map(|sum| sum.bytes).sum(),
        collections,
        largest,
    };
    let problem = findings::tell(&archive, observer);
    Ok((stats, problem))
}

/// Keeps those that have most bytes.
fn keep_largest(largest: &mut Vec<(u64, String)>, more: Option<(u64, String)>) {
    largest.extend(more);
    largest.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    largest.truncate(LARGEST);
}

/// The users of these ids, and where they are fewer than [`LARGEST`], further ones without files.
fn named(archive: &Archive, largest: Vec<(u64, String)>) -> Vec<Largest> {
    let mut named: Vec<Option<Largest>> = Vec::new();
    named.resize_with(largest.len(), || None);
    let mut others = Vec::new();
    for user in archive.plan.users.iter() {
        let place = largest.iter().position(|(_, id)| *id == user.user_id);
        let of = |bytes| Largest {
            events: user.stats.events,
            user_id: user.user_id,
            username: user.username,
            bytes,
        };
        match place {
            Some(place) => named[place] = Some(of(largest[place].0)),
            None if largest.len() + others.len() < LARGEST => others.push(of(0)),
            None => {}
        }
    }
    named.into_iter().flatten().chain(others).collect()
}

/// The inventories of a chain are of its runs: how many records its state has, the users' manifests say.
fn of_state(
    archive: &Archive,
    collections: &mut BTreeMap<String, CollectionTotal>,
) -> Result<(), decryptor_wasm::Error> {
    let users = &archive.plan.users;
    let mut sums = BTreeMap::from([("account", users.len() as u64)]);
    for (name, records) in users.iter().flat_map(|user| user.stats.by_name()) {
        *sums.entry(name).or_default() += records;
    }
    for (name, records) in sums {
        // How many attachments there are, the inventories say.
        let counted = collections.get_mut(name).filter(|_| name != "attachments");
        if let Some(collection) = counted {
            collection.records = records;
        }
    }
    for file in archive
        .files()
        .iter()
        .filter(|file| file.jsonl && file.user().is_none())
    {
        let read = archive.lines::<decryptor_wasm::Error>(&file, false, &mut |_| Ok(()))?;
        if let Some(sum) = collections.get_mut(&collection(&file.path, &PathKind::of(&file.path))) {
            sum.records = read.records.unwrap_or(0);
        }
    }
    Ok(())
}

/// `events` for what is in `users/<id>/events`, `platform/keys` for what belongs to no user.
fn collection(path: &str, kind: &PathKind) -> String {
    let name = match kind {
        PathKind::Attachment { .. } => "attachments",
        PathKind::UserRecords { .. } => path.split('/').nth(2).unwrap_or(path),
        PathKind::SharedRecords => path,
        // `raw/users`, `raw/postgresql.dump`.
        PathKind::Raw => path
            .match_indices('/')
            .nth(1)
            .map_or(path, |(end, _)| &path[..end]),
        _ => "companions",
    };
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.strip_suffix(".jsonl").unwrap_or(name).to_owned()
}
