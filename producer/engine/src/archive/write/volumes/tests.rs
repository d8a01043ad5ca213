//! Volumes with files of every size.

use decryptor_wasm::FileList;
use decryptor_wasm::volume::{VolumeReading, volume_name};

use super::*;
use crate::archive::read::Folder;

fn write(volumes: &Arc<Volumes>, path: &str, size: usize) {
    let mut member = volumes.member(path);
    let byte = path.len() as u8;
    for piece in vec![byte; size].chunks(700_000) {
        member.write(piece).unwrap();
    }
    member.finish().unwrap();
}

#[test]
fn files_of_every_size_are_found_where_the_index_says() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = Arc::new(Volumes::new(folder.path(), 12 << 20));
    let long = format!("users/u/attachments/{}", "y".repeat(150));
    let sizes = [
        ("users/u/streams.jsonl", 0),
        ("users/u/accesses.jsonl", 513),
        ("users/u/attachments/large", WAITING + 1),
        ("users/u/attachments/exact", WAITING),
        (&long, 2 * WAITING),
        ("users/u/profile.jsonl", 1),
    ];
    for (path, size) in sizes {
        write(&volumes, path, size);
    }
    let mut given_up = volumes.member("users/u/attachments/gone");
    given_up.write(&vec![1; WAITING + 1]).unwrap();
    given_up.abandon().unwrap();
    write(&volumes, "users/u/webhooks.jsonl", 5);
    let (lines, beside) = volumes.end().unwrap();
    let names: Vec<&str> = lines.iter().map(|line| line.path.as_str()).collect();
    assert_eq!(names, ["volume-0001.tar", "volume-0002.tar", VOLUMES]);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    for line in &lines {
        assert_eq!(sha256_hex(&read(&line.path)), line.sha256, "{}", line.path);
    }
    let listing = lines
        .iter()
        .map(|line| (line.path.clone(), read(&line.path).len() as u64));
    let listing: FileList = listing.collect();
    for scan in [false, true] {
        let mut reading = VolumeReading::new(listing.clone(), scan);
        while let Some(range) = reading.next_range() {
            let bytes = read(&range.path);
            let from = range.offset as usize;
            let to = bytes.len().min(from.saturating_add(range.length as usize));
            reading.give(&bytes[from..to]);
        }
        let members = reading.finish();
        assert!(members.findings.is_empty(), "{:?}", members.findings);
        assert_eq!(members.files.len(), lines.len() + sizes.len() + 1);
        for (path, size) in sizes {
            let place = members.place(path).unwrap();
            let bytes = read(members.volume(place));
            let head = members.header(path, place);
            assert_eq!(bytes[place.offset as usize..][..head.len()], head);
            let content = &bytes[place.offset as usize + head.len()..][..size];
            assert!(
                content.iter().all(|byte| *byte == path.len() as u8),
                "{path}"
            );
            assert_eq!(place.size, size as u64);
        }
    }
    let bytes: u64 = listing.iter().map(|(_, size)| size).sum();
    let content: u64 = sizes.iter().map(|(_, size)| *size as u64).sum();
    assert_eq!(bytes, content + 5 + beside);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 3);
}

#[test]
fn volumes_that_lie_there_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = Arc::new(Volumes::new(folder.path(), 1 << 20));
    for n in 0..3 {
        write(&volumes, &format!("users/u/attachments/{n}"), 1 << 20);
    }
    volumes.end().unwrap();
    let at = Folder::new(folder.path());
    let read = |number| {
        let file = at.open(&volume_name(number)).unwrap();
        WholeVolume::read(file, number, &mut |_| {}).unwrap()
    };
    let third = read(3).unwrap();
    assert_eq!(third.members[0].path, "users/u/attachments/2");
    let place = folder.path().join(volume_name(1));
    let good = std::fs::read(&place).unwrap();
    for at in (0..good.len()).step_by(700) {
        let mut bad = good.clone();
        // The content shows in its digest.
        if !(512..512 + (1 << 20)).contains(&at) {
            bad[at] ^= 1;
            std::fs::write(&place, &bad).unwrap();
            assert!(read(1).is_none(), "byte {at}");
        }
        std::fs::write(&place, &good[..at]).unwrap();
        assert!(read(1).is_none(), "cut at {at}");
    }
    for number in [1, 2] {
        std::fs::remove_file(folder.path().join(volume_name(number))).unwrap();
    }
    // The files of two volumes find room in one.
    let volumes = Arc::new(Volumes::new(folder.path(), 1 << 22).beside(vec![third]));
    write(&volumes, "users/u/attachments/0", 7);
    write(&volumes, "users/u/attachments/1", 7);
    let (lines, _) = volumes.end().unwrap();
    assert_eq!(lines.len(), 4);
    let sizes: Vec<_> = (1..4).map(|n| read(n).unwrap().volume.members).collect();
    assert_eq!(sizes, [2, 0, 1]);
    let listed = Folder::new(folder.path()).list(false).unwrap();
    assert!(listed.findings.is_empty() && listed.files.len() == 7);
}
