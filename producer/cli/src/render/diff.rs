//! How two archives differ, for people.

use pryv_backup_engine::operations::diff::{Change, Diff, Difference};

use crate::stdio::answer;

/// Shows one record that differs.
pub fn one(difference: Difference<'_>) {
    let Difference {
        change,
        user,
        collection,
        id,
    } = difference;
    let sign = match change {
        Change::Added => '+',
        Change::Changed => '~',
        Change::Removed => '-',
    };
    answer!("{sign} {user} {collection} {id}");
}

/// Shows how many differ.
pub fn show(diff: &Diff) {
    answer!("old {}", diff.old);
    answer!("new {}", diff.new);
    if diff.same {
        answer!("the same records");
    }
    for (user, collections) in &diff.users {
        let name = match user.as_str() {
            "" => "(platform)",
            id => diff.names.get(id).map_or(id, String::as_str),
        };
        for (collection, counts) in collections {
            answer!(
                "{name}  {collection}: {} added, {} changed, {} removed",
                counts.added,
                counts.changed,
                counts.removed
            );
        }
    }
}
