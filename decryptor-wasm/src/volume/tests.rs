//! Volumes that are whole, and volumes that somebody changed.

use super::{members::Members, *};
use crate::{Code, finding::Severity};

/// A volume of these files; each holds its own path.
fn volume(number: u32, paths: &[&str]) -> Vec<u8> {
    let (mut bytes, mut index) = (Vec::new(), String::new());
    for path in paths {
        let (offset, size) = (bytes.len() as u64, path.len() as u64);
        let path = (*path).to_owned();
        bytes.extend(header(&path, size));
        bytes.extend(path.as_bytes());
        bytes.resize(bytes.len() + padding(size), 0);
        index += &VolumeIndex::line(&Member { path, offset, size });
    }
    index += &VolumeIndex::last_line(bytes.len() as u64, number);
    bytes.extend(header(&index_name(number), index.len() as u64));
    bytes.extend(index.as_bytes());
    bytes.resize(bytes.len() + padding(index.len() as u64), 0);
    bytes.extend(END);
    bytes
}

fn listed(number: u32, bytes: &[u8]) -> Volume {
    Volume {
        name: volume_name(number),
        size: bytes.len() as u64,
        index: VolumeIndex::find(bytes, number).unwrap(),
        members: 0,
    }
}

pub(super) type Files = Vec<(String, Vec<u8>)>;

/// A folder with a manifest and two volumes.
pub(super) fn folder() -> Files {
    let long = format!("users/u2/attachments/{}", "x".repeat(120));
    let first = volume(
        1,
        &[
            "users/u1/user-manifest.json",
            "users/u1/streams.jsonl",
            "platform/platform.jsonl",
        ],
    );
    let second = volume(2, &[&long, "users/u2/user-manifest.json"]);
    let list = VolumeList::new(vec![listed(1, &first), listed(2, &second)]);
    vec![
        ("manifest.json".to_owned(), b"{}".to_vec()),
        ("volume-0001.tar".to_owned(), first),
        ("volume-0002.tar".to_owned(), second),
        ("volumes.json".to_owned(), list.to_json().unwrap()),
    ]
}

fn read(mut reading: VolumeReading, files: &Files) -> Members {
    while let Some(range) = reading.next_range() {
        let (_, bytes) = files.iter().find(|(path, _)| *path == range.path).unwrap();
        let from = bytes.len().min(range.offset as usize);
        let to = bytes.len().min(from.saturating_add(range.length as usize));
        reading.give(&bytes[from..to]);
    }
    reading.finish()
}

pub(super) fn members(files: &Files, scan: bool) -> Members {
    let listing = files
        .iter()
        .map(|(path, bytes)| (path.clone(), bytes.len() as u64));
    let members = read(VolumeReading::new(listing.collect(), scan), files);
    for (path, size) in members.files.iter() {
        let Some(place) = members.place(&path) else {
            continue;
        };
        let (_, bytes) = files
            .iter()
            .find(|(path, _)| path == members.volume(place))
            .unwrap();
        let header = members.header(&path, place);
        let content = place.offset as usize + header.len();
        let within = path.split("0002/").last().unwrap();
        assert!(
            bytes[place.offset as usize..].starts_with(&header),
            "{path}"
        );
        assert_eq!(size, within.len() as u64);
        assert!(bytes[content..].starts_with(within.as_bytes()), "{path}");
    }
    members
}

/// Codes and paths of what is wrong.
fn wrong(members: &Members) -> Vec<(&'static str, &str)> {
    members
        .findings
        .iter()
        .map(|finding| (finding.code, finding.path.as_str()))
        .collect()
}

fn set(files: &mut Files, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    change(&mut files.iter_mut().find(|(known, _)| known == path).unwrap().1);
}

#[test]
fn members_are_found_by_the_indexes_and_without_them() {
    let files = folder();
    let by_index = members(&files, false);
    assert!(
        by_index.indexed && by_index.findings.is_empty(),
        "{:?}",
        by_index.findings
    );
    assert_eq!(by_index.files.len(), 4 + 5);
    assert!(by_index.files.iter().is_sorted());
    let scanned = members(&files, true);
    assert!(
        !scanned.indexed && scanned.findings.is_empty(),
        "{:?}",
        scanned.findings
    );
    assert!(scanned.files.iter().eq(by_index.files.iter()));
    assert_eq!(scanned.places, by_index.places);
}

