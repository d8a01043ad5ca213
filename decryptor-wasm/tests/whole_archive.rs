//! Exhaustive: a small archive of several users in which every byte of every file is changed, every file is cut at every length,
//! removed, or put in the place of another. What does not follow from the data key alone is told by the inventory.
#![allow(clippy::unwrap_used, clippy::panic)]

mod small_archive;

use std::sync::Arc;

use decryptor_wasm::{
    DataKey, Envelope, Error, Manifest, PrivateKey,
    aead::RustAead,
    listing::FileList,
    plan::{
        Judged, ReadManifest, Severity, SortedInventory, Storage, UserManifests,
        check_against_inventory, check_manifest, plan,
    },
    reader::{FileReader, FileSummary, ReadOptions, read_whole},
};
use small_archive::{Counter, Files, archive, sha256};

fn read(
    key: Option<&DataKey>,
    stored: &[u8],
    gzip: bool,
    lines: bool,
) -> Result<(Vec<u8>, FileSummary), Error> {
    let options = ReadOptions {
        gunzip: gzip,
        lines,
        buffer: 4096,
    };
    read_whole(
        match key {
            Some(key) => FileReader::sealed(key.clone(), options, |k| Ok(RustAead::new(k))),
            None => FileReader::cleartext(options),
        },
        stored,
    )
}

/// All that is wrong with an archive, as the hosts find it when they decrypt: sealed files are not hashed. Contents that are in
/// `good` are known to be good and not read again.
fn problems(files: &Files, key: &DataKey, good: &Files) -> Vec<String> {
    let mut found = Vec::new();
    let opened = files
        .get("manifest.json")
        .map(|stored| read(Some(key), stored, false, false));
    let mut manifest = match opened {
        None => return vec!["manifest.json: missing".into()],
        Some(result) => match result.and_then(|(json, summary)| {
            let manifest = Manifest::parse(&json)?;
            check_manifest(&manifest, &summary).map(|()| manifest)
        }) {
            Ok(manifest) => manifest,
            Err(e) => return vec![format!("manifest.json: {e}")],
        },
    };
    let own = SortedInventory::of(&mut manifest);
    let listing = files.iter().map(|(p, b)| (p.clone(), b.len() as u64));
    let listing: Arc<FileList> = Arc::new(listing.collect());
    let mut manifests = UserManifests::due(&manifest, &own, listing.clone(), true);
    for (path, stored) in files
        .iter()
        .filter(|(path, _)| path.ends_with("/user-manifest.json"))
    {
        let content = read(Some(key), stored, false, false).and_then(|(json, summary)| {
            let expected = own.find(path);
            expected
                .map_or(Ok(()), |e| {
                    check_against_inventory(&e, &summary, None, false)
                })
                .map(|()| json)
        });
        match content {
            Ok(json) => manifests.add(path, ReadManifest::parse(&json, path)),
            Err(e) => {
                found.push(format!("{path}: {e}"));
                manifests.add(path, ReadManifest::Damaged);
            }
        }
    }
    let plan = match plan(Judged {
        manifest: &manifest,
        users: manifests,
        listing,
        storage: Storage::Sealed { key_check: true },
        signed: None,
        only: None,
    }) {
        Ok(plan) => plan,
        Err(e) => return vec![format!("manifest.json: {e}")],
    };
    found.extend(
        plan.findings
            .into_iter()
            .filter(|f| f.severity == Severity::Error)
            .map(|f| format!("{}: {}", f.path, f.message)),
    );
    for file in plan.files.iter() {
        let stored = &files[&file.path];
        if good.get(&file.path) == Some(stored) {
            continue;
        }
        let key = file.encrypted.then_some(key);
        let digest = (!file.encrypted).then(|| sha256(stored));
        let verdict = read(key, stored, file.gzip, file.jsonl).and_then(|(_, summary)| {
            file.expected.map_or(Ok(()), |e| {
                check_against_inventory(&e, &summary, digest.as_deref(), false)
            })
        });
        if let Err(e) = verdict {
            found.push(format!("{}: {e}", file.path));
        }
    }
    found
}

/// Whether the file at `path` is complained about, and no other.
fn names(found: &[String], path: &str) -> bool {
    !found.is_empty() && found.iter().all(|f| f.starts_with(&format!("{path}: ")))
}

