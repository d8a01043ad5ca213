//! Names that are two here and one on other disks, files where folders are due, and the longest line.

use decryptor_wasm::limits::MAX_LINE;

use crate::{
    case::Case,
    draft::{Draft, Files, Lock, gzip},
};

const PROFILE: &str = "users/u1/profile.jsonl.gz";
/// Bytes of a part of the longest line.
const PART: usize = 16 * 1024 * 1024;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        alike("names-case", ["Photo", "photo"]),
        alike("names-unicode", ["cafe\u{301}", "caf\u{e9}"]),
        alike("names-width", ["STRASSE", "Stra\u{df}e"]),
        Case::good(
            "folder-for-file",
            "a folder lies where a file is due",
            &Draft::new(),
        )
        .damaged(
            |made| {
                let file = made.files.remove("users/u1/attachments/frame").unwrap();
                made.files
                    .insert("users/u1/attachments/frame/frame".into(), file);
            },
            &[
                "users/u1/attachments/frame: listed in the manifest, but not there",
                "users/u1/attachments/frame/frame: does not belong",
            ],
        )
        .without(&["users/u1/attachments/frame"]),
        Case::good(
            "file-for-folder",
            "a file lies where the folder of other files is due",
            &Draft::new(),
        )
        .damaged(
            |made| {
                made.files
                    .retain(|path, _| !path.starts_with("users/u1/events/"));
                made.files
                    .insert("users/u1/events".into(), b"no folder".to_vec());
            },
            &[
                "users/u1/events/events-0001.jsonl.gz: listed in the manifest, but not there",
                "users/u1/events: does not belong",
            ],
        )
        .without(&[
            "users/u1/events/events-0001.jsonl.gz",
            "users/u1/events/events-0002.jsonl.gz",
        ]),
    ];
    if pryv_backup_tests::is_nightly() {
        cases.extend(long_lines());
    }
    cases
}

/// Two attachments of these names, in their order, which are one file on some disks.
fn alike(name: &'static str, names: [&str; 2]) -> Case {
    let mut draft = Draft::new();
    let paths = names.map(|name| format!("users/u1/attachments/{name}"));
    for path in &paths {
        draft
            .content
            .insert(path.clone(), path.clone().into_bytes());
    }
    Case::good(
        name,
        "both come out, where the disk can tell their names apart",
        &draft,
    )
    .says("all good")
    .one_on_disk(paths)
}

/// A line that is as long as any may be, and one that is a byte longer.
fn long_lines() -> [Case; 2] {
    let draft = Draft {
        lock: Lock::None,
        ..Draft::pryv()
    };
    let case = |name, line, length| {
        let case = Case::good(name, line, &draft).args(&[]);
        let bytes = long_line(length);
        let with = case.with(PROFILE, &bytes);
        with.change(|files: &mut Files| drop(files.insert(PROFILE.into(), bytes)))
    };
    [
        case(
            "line-longest",
            "a line as long as Pryv can write comes out",
            MAX_LINE,
        )
        .says("no damage found"),
        case(
            "line-too-long",
            "a longer one is named, and the others come out",
            MAX_LINE + 1,
        )
        .exit(4)
        .without(&[PROFILE])
        .says("users/u1/profile.jsonl.gz: line 1 is longer than any record"),
    ]
}

/// A record of so many bytes without the end of its line, compressed in parts of which most are the same.
fn long_line(length: usize) -> Vec<u8> {
    let (before, after) = ("{\"id\":\"", "\"}");
    let inside = length - before.len() - after.len();
    let [part, rest] = [PART, inside % PART].map(|size| gzip(&vec![b'a'; size]));
    let mut file = gzip(before.as_bytes());
    file.extend_from_slice(&part.repeat(inside / PART));
    file.extend_from_slice(&rest);
    file.extend_from_slice(&gzip(format!("{after}\n").as_bytes()));
    file
}
