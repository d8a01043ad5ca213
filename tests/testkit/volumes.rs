//! Archives in volumes, whole and damaged.

use pryv_backup_tests::volumes::{in_volumes, index_of, volume};

use crate::{
    case::Case,
    chains,
    draft::{Draft, Files, Lock},
};

const FIRST: &str = "volume-0001.tar";
const SECOND: &str = "volume-0002.tar";
const LIST: &str = "volumes.json";
const EVENTS: &str = "users/u1/events/events-0001.jsonl.gz";

/// The files of a volume that is not one any more.
fn set(files: &mut Files, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    change(files.get_mut(path).unwrap());
}

/// Changes a field of the first header, whose sum is made to fit.
pub fn make_other(tar: &mut [u8], at: usize, field: &[u8]) {
    tar[at..at + field.len()].copy_from_slice(field);
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Members of the second volume.
fn second() -> Vec<String> {
    let made = Draft::new().make();
    let members: Vec<&String> = made
        .files
        .keys()
        .filter(|path| path.contains('/'))
        .collect();
    let half = members.len().div_ceil(2);
    members[half..].iter().map(|path| (*path).clone()).collect()
}

pub fn cases() -> Vec<Case> {
    let whole =
        |name, line, draft: &Draft| Case::good(name, line, draft).change(|f| *f = in_volumes(f));
    let good = |name, line| whole(name, line, &Draft::new());
    let damaged = |name, line, change: fn(&mut Files), says: &[&'static str]| {
        good(name, line).damaged(|made| change(&mut made.files), says)
    };
    let gone = second();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let mut cases = vec![
        good("volumes", "everything comes out of volumes").says("all good"),
        whole(
            "volumes-cleartext",
            "an archive in volumes that is not encrypted verifies",
            &Draft {
                lock: Lock::None,
                ..Draft::new()
            },
        )
        .args(&[])
        .says("Not encrypted"),
        good("volumes-one-user", "the other user's files do not come out")
            .also(&["--user", "u1"])
            .without(&user("u2")),
        good(
            "volumes-unpacked",
            "volumes that were unpacked into the folder, and removed, are not missed",
        )
        .change(|files| {
            let made = Draft::new().make();
            for number in [1, 2] {
                files.remove(&format!("volume-000{number}.tar"));
                files.insert(format!("volume-000{number}.index"), b"x\n".to_vec());
            }
            let members = made
                .files
                .into_iter()
                .filter(|(path, _)| path.contains('/'));
            files.extend(members);
        })
        .says("all good"),
        good(
            "volumes-beside",
            "a file that lies beside its volume too is taken from the volume",
        )
        .change(|files| drop(files.insert(EVENTS.to_owned(), b"x".to_vec())))
        .says("lies beside the volumes too"),
        damaged(
            "volumes-content",
            "the file is named, the others come out",
            |f| set(f, SECOND, |b| b[512 + 100] ^= 1),
            &["damaged: "],
        )
        .without(&gone[..1]),
        damaged(
            "volumes-header",
            "the file whose header is damaged is named, the others come out",
            |f| set(f, SECOND, |b| b[100] ^= 1),
            &["the header of a file in this volume is damaged"],
        )
        .without(&gone[..1]),
        damaged(
            "volumes-index",
            "an index that was changed hides nothing",
            |f| {
                set(f, FIRST, |b| {
                    let at = index_of(b, 1);
                    b[at + 512] = b'9';
                });
            },
            &["volume-0001.tar: its index cannot be read"],
        ),
        damaged(
            "volumes-index-names-another",
            "an index that names another file hides nothing",
            |f| {
                // `streams` becomes `xtreams`, of the same length.
                set(f, SECOND, |b| {
                    let at = index_of(b, 2);
                    let path = b"users/u2/streams";
                    let found = b[at..]
                        .windows(path.len())
                        .position(|text| text == path)
                        .unwrap();
                    b[at + found + 9] = b'x';
                });
            },
            &["volumes.json: the index of a volume does not list"],
        ),
        damaged(
            "volumes-no-index",
            "a volume without its index is read through",
            |f| {
                set(f, FIRST, |b| b.truncate(index_of(b, 1)));
            },
            &[
                "volume-0001.tar: its index is not where it should be",
                "volume-0001.tar: the volume ends too early",
            ],
        ),
        damaged(
            "volumes-cut",
            "the manifest of a user is cut off too, so that nothing of this user comes out",
            |f| set(f, SECOND, |b| b.truncate(700)),
            &[
                "volume-0002.tar: the volume ends too early",
                "listed in the manifest, but not there",
            ],
        )
        .without(&gone),
        damaged(
            "volumes-longer",
            "something after the end is damage",
            |f| set(f, FIRST, |b| b.extend([7; 512])),
            &["volume-0001.tar: "],
        ),
        damaged(
            "volumes-missing",
            "a missing volume is named, and the files in it",
            |f| drop(f.remove(SECOND)),
            &[
                "volume-0002.tar: this volume is missing",
                "listed in the manifest, but not there",
            ],
        )
        .without(&gone),
        damaged(
            "volumes-no-list",
            "a missing list hides nothing",
            |f| drop(f.remove(LIST)),
            &["volumes.json: is missing"],
        ),
        damaged(
            "volumes-list-unreadable",
            "a damaged list hides nothing",
            |f| set(f, LIST, |b| b.truncate(20)),
            &["volumes.json: not the list of volumes"],
        ),
        damaged(
            "volumes-list-of-others",
            "a list that leaves a volume out hides nothing",
            |f| {
                let list = String::from_utf8(f[LIST].clone()).unwrap();
                let at = list.find("    },\n").unwrap();
                f.insert(
                    LIST.to_owned(),
                    format!("{}    }}\n  ]\n}}\n", &list[..at]).into_bytes(),
                );
            },
            &[],
        )
        .exit(0)
        .says("all good"),
        damaged(
            "volumes-swapped",
            "swapped volumes are damage, and their files come out",
            |f| {
                let first = f.remove(FIRST).unwrap();
                let second = f.insert(SECOND.to_owned(), first).unwrap();
                f.insert(FIRST.to_owned(), second);
            },
            &["volume-0001.tar: its index is not where it should be"],
        ),
        damaged(
            "volumes-doubled",
            "a volume that is there twice is damage",
            |f| drop(f.insert("volume-0003.tar".to_owned(), f[FIRST].clone())),
            &["lies in the volumes more than once"],
        )
        .without(&["users/u1/user-manifest.json"]),
        damaged(
            "volumes-foreign",
            "a manifest in a volume is left aside",
            |f| {
                let manifest = f["manifest.json"].clone();
                let files = [
                    ("manifest.json", manifest.as_slice()),
                    ("encryption.json", b"{}"),
                ];
                f.insert("volume-0003.tar".to_owned(), volume(3, files.into_iter()));
            },
            &[
                "manifest.json: lies in a volume, where no such file belongs",
                "encryption.json: lies in a volume",
            ],
        ),
        damaged(
            "volumes-outside",
            "a file with a path out of the backup is no file",
            |f| {
                let files = [("users/u1/../../../x", b"x".as_slice())];
                f.insert("volume-0003.tar".to_owned(), volume(3, files.into_iter()));
            },
            &["volume-0003.tar: "],
        ),
        damaged(
            "volumes-link",
            "a link in a volume is no file",
            |f| {
                let files = [("users/u1/attachments/link", b"".as_slice())];
                let mut bytes = volume(3, files.into_iter());
                make_other(&mut bytes, 156, b"2");
                f.insert("volume-0003.tar".to_owned(), bytes);
            },
            &["volume-0003.tar: the header of a file in this volume is damaged"],
        ),
        damaged(
            "volumes-added",
            "a file that was added to the volumes is left out",
            |f| {
                let files = [("users/u1/attachments/more", b"x".as_slice())];
                f.insert("volume-0003.tar".to_owned(), volume(3, files.into_iter()));
            },
            &["users/u1/attachments/more: "],
        ),
    ];
    let chains = chains::cases();
    let full = chains
        .iter()
        .find(|case| case.name() == "chain-full-between");
    cases.extend(full.cloned().map(|full| {
        full.called(
            "volumes-chain-index",
            "an index of a later run that was changed is named, and hides nothing",
        )
        .damaged(
            |made| {
                made.files = in_volumes(&made.files);
                set(&mut made.files, "increments/0003/volume-0001.tar", |b| {
                    let at = index_of(b, 1);
                    let end = b"jsonl.gz\n";
                    let found = b[at..].windows(end.len()).position(|text| text == end);
                    b[at + found.unwrap() + 7] = b'x';
                });
            },
            &["increments/0003/volumes.json: the index of a volume does not list"],
        )
    }));
    cases.extend(chains.into_iter().filter_map(in_volumes_too));
    cases
}

/// Some of the chains, in volumes.
fn in_volumes_too(case: Case) -> Option<Case> {
    let (name, line) = match case.name() {
        "chain" => ("volumes-chain", "the newest state comes out of volumes"),
        "chain-at-2" => ("volumes-chain-at-2", "the state at an earlier run"),
        "chain-full-between" => (
            "volumes-chain-full-between",
            "the runs before a full one are not read",
        ),
        "chain-uncommitted" => (
            "volumes-chain-uncommitted",
            "what a run that was not finished left is named and left alone",
        ),
        _ => return None,
    };
    Some(
        case.called(name, line)
            .change(|files| *files = in_volumes(files)),
    )
}

/// What comes out of a user.
fn user(id: &str) -> Vec<&'static str> {
    let folder = format!("users/{id}/");
    let files = Draft::new().make().content;
    let of_user = files.into_keys().filter(|path| path.starts_with(&folder));
    let mut all: Vec<&'static str> = of_user.map(|path| &*path.leak()).collect();
    all.push("platform/platform.jsonl.gz");
    all
}