#[test]
fn runs_of_a_chain_have_volumes_of_their_own() {
    let mut files = folder();
    for (path, bytes) in folder() {
        files.push((format!("increments/0002/{path}"), bytes));
    }
    let found = members(&files, false);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(found.files.len(), 2 * (4 + 5));
    assert!(
        found
            .place("increments/0002/users/u1/streams.jsonl")
            .is_some()
    );
}

#[test]
fn a_single_tar_file_is_a_volume_of_all() {
    let tar = volume(
        1,
        &["encryption.json", "users/u1/streams.jsonl", "manifest.json"],
    );
    let files = vec![(String::new(), tar)];
    for scan in [false, true] {
        let size = files[0].1.len() as u64;
        let found = read(VolumeReading::of_tar("x.tar", size, scan), &files);
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        assert_eq!((found.files.len(), found.indexed), (3, !scan));
        let place = found.place("manifest.json").unwrap();
        assert_eq!(found.volume(place), "");
    }
    let cut = vec![(String::new(), files[0].1[..700].to_vec())];
    let found = read(VolumeReading::of_tar("x.tar", 700, false), &cut);
    let found = (
        found.files.path(0),
        &found.findings[0].path,
        found.findings[0].code,
    );
    assert_eq!(found.0, "encryption.json");
    assert_eq!((found.1.as_str(), found.2), ("x.tar", "volume-cut"));
}

#[test]
fn a_single_tar_file_is_told_from_others() {
    let tar = volume(1, &["encryption.json", "manifest.json"]);
    let (mut no_head, mut other) = (tar.clone(), [0; 512]);
    no_head[0] ^= 1;
    other[257..262].copy_from_slice(b"ustar");
    for bytes in [&tar, &no_head, &tar[..1024].to_vec()] {
        require_tar("x", bytes, bytes).unwrap();
    }
    for (bytes, code) in [
        (&other[..], Code::OtherTar),
        (b"\x1f\x8b\x08", Code::Compressed),
        (b"text", Code::NotAFolder),
        (b"", Code::NotAFolder),
        (&END, Code::NotAFolder),
    ] {
        assert_eq!(require_tar("x", bytes, bytes).unwrap_err().code(), code);
    }
}

#[test]
#[allow(clippy::too_many_lines)] // A table of cases.
fn damage_is_named_and_members_are_found_all_the_same() {
    let whole = members(&folder(), false).files.len();
    let index_at = |bytes: &[u8], number| VolumeIndex::find(bytes, number).unwrap() as usize;
    // What is changed, what is said of it, and how many files are found.
    type Change = Box<dyn Fn(&mut Files)>;
    let cases: Vec<(&str, Change, &str, usize)> = vec![
        (
            "no list",
            Box::new(|f| f.retain(|(p, _)| p != "volumes.json")),
            "volumes-missing",
            whole - 1,
        ),
        (
            "another list",
            Box::new(|f| set(f, "volumes.json", |b| b.clear())),
            "volumes-unreadable",
            whole,
        ),
        (
            "a volume is missing",
            Box::new(|f| f.retain(|(p, _)| p != "volume-0002.tar")),
            "volume-missing",
            whole - 3,
        ),
        (
            "an index is changed",
            Box::new(move |f| {
                set(f, "volume-0001.tar", |b| {
                    let at = index_at(b, 1);
                    b[at + BLOCK] = b'9';
                })
            }),
            "volume-index",
            whole,
        ),
        (
            "an index is overwritten",
            Box::new(move |f| {
                set(f, "volume-0001.tar", |b| {
                    let at = index_at(b, 1);
                    b[at..].fill(0);
                })
            }),
            "volume-index",
            whole,
        ),
        (
            "a volume is cut in its index",
            Box::new(|f| set(f, "volume-0002.tar", |b| b.truncate(b.len() - 1024))),
            "volume-index-lost",
            whole,
        ),
        (
            "a volume is longer",
            Box::new(|f| set(f, "volume-0002.tar", |b| b.extend([0; 512]))),
            "volume-longer",
            whole,
        ),
        (
            "two volumes are swapped",
            Box::new(|f| {
                let first = f[1].1.clone();
                f[1].1 = std::mem::replace(&mut f[2].1, first);
            }),
            "volume-index",
            whole,
        ),
        (
            "a volume is there twice",
            Box::new(|f| {
                let again = f[1].1.clone();
                f.push(("volume-0003.tar".to_owned(), again));
            }),
            "volume-doubled",
            whole + 1,
        ),
    ];
    for (name, change, code, count) in cases {
        let mut files = folder();
        change(&mut files);
        let found = members(&files, false);
        assert!(
            wrong(&found).iter().any(|(known, _)| *known == code),
            "{name}: {:?}",
            wrong(&found)
        );
        assert_eq!(found.files.len(), count, "{name}: {:?}", found.files);
        assert!(
            found
                .findings
                .iter()
                .all(|finding| finding.severity == Severity::Error),
            "{name}"
        );
    }
}

