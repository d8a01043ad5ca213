//! Contents of an archive in numbers, for people.

use indicatif::HumanBytes;
use pryv_backup_engine::{operations::stats::Stats, text::count};

use crate::stdio::answer;

/// Shows it.
pub fn show(stats: &Stats) {
    answer!("archive {}", stats.archive_id);
    let users = count(stats.users as u64, "user", "users");
    answer!("{users}, {}", HumanBytes(stats.bytes));
    answer!(
        "{:<26} {:>9} {:>12} {:>12}",
        "collection",
        "files",
        "records",
        "stored"
    );
    for (name, sum) in &stats.collections {
        let stored = HumanBytes(sum.bytes).to_string();
        answer!(
            "{:<26} {:>9} {:>12} {stored:>12}",
            name,
            sum.files,
            sum.records
        );
    }
    answer!("largest users:");
    for user in &stats.largest {
        let line = format!(
            "  {}  {}  {}, {}",
            user.username,
            user.user_id,
            count(user.events, "event", "events"),
            HumanBytes(user.bytes)
        );
        answer!("{line}");
    }
}
