//! `diff`: what one archive has and another has not, record by record, in whatever order they come.

mod compare;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use decryptor_wasm::open::Request;
use serde::Serialize;

use self::compare::{CollectionSource, Compare};
use crate::{
    archive::read::{Archive, Folder},
    failure::{Failure, FailureKind},
    findings,
    observer::Observer,
    secrets::{Keys, Secrets},
    storage::Location,
    trust::Expect,
};

pub use compare::Change;

/// The two archives to compare.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Folder of the older archive; of a chain, `DIR@RUN` takes the state at that run.
    pub old: Location,
    /// The same of the newer one.
    pub new: Location,
    /// Secrets that open them.
    pub keys: Keys,
    /// Conditions that both must meet; the id is that of the newer one.
    pub expect: Expect,
    /// The id of the older one.
    pub expect_old_id: Option<String>,
    /// Only this user, by id or name.
    pub user: Option<String>,
}

/// A record that differs.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// How.
    pub change: Change,
    /// Name of the user; empty for what belongs to none.
    pub user: &'a str,
    /// The collection.
    pub collection: &'a str,
    /// Identity of the record.
    pub id: &'a str,
}

/// How two archives differ.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// Id of the older one.
    pub old: String,
    /// Id of the newer one.
    pub new: String,
    /// Whether they have the same records.
    pub same: bool,
    /// User ids; what belongs to no user is under the empty one.
    pub users: BTreeMap<String, BTreeMap<String, DiffCounts>>,
    /// Names of the users by id.
    #[serde(skip)]
    pub names: BTreeMap<String, String>,
}

/// How many records of a collection differ.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct DiffCounts {
    /// Only the newer archive has them.
    pub added: u64,
    /// Both have them, with other content.
    pub changed: u64,
    /// Only the older archive has them.
    pub removed: u64,
}

/// Compares two archives; `each` gets every record that differs. With the outcome come the problems of their lists of files.
///
/// # Errors
/// When an archive cannot be opened or read.
pub fn run(
    options: &Options,
    each: &mut dyn FnMut(Difference<'_>),
    observer: &dyn Observer,
) -> Result<(Diff, Option<FailureKind>), Failure> {
    let mut secrets = Secrets::new(&options.keys, observer);
    let old_id = options.expect_old_id.as_deref();
    let old = side(&options.old, old_id, options, &secrets, observer)?;
    secrets.forget_asked();
    let new_id = options.expect.id.as_deref();
    let new = side(&options.new, new_id, options, &secrets, observer)?;
    let problem = findings::tell(&old, observer).max(findings::tell(&new, observer));
    let mut diff = Diff {
        old: old.id().to_owned(),
        new: new.id().to_owned(),
        same: true,
        users: BTreeMap::new(),
        names: names(&old, &new),
    };
    for place in places(&old).union(&places(&new)) {
        let (user, collection) = place;
        let mut counts = DiffCounts::default();
        let source = |archive| CollectionSource {
            archive,
            user,
            collection,
        };
        Compare::new(source(&old), source(&new)).run(&mut |change, id| {
            *match change {
                Change::Added => &mut counts.added,
                Change::Changed => &mut counts.changed,
                Change::Removed => &mut counts.removed,
            } += 1;
            each(Difference {
                change,
                user: diff.names.get(user.as_str()).unwrap_or(user),
                collection,
                id,
            });
        })?;
        if counts.added + counts.changed + counts.removed > 0 {
            diff.same = false;
            let of_user = diff.users.entry(user.clone()).or_default();
            of_user.insert(collection.clone(), counts);
        }
    }
    Ok((diff, problem))
}

/// Opens one side: a folder, or the state of a chain as `DIR@RUN`.
fn side(
    dir: &Location,
    expect_id: Option<&str>,
    options: &Options,
    secrets: &Secrets<'_>,
    observer: &dyn Observer,
) -> Result<Archive, Failure> {
    let text = dir.to_string();
    let is_there = dir.folder().is_some_and(std::path::Path::exists);
    let text = Some(text.as_str()).filter(|_| !is_there);
    let parts = text.and_then(|text| text.rsplit_once('@'));
    let run = parts.and_then(|(_, run)| run.parse().ok().filter(|run| *run > 0));
    let dir = match (parts, run) {
        (Some((before, _)), Some(_)) => &dir.named(before).map_err(Failure::usage)?,
        _ => dir,
    };
    let demands = options.expect.demands(options.keys.given(), observer)?;
    let request = Request {
        user: options.user.clone(),
        at: run,
        expect_id: expect_id.map(str::to_owned),
        ..Request::of(demands)
    };
    let mut archive = Archive::open(Folder::at(dir)?, request, |envelope| {
        secrets.unlock(envelope)
    })?;
    archive.drop_orphans()?;
    Ok(archive)
}

/// Where records or attachments are: user id and collection.
fn places(archive: &Archive) -> BTreeSet<(String, String)> {
    let files = archive.files().iter();
    files
        .filter_map(|file| compare::place(&file.path))
        .collect()
}

fn names(old: &Archive, new: &Archive) -> BTreeMap<String, String> {
    let users = old.plan.users.iter().chain(new.plan.users.iter());
    users
        .map(|user| (user.user_id.clone(), user.username.clone()))
        .collect()
}
