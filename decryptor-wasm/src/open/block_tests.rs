//! Archives in a volume, whose small files are read in blocks.

use std::sync::Arc;

use super::{
    tests::{Folder, envelope, request, said},
    *,
};
use crate::{
    DataKey,
    aead::core_cipher,
    volume::{Members, VolumeReading, header, padding},
};

/// An archive in a single tar file.
struct Tar {
    folder: Folder,
    bytes: Vec<u8>,
}

impl Tar {
    fn of(folder: Folder) -> Self {
        let mut bytes = Vec::new();
        for (path, content) in &folder.0 {
            let size = content.len() as u64;
            bytes.extend(header(path, size));
            bytes.extend(content);
            bytes.resize(bytes.len() + padding(size), 0);
        }
        bytes.extend([0; 1024]);
        Tar { folder, bytes }
    }

    fn members(&self) -> Arc<Members> {
        let mut reading = VolumeReading::of_tar("a.tar", self.bytes.len() as u64, true);
        while let Some(range) = reading.next_range() {
            reading.give(self.piece(range.offset, range.length));
        }
        Arc::new(reading.finish())
    }

    fn piece(&self, offset: u64, length: u64) -> &[u8] {
        let rest = &self.bytes[offset as usize..];
        &rest[..rest.len().min(length as usize)]
    }

    /// Opens it; also which files were read by themselves. `blocks`: those that lie near each other are read at once.
    fn open(&self, blocks: bool) -> (OpenedArchive, Vec<String>) {
        let members = self.members();
        let mut opening = Opening::new(request());
        let mut alone = Vec::new();
        while let Some((number, need)) = opening.next_need().unwrap() {
            let answer = match &need {
                Need::Listing { .. } => {
                    let mut listed = Members::listed(&members);
                    listed.members = listed.members.filter(|_| blocks);
                    Ok(Answer::Listing(listed))
                }
                Need::Block(_) => {
                    let piece = self.piece(need.offset(), need.size()).to_vec();
                    Ok(need.answer(Some(piece), Default::default(), None))
                }
                _ => {
                    if matches!(need, Need::Content(_)) {
                        alone.push(need.path().to_owned());
                    }
                    self.folder.answer(&need)
                }
            };
            opening.give(number, answer);
        }
        (opening.finish().unwrap(), alone)
    }
}

/// Users whose files are sealed; two manifests are damaged, and one file of records.
fn damaged() -> (Tar, DataKey, Vec<String>) {
    let (envelope, key) = envelope();
    let mut folder = Folder::of_users(300);
    for user in 0..300 {
        folder.put(
            &format!("users/u{user:06}/streams.jsonl"),
            b"{\"id\":1}\n{\"id\":2}\n",
        );
    }
    let mut folder = folder.sealed(&key, &envelope);
    let paths = ["u000003/user-manifest.json", "u000017/user-manifest.json"];
    let paths = paths.map(|path| format!("users/{path}")).to_vec();
    for path in &paths {
        folder.0.get_mut(path).unwrap().pop();
    }
    *folder
        .0
        .get_mut("users/u000021/streams.jsonl")
        .unwrap()
        .last_mut()
        .unwrap() ^= 1;
    (Tar::of(folder), key, paths)
}

#[test]
fn blocks_say_what_files_that_are_read_by_themselves_say() {
    let (tar, _, paths) = damaged();
    let (one_by_one, all) = tar.open(false);
    assert_eq!(all.len(), 300);
    let (in_blocks, alone) = tar.open(true);
    assert_eq!(alone, paths);
    assert_eq!(said(&in_blocks), said(&one_by_one));
    for list in ["files", "manifests", "users"] {
        let page = |archive: &OpenedArchive| archive.page(list, 0, 10_000).unwrap();
        assert_eq!(page(&in_blocks), page(&one_by_one));
    }
}

#[test]
fn files_of_a_block_are_checked_at_once() {
    let (tar, key, _) = damaged();
    let (archive, _) = tar.open(true);
    let members = tar.members();
    let mut reader = SmallReader::new(Some(key), core_cipher());
    let (mut others, mut files, mut records) = (Vec::new(), 0, 0);
    for from in (0..archive.files().len()).step_by(500) {
        for block in archive.blocks(&members, from, 500, &mut others) {
            let piece = tar.piece(block.range.offset, block.range.length);
            let checked = reader.check(&block.order, piece, false);
            let users = block.users.iter().map(|(_, files)| *files as usize);
            assert_eq!(users.sum::<usize>(), block.places.len());
            assert_eq!(checked.records.len(), block.places.len());
            for (place, found) in block.places.iter().zip(checked.records) {
                match found {
                    Some(found) => (files, records) = (files + 1, records + found),
                    None => others.push(*place),
                }
            }
            // What is sealed is not taken for content.
            let checked = SmallReader::new(None, core_cipher()).check(&block.order, piece, false);
            assert!(checked.records.iter().all(Option::is_none));
            assert_eq!(checked.bytes, 0);
            let cut = reader.check(&block.order, &piece[..100], false);
            assert!(cut.records.iter().all(Option::is_none));
        }
    }
    let file = |place: &u32| archive.files().get(*place as usize).unwrap().path;
    let others: Vec<String> = others.iter().map(file).collect();
    assert_eq!(others, ["users/u000021/streams.jsonl"]);
    assert_eq!(files, archive.files().len() - 1);
    assert_eq!(records, 2 * 299);
}
