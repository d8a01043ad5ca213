//! `diff`: what one archive has and another has not, record by record, in whatever order they come.

mod compare;
mod record;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Serialize;

use self::compare::{Change, Compare, Source};
use super::{open, print_json, secrets::Secrets, warn};
use crate::answer;
use crate::{
    archive::read::{Archive, Choice},
    cli::DiffArgs,
    failure::Failure,
    text::printable,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Diff {
    old: String,
    new: String,
    same: bool,
    /// User ids; what belongs to no user is under the empty one.
    users: BTreeMap<String, BTreeMap<String, Counts>>,
}

/// How many records of a collection differ.
#[derive(Default, Clone, Copy, Serialize)]
struct Counts {
    added: u64,
    changed: u64,
    removed: u64,
}

/// Compares and prints.
pub fn run(args: &DiffArgs) -> Result<u8, Failure> {
    let mut secrets = Secrets::new(&args.key);
    let old = side(&args.old, args.expect_old_id.as_deref(), args, &secrets)?;
    secrets.forget_asked();
    let new = side(&args.new, args.expect_id.as_deref(), args, &secrets)?;
    let code = warn(&old).max(warn(&new));
    let mut diff = Diff {
        old: old.id.clone(),
        new: new.id.clone(),
        same: true,
        users: BTreeMap::new(),
    };
    let names = names(&old, &new);
    for place in places(&old).union(&places(&new)) {
        let (user, collection) = place;
        let mut counts = Counts::default();
        let source = |archive| Source {
            archive,
            user,
            collection,
        };
        Compare::new(source(&old), source(&new)).run(&mut |change, id| {
            let (sign, count) = match change {
                Change::Added => ('+', &mut counts.added),
                Change::Changed => ('~', &mut counts.changed),
                Change::Removed => ('-', &mut counts.removed),
            };
            *count += 1;
            if args.verbose {
                let name = names.get(user.as_str()).unwrap_or(user);
                answer!("{}", printable(&format!("{sign} {name} {collection} {id}")));
            }
        })?;
        if counts.added + counts.changed + counts.removed > 0 {
            diff.same = false;
            let of_user = diff.users.entry(user.clone()).or_default();
            of_user.insert(collection.clone(), counts);
        }
    }
    if args.json {
        print_json(&diff)?;
    } else {
        show(&diff, &names);
    }
    Ok(code)
}

/// Opens one side: a folder, or the state of a chain as `DIR@RUN`.
fn side(
    dir: &Path,
    expect_id: Option<&str>,
    args: &DiffArgs,
    secrets: &Secrets<'_>,
) -> Result<Archive, Failure> {
    let text = dir.to_str().filter(|_| !dir.exists());
    let parts = text.and_then(|text| text.rsplit_once('@'));
    let run = parts.and_then(|(_, run)| run.parse().ok().filter(|run| *run > 0));
    let dir = match (parts, run) {
        (Some((dir, _)), Some(_)) => Path::new(dir),
        _ => dir,
    };
    let demands = args
        .trust
        .demands(super::secrets::given(&args.key), args.max_age)?;
    let choice = Choice {
        user: args.user.as_deref(),
        at: run,
        expect_id,
        demands: &demands,
    };
    let mut archive = open(dir, choice, secrets)?;
    archive.settle()?;
    Ok(archive)
}

/// Where records or attachments are: user id and collection.
fn places(archive: &Archive) -> BTreeSet<(String, String)> {
    let files = archive.files().iter();
    files
        .filter_map(|file| compare::place(&file.path))
        .collect()
}

fn names<'a>(old: &'a Archive, new: &'a Archive) -> BTreeMap<&'a str, String> {
    let users = old.plan.users.iter().chain(&new.plan.users);
    users
        .map(|user| (user.user_id.as_str(), user.username.clone()))
        .collect()
}

fn show(diff: &Diff, names: &BTreeMap<&str, String>) {
    answer!("old {}", diff.old);
    answer!("new {}", diff.new);
    if diff.same {
        answer!("the same records");
    }
    for (user, collections) in &diff.users {
        let name = match user.as_str() {
            "" => "(platform)",
            id => names.get(id).map_or(id, String::as_str),
        };
        for (collection, counts) in collections {
            answer!(
                "{}",
                printable(&format!(
                    "{name}  {collection}: {} added, {} changed, {} removed",
                    counts.added, counts.changed, counts.removed
                ))
            );
        }
    }
}
