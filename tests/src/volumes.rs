//! Archives in volumes, made of archives in files.

use std::collections::BTreeMap;

use decryptor_wasm::{
    layout::{PathKind, run_of},
    volume::{
        END, Member, VOLUMES, Volume, VolumeIndex, VolumeList, header, index_name, padding,
        volume_name,
    },
};
use pryv_backup_engine::archive::sha256_hex;

use crate::chain::Files;

/// A volume with these files.
#[must_use]
pub fn volume<'f>(number: u32, files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Vec<u8> {
    let (mut bytes, mut index) = (Vec::new(), String::new());
    let add = |bytes: &mut Vec<u8>, path: &str, content: &[u8]| {
        let size = content.len() as u64;
        bytes.extend(header(path, size));
        bytes.extend(content);
        bytes.resize(bytes.len() + padding(size), 0);
    };
    for (path, content) in files {
        let (offset, size) = (bytes.len() as u64, content.len() as u64);
        let path = path.to_owned();
        add(&mut bytes, &path, content);
        index += &VolumeIndex::line(&Member { path, offset, size });
    }
    index += &VolumeIndex::last_line(bytes.len() as u64, number);
    add(&mut bytes, &index_name(number), index.as_bytes());
    bytes.extend(END);
    bytes
}

/// Where the index of a volume begins.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn index_of(volume: &[u8], number: u32) -> usize {
    usize::try_from(VolumeIndex::find(volume, number).unwrap()).unwrap()
}

/// The same archive, or chain, as one tar file, as a backup writes it: the manifest last.
#[must_use]
pub fn in_one_tar(files: &Files) -> Vec<u8> {
    let files = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|(path, _)| place_in_tar(path));
    volume(1, files.into_iter())
}

/// What comes earlier has a smaller number.
fn place_in_tar(path: &str) -> u8 {
    match PathKind::of(path) {
        PathKind::Envelope => 0,
        PathKind::Companion => 1,
        PathKind::Sums => 3,
        PathKind::Signature => 4,
        PathKind::Manifest => 5,
        _ => 2,
    }
}

/// The same archive, or chain, in two volumes for each run.
///
/// # Panics
/// Never.
#[must_use]
pub fn in_volumes(files: &Files) -> Files {
    let mut out = Files::new();
    let mut members: BTreeMap<String, Vec<(&str, &[u8])>> = BTreeMap::new();
    for (path, bytes) in files {
        match run_of(path) {
            Some((_, within)) if !PathKind::of(within).is_separate() => {
                let folder = &path[..path.len() - within.len()];
                let of_run = members.entry(folder.to_owned()).or_default();
                of_run.push((within, bytes));
            }
            _ => drop(out.insert(path.clone(), bytes.clone())),
        }
    }
    let mut made = Files::new();
    for (folder, members) in members {
        let mut list = Vec::new();
        for (number, half) in (1..).zip(members.chunks(members.len().div_ceil(2))) {
            let bytes = volume(number, half.iter().copied());
            list.push(Volume {
                name: volume_name(number),
                size: bytes.len() as u64,
                index: index_of(&bytes, number) as u64,
                members: half.len() as u64,
            });
            made.insert(format!("{folder}{}", volume_name(number)), bytes);
        }
        let list = VolumeList::new(list).to_json().unwrap();
        made.insert(format!("{folder}{VOLUMES}"), list);
    }
    if let Some(sums) = out.get_mut("SHA256SUMS") {
        let text = String::from_utf8_lossy(sums).into_owned();
        // Of files that are in volumes now, the lines go.
        let stays = |line: &&str| {
            let path = line.get(66..).unwrap_or_default();
            !files.contains_key(path)
                || PathKind::of(run_of(path).map_or(path, |(_, within)| within)).is_separate()
        };
        let new = made
            .iter()
            .map(|(path, bytes)| format!("{}  {path}", sha256_hex(bytes)));
        let mut lines: Vec<String> = text
            .lines()
            .filter(stays)
            .map(str::to_owned)
            .chain(new)
            .collect();
        lines.sort_by(|a, b| a.get(66..).cmp(&b.get(66..)));
        *sums = (lines.join("\n") + "\n").into_bytes();
    }
    out.extend(made);
    out
}