#[test]
fn a_volume_that_became_shorter_ends_there() {
    let files = folder();
    let longer = |(path, bytes): &(String, Vec<u8>)| (path.clone(), bytes.len() as u64 + 5000);
    for scan in [false, true] {
        let reading = VolumeReading::new(files.iter().map(longer).collect(), scan);
        let found = read(reading, &files);
        assert_eq!(found.files.len(), 4 + 5, "{:?}", found.findings);
        let cut = wrong(&found);
        let cut = cut
            .iter()
            .any(|(code, _)| *code == "volume-longer" || *code == "volume-cut");
        assert!(cut, "{:?}", found.findings);
    }
}

#[test]
fn volumes_of_a_run_that_was_not_finished_are_left_aside() {
    let mut files = folder();
    files.push(("run.json".to_owned(), b"{}".to_vec()));
    let left = "increments/0002/volume-0001.tar";
    let lost = volume(1, &["users/u3/streams.jsonl"]);
    files.push((left.to_owned(), lost));
    assert_eq!(wrong(&members(&files, false)), [(VOLUME_LEFT, left)]);
    // The signature is the last of a run.
    let signature = "increments/0002/manifest.json.minisig";
    files.push((signature.to_owned(), b"signed".to_vec()));
    let list = "increments/0002/volumes.json";
    assert_eq!(wrong(&members(&files, false)), [("volumes-missing", list)]);
}

#[test]
fn a_damaged_header_costs_its_file_alone() {
    let mut files = folder();
    set(&mut files, "volume-0001.tar", |b| b[0] ^= 1);
    set(&mut files, "volume-0001.tar", |b| {
        let end = b.len();
        b[end - 2000..end - 1024].fill(0);
    });
    let listing = files
        .iter()
        .map(|(path, bytes)| (path.clone(), bytes.len() as u64));
    let found = read(VolumeReading::new(listing.collect(), false), &files);
    assert!(found.place("users/u1/user-manifest.json").is_none());
    assert!(found.place("users/u1/streams.jsonl").is_some());
    let said = wrong(&found);
    assert!(
        said.contains(&("volume-member", "volume-0001.tar")),
        "{said:?}"
    );
}

#[test]
fn what_no_volume_may_hold_is_left_aside() {
    for foreign in [
        "manifest.json",
        "encryption.json",
        "chain.json",
        "volumes.json",
        "increments/0002/users/u/streams.jsonl",
    ] {
        let mut files = folder();
        let bad = volume(1, &["users/u1/streams.jsonl", foreign]);
        set(&mut files, "volume-0001.tar", |b| *b = bad);
        for scan in [false, true] {
            let found = members(&files, scan);
            assert!(
                wrong(&found).contains(&("volume-foreign", foreign)),
                "{foreign}: {:?}",
                found.findings
            );
            assert!(found.place(foreign).is_none());
        }
    }
}

#[test]
fn a_member_wins_over_a_file_beside_the_volumes() {
    let mut files = folder();
    files.push(("users/u1/streams.jsonl".to_owned(), b"x".to_vec()));
    let found = members(&files, false);
    assert_eq!(wrong(&found), [("volume-beside", "users/u1/streams.jsonl")]);
    assert_eq!(found.findings[0].severity, Severity::Warning);
    assert_eq!(found.files.len(), 4 + 5);
}

#[test]
fn unpacked_volumes_are_not_missed() {
    let mut files = folder();
    files.retain(|(path, _)| !path.ends_with(".tar"));
    files.push(("volume-0001.index".to_owned(), Vec::new()));
    files.push(("volume-0002.index".to_owned(), Vec::new()));
    files.push(("users/u1/streams.jsonl".to_owned(), b"x".to_vec()));
    let found = members(&files, false);
    assert!(
        found.findings.is_empty() && !found.indexed,
        "{:?}",
        found.findings
    );
    assert_eq!(found.files.len(), 5);
}
