//! The archives of a folder, for people.

use decryptor_wasm::Mode;
use indicatif::HumanBytes;
use pryv_backup_engine::{operations::list::ListedArchive, text::count};

use super::capsule::HOW;
use crate::stdio::{answer, note};

/// Shows them.
pub fn show(all: &[ListedArchive]) {
    for listed in all {
        for line in text(listed) {
            answer!("{line}");
        }
        for warning in &listed.warnings {
            note!("warning: {warning}");
        }
    }
}

fn text(listed: &ListedArchive) -> Vec<String> {
    let sealed = match listed.encryption {
        "none" => "not encrypted".to_owned(),
        mode if mode == Mode::Hybrid.name() => match listed.recipients.as_slice() {
            [] => "encrypted to a public key".to_owned(),
            some => format!("encrypted to {}", some.join(", ")),
        },
        mode => format!("encrypted with a passphrase ({mode})"),
    };
    let mut lines = vec![
        listed.path.clone(),
        format!("  archive {}", listed.archive_id),
        format!(
            "  {sealed}; {}, {}",
            count(listed.files as u64, "file", "files"),
            HumanBytes(listed.bytes)
        ),
    ];
    lines.extend(listed.lines.iter().map(|line| format!("  {line}")));
    let Some(contents) = &listed.contents else {
        lines.push(
            "  what is inside shows with its key: --private-key or --passphrase-file".to_owned(),
        );
        return lines;
    };
    lines.push(format!(
        "  made {} by {}, {}; engine {}, domain {}{}",
        contents.made,
        contents.by,
        contents.backup_type,
        contents.engine,
        contents.domain,
        match &contents.core {
            Some(core) => format!(", core {core}"),
            None => String::new(),
        }
    ));
    lines.push(format!("  {}", contents.signed));
    for user in contents.users.iter() {
        lines.push(format!(
            "  {}  {}  {}, {}",
            user.username,
            user.user_id,
            count(user.stats.events, "event", "events"),
            count(user.stats.attachments, "attachment", "attachments")
        ));
    }
    if contents.capsule > 0 {
        let files = count(contents.capsule as u64, "file", "files");
        lines.push(format!("  a capsule of {files}: {HOW}"));
    }
    lines.push(format!(
        "  {}, {} when it was made",
        count(contents.users.len() as u64, "user", "users"),
        count(contents.losses.len() as u64, "loss", "losses")
    ));
    lines
}
