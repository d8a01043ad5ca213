//! Archives in a single tar file, whole and damaged.

use pryv_backup_tests::volumes::{in_one_tar, index_of, volume};

use crate::{
    case::{Case, TAR},
    chains,
    draft::{Draft, Files, Lock},
    volumes::make_other,
};

const EVENTS: &str = "users/u1/events/events-0001.jsonl.gz";

/// The archive as it was made, as a tar file.
fn one_tar(files: &mut Files) {
    *files = Files::from([(TAR.to_owned(), in_one_tar(files))]);
}

/// Where the header of a file is.
fn header_of(tar: &[u8], path: &str) -> usize {
    let found = tar.chunks(512).position(|block| {
        block.starts_with(path.as_bytes()) && block[path.len()] == 0 && block[156] == b'0'
    });
    found.unwrap() * 512
}

/// The tar file of an archive in which files were changed before.
fn of_changed(change: impl FnOnce(&mut Files)) -> impl FnOnce(&mut Files) {
    move |files| {
        change(files);
        one_tar(files);
    }
}

/// Puts members in front of the index, which then lists them or not.
fn with_more(files: &Files, more: &[(&str, &[u8])], listed: bool) -> Vec<u8> {
    let made = in_one_tar(files);
    let at = index_of(&made, 1);
    let added = volume(1, more.iter().copied());
    let added = &added[..index_of(&added, 1)];
    let all = [&made[..at], added, &made[at..]].concat();
    match listed {
        false => all,
        true => {
            let mut paths: Vec<(String, Vec<u8>)> = Vec::new();
            let mut from = 0;
            while from < at + added.len() {
                let header = decryptor_wasm::volume::read_header(&all[from..]);
                let header = header.unwrap().unwrap();
                let size = usize::try_from(header.size).unwrap();
                let content = from + header.length;
                paths.push((header.path, all[content..content + size].to_vec()));
                from = content + size.next_multiple_of(512);
            }
            volume(
                1,
                paths
                    .iter()
                    .map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
            )
        }
    }
}