struct Case {
    files: Files,
    key: DataKey,
    private: PrivateKey,
}

impl Case {
    fn new() -> Self {
        let (files, private) = archive();
        let key = unlock(&files["encryption.json"], &private).unwrap();
        assert_eq!(problems(&files, &key, &Files::new()), Vec::<String>::new());
        Case {
            files,
            key,
            private,
        }
    }

    /// The files that the data key and the inventory speak for.
    fn bound(&self) -> Vec<String> {
        let free = ["encryption.json", "SHA256SUMS"];
        self.files
            .keys()
            .filter(|p| !free.contains(&p.as_str()))
            .cloned()
            .collect()
    }

    fn with(&self, path: &str, bytes: Option<Vec<u8>>) -> Vec<String> {
        let mut files = self.files.clone();
        match bytes {
            Some(bytes) => files.insert(path.to_owned(), bytes),
            None => files.remove(path),
        };
        problems(&files, &self.key, &self.files)
    }
}

fn unlock(envelope: &[u8], private: &PrivateKey) -> Result<DataKey, Error> {
    Envelope::parse(envelope)?.unlock_with_private_key(private, &mut Counter(1000))
}

#[test]
fn every_byte_of_every_file() {
    let case = Case::new();
    let mut flips = 0;
    for path in case.bound() {
        for at in 0..case.files[&path].len() {
            let mut bytes = case.files[&path].clone();
            bytes[at] ^= 1 << (at % 8);
            let found = case.with(&path, Some(bytes));
            flips += 1;
            assert!(names(&found, &path), "{path}, byte {at}: {found:?}");
        }
    }
    println!("{flips} flips in {} files", case.bound().len());
    assert!(flips > 5000);
}

#[test]
fn every_cut_of_every_file() {
    let case = Case::new();
    for path in case.bound() {
        let whole = &case.files[&path];
        for cut in 0..whole.len() {
            let found = case.with(&path, Some(whole[..cut].to_vec()));
            assert!(names(&found, &path), "{path}, cut at {cut}: {found:?}");
        }
        let longer = [whole.as_slice(), b"\0"].concat();
        assert!(
            names(&case.with(&path, Some(longer)), &path),
            "{path}, longer"
        );
        let gone = case.with(&path, None);
        assert!(names(&gone, &path), "{path}, gone: {gone:?}");
    }
}

#[test]
fn every_file_in_the_place_of_another() {
    let case = Case::new();
    for path in case.bound() {
        for other in case.bound().iter().filter(|other| **other != path) {
            let found = case.with(&path, Some(case.files[other].clone()));
            assert!(names(&found, &path), "{other} as {path}: {found:?}");
        }
    }
}

#[test]
fn every_file_under_a_name_that_is_not_listed() {
    let case = Case::new();
    for added in [
        "users/alice/events/events-0002.jsonl.gz",
        "users/alice/attachments/more",
        "users/mallory/streams.jsonl.gz",
        "users/mallory/user-manifest.json",
        "platform/platform.jsonl",
    ] {
        for path in case.bound() {
            let found = case.with(added, Some(case.files[&path].clone()));
            assert!(names(&found, added), "{path} as {added}: {found:?}");
        }
    }
}

/// The envelope is not in the inventory: a change either keeps the key from being had, or does not matter.
#[test]
fn no_change_of_the_envelope_gives_another_key() {
    let case = Case::new();
    let envelope = &case.files["encryption.json"];
    let mut harmless = 0;
    for at in 0..envelope.len() {
        let mut bytes = envelope.clone();
        bytes[at] ^= 1 << (at % 7);
        if let Ok(key) = unlock(&bytes, &case.private) {
            assert_eq!(key.as_bytes(), case.key.as_bytes(), "byte {at}");
            harmless += 1;
        }
    }
    // White space, and what concerns the other recipient; the wrapped key, the fingerprint and the check take up the rest.
    println!("{harmless} of {} bytes do not matter", envelope.len());
    assert!(harmless < envelope.len() * 2 / 3);
    for cut in 0..envelope.len() {
        assert!(
            unlock(&envelope[..cut], &case.private).is_err(),
            "cut at {cut}"
        );
    }
}
