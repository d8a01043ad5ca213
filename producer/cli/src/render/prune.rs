//! Kept and removed backups, for people.

use pryv_backup_engine::operations::prune::{ListedUnit, Pruned};

use crate::stdio::{answer, note};

/// Shows it.
pub fn show(pruned: &Pruned) {
    let line = |what: &str, listed: &ListedUnit| {
        let why = match listed.why.as_slice() {
            [] => String::new(),
            why => format!(" ({})", why.join(", ")),
        };
        format!("{what} {}  {}{why}", listed.time, listed.path.display())
    };
    let removed = if pruned.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let kept = pruned.kept.iter().map(|listed| line("kept", listed));
    let gone = pruned.removed.iter().map(|listed| line(removed, listed));
    let begun = pruned.completed.iter();
    let begun = begun.map(|path| format!("{removed} {} (begun by an earlier run)", path.display()));
    let left = pruned.leftovers.iter().map(|left| {
        let what = match (left.objects, left.uploads) {
            (0, uploads) => format!("{uploads} uploads"),
            (objects, _) => format!("{objects} objects"),
        };
        format!(
            "{removed} {what} below {} (left by runs that were not finished)",
            left.path.display()
        )
    });
    for line in kept.chain(gone).chain(begun).chain(left) {
        answer!("{line}");
    }
    for other in &pruned.unproven {
        let line = format!(
            "not known to be good, left alone: {}: {}",
            other.path.display(),
            other.why
        );
        note!("{line}");
    }
    for other in &pruned.left_alone {
        let line = format!("left alone: {}: {}", other.path.display(), other.why);
        note!("{line}");
    }
    for other in &pruned.held {
        let line = format!("cannot go yet: {}: {}", other.path.display(), other.why);
        note!("{line}");
    }
    for other in &pruned.failed {
        let line = format!("{}: {}", other.path.display(), other.why);
        note!("{line}");
    }
    answer!(
        "{} kept, {} {removed}",
        pruned.kept.len(),
        pruned.removed.len()
    );
}