pub fn cases() -> Vec<Case> {
    let good = |name, line| Case::good(name, line, &Draft::new());
    let tar = |name, line| good(name, line).change(one_tar);
    let damaged = |name, line, change: fn(&mut Vec<u8>), says: &[&'static str]| {
        let case = tar(name, line);
        case.damaged(|made| change(made.files.get_mut(TAR).unwrap()), says)
    };
    let unfinished = "archive has no manifest.json: the backup was not finished";
    let mut cases = vec![
        tar("tar", "everything comes out of a single tar file").says("all good"),
        Case::good(
            "tar-cleartext",
            "a tar file that is not encrypted verifies",
            &Draft {
                lock: Lock::None,
                ..Draft::new()
            },
        )
        .change(one_tar)
        .args(&[])
        .says("Not encrypted"),
        damaged(
            "tar-cut",
            "of a tar file that was cut, nothing comes out",
            |b| b.truncate(b.len() / 2 / 512 * 512 + 100),
            &[unfinished],
        )
        .nothing(),
        Case::good(
            "tar-cut-cleartext",
            "nor of one that is not encrypted",
            &Draft {
                lock: Lock::None,
                ..Draft::new()
            },
        )
        .change(one_tar)
        .args(&[])
        .damaged(
            |made| {
                let tar = made.files.get_mut(TAR).unwrap();
                tar.truncate(tar.len() / 2);
            },
            &[unfinished],
        )
        .nothing(),
        damaged(
            "tar-cut-in-the-index",
            "an index that was cut hides nothing",
            |b| b.truncate(index_of(b, 1) + 600),
            &["archive: the volume ends too early"],
        ),
        good("tar-no-manifest", "without its manifest, nothing comes out")
            .damaged(
                |made| of_changed(|files| drop(files.remove("manifest.json")))(&mut made.files),
                &[unfinished],
            )
            .nothing(),
        good(
            "tar-no-signature",
            "a tar file without its signature is refused",
        )
        .damaged(
            |made| of_changed(|files| drop(files.remove("manifest.json.minisig")))(&mut made.files),
            &["manifest.json.minisig"],
        )
        .nothing(),
        good(
            "tar-added",
            "a file that was added after the manifest is named and left out",
        )
        .damaged(
            |made| {
                let more: [(&str, &[u8]); 1] = [("users/u1/attachments/more", b"x")];
                made.files = Files::from([(TAR.to_owned(), with_more(&made.files, &more, true))]);
            },
            &["users/u1/attachments/more: "],
        ),
        good(
            "tar-added-unlisted",
            "one that the index does not list is named too",
        )
        .damaged(
            |made| {
                let more: [(&str, &[u8]); 1] = [("users/u1/attachments/more", b"x")];
                made.files = Files::from([(TAR.to_owned(), with_more(&made.files, &more, false))]);
            },
            &["archive: its index cannot be read"],
        ),
        good(
            "tar-two-manifests",
            "of two manifests the first counts, and the second is named",
        )
        .damaged(
            |made| {
                let more: [(&str, &[u8]); 1] = [("manifest.json", b"{}")];
                made.files = Files::from([(TAR.to_owned(), with_more(&made.files, &more, true))]);
            },
            &["manifest.json: lies in the volumes more than once"],
        ),
        good("tar-volume", "a volume in a tar file is left aside").damaged(
            |made| {
                let inner = volume(1, [(EVENTS, b"x".as_slice())].into_iter());
                let more: [(&str, &[u8]); 1] = [("volume-0001.tar", &inner)];
                made.files = Files::from([(TAR.to_owned(), with_more(&made.files, &more, true))]);
            },
            &["volume-0001.tar: lies in a volume, where no such file belongs"],
        ),
        damaged(
            "tar-content",
            "the file is named, the others come out",
            |b| {
                let at = header_of(b, EVENTS);
                b[at + 512 + 100] ^= 1;
            },
            &[EVENTS],
        )
        .without(&[EVENTS]),
        damaged(
            "tar-header",
            "the file whose header is damaged is named, the others come out",
            |b| {
                let at = header_of(b, EVENTS);
                b[at + 100] ^= 1;
            },
            &["the header of a file in this volume is damaged", EVENTS],
        )
        .without(&[EVENTS]),
        damaged(
            "tar-first-header",
            "a tar file whose beginning is damaged is known by its end",
            |b| b[0] ^= 1,
            &[],
        )
        .nothing(),
        damaged(
            "tar-index",
            "an index that was changed hides nothing",
            |b| {
                let at = index_of(b, 1);
                b[at + 512] = b'9';
            },
            &["archive: its index cannot be read"],
        ),
        damaged(
            "tar-longer",
            "something after the end is damage",
            |b| b.extend([7; 512]),
            &["archive: something follows the end of the volume"],
        ),
        damaged(
            "tar-twice",
            "a second tar file after the end is damage",
            |b| b.extend(b.clone()),
            &["archive: "],
        ),
        damaged(
            "tar-link",
            "a link is no file",
            |b| {
                let at = header_of(b, EVENTS);
                make_other(&mut b[at..], 156, b"2");
            },
            &["the header of a file in this volume is damaged", EVENTS],
        )
        .without(&[EVENTS]),
        damaged(
            "tar-device",
            "a device is no file",
            |b| {
                let at = header_of(b, EVENTS);
                make_other(&mut b[at..], 156, b"3");
            },
            &["the header of a file in this volume is damaged", EVENTS],
        )
        .without(&[EVENTS]),
        damaged(
            "tar-outside",
            "a file with a path out of the backup is no file",
            |b| {
                let at = header_of(b, EVENTS);
                make_other(&mut b[at..], 0, b"/etc/");
            },
            &["the header of a file in this volume is damaged", EVENTS],
        )
        .without(&[EVENTS]),
        damaged(
            "tar-giant",
            "a file that says to be larger than all is no file, or is cut",
            |b| {
                let at = header_of(b, EVENTS);
                make_other(&mut b[at..], 124, b"77777777777");
                b.truncate(index_of(b, 1));
            },
            &[unfinished],
        )
        .nothing(),
        damaged(
            "tar-compressed",
            "a tar file that is compressed is to be unpacked first",
            |b| *b = b"\x1f\x8b\x08\0 and so on".to_vec(),
            &["archive is compressed (gzip): unpack it first"],
        )
        .exit(2)
        .nothing(),
    ];
    cases.extend(chains::cases().into_iter().filter_map(chain_as_tar));
    cases
}

/// Some of the chains.
fn chain_as_tar(case: Case) -> Option<Case> {
    let (name, line) = match case.name() {
        "chain" => ("tar-chain", "the newest state comes out of one tar file"),
        "chain-at-2" => ("tar-chain-at-2", "the state at an earlier run"),
        _ => return None,
    };
    Some(case.called(name, line).change(one_tar))
}
