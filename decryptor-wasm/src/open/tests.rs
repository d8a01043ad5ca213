use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    DataKey, Envelope, Error, ErrorKind, Result,
    aead::RustAead,
    container::Encoder,
    hex,
    reader::{FileReader, ReadOptions, read_whole},
    signature::Demands,
};
use sha2::{Digest, Sha256};

/// A folder in memory.
#[derive(Clone, Default)]
pub(super) struct Folder(pub(super) BTreeMap<String, Vec<u8>>);

impl Folder {
    /// An archive of Pryv's own tool with so many users.
    pub(super) fn of_users(count: usize) -> Self {
        let mut folder = Folder::default();
        let user = |n: usize| json!({"userId": format!("u{n:06}"), "username": format!("name{n}")});
        let users: Vec<Value> = (0..count).map(user).collect();
        for one in &users {
            let path = format!("users/{}", one["userId"].as_str().unwrap());
            for name in ["streams", "accesses", "profile", "webhooks", "account"] {
                folder.put(&format!("{path}/{name}.jsonl"), b"");
            }
            folder.put(
                &format!("{path}/user-manifest.json"),
                one.to_string().as_bytes(),
            );
        }
        let manifest =
            json!({"formatVersion": 1, "backupType": "full", "compressed": false, "users": users});
        folder.put("manifest.json", manifest.to_string().as_bytes());
        folder
    }

    pub(super) fn put(&mut self, path: &str, content: &[u8]) {
        self.0.insert(path.to_owned(), content.to_vec());
    }

    /// The same, sealed with a passphrase.
    pub(super) fn sealed(&self, key: &DataKey, envelope: &Envelope) -> Self {
        let mut sealed = Folder::default();
        for (n, (path, content)) in (0_u128..).zip(&self.0) {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(key, n.to_be_bytes());
            encoder.push(content, &mut out);
            encoder.finish(&mut out);
            sealed.put(path, &out);
        }
        sealed.put("encryption.json", &envelope.to_json().unwrap());
        sealed
    }

    pub(super) fn answer(&self, need: &Need) -> Result<Answer> {
        let file = |path: &String| {
            let missing = || Error::new(ErrorKind::Failed, format!("cannot read {path}"));
            self.0.get(path).ok_or_else(missing)
        };
        Ok(match need {
            Need::Listing { .. } => {
                let files = self.0.iter();
                let files = files.map(|(path, content)| (path.clone(), content.len() as u64));
                Answer::Listing(Listed {
                    files: std::sync::Arc::new(files.collect()),
                    ..Listed::default()
                })
            }
            Need::Stored { path, most, .. } => match file(path)? {
                long if long.len() as u64 > *most => Answer::TooLong,
                bytes => Answer::Stored(bytes.clone()),
            },
            Need::Digest { path } => Answer::Digest(hex(&Sha256::digest(file(path)?))),
            Need::Pieces { .. } => Answer::End,
            Need::Content(sealed) => {
                let stored = file(&sealed.path)?;
                let options = ReadOptions::default();
                let reader: FileReader<RustAead> = match &sealed.key {
                    Some(key) => {
                        FileReader::sealed(key.clone(), options, |key| Ok(RustAead::new(key)))
                    }
                    None => FileReader::cleartext(options),
                };
                let (bytes, summary) = read_whole(reader, stored)?;
                Answer::Content {
                    bytes,
                    summary,
                    sha256: Some(hex(&Sha256::digest(stored))),
                }
            }
            Need::Block(_) => unreachable!("it does not say where members are"),
            Need::Key { envelope, .. } => Answer::Key(envelope.unlock_with_passphrase("secret")?),
        })
    }
}

/// In which order needs that are handed out at the same time are met.
#[derive(Clone, Copy)]
enum Order {
    First,
    Last,
    Middle,
}

/// Opens a folder; also the most needs that were handed out at the same time.
fn open(folder: &Folder, request: Request, order: Order) -> (Result<OpenedArchive>, usize) {
    let mut opening = Opening::new(request);
    let mut most = 0;
    loop {
        let mut needs = Vec::new();
        loop {
            match opening.next_need() {
                Ok(Some(need)) => needs.push(need),
                Ok(None) => break,
                Err(error) => return (Err(error), most),
            }
        }
        if needs.is_empty() {
            return (opening.finish(), most);
        }
        most = most.max(needs.len());
        match order {
            Order::First => {}
            Order::Last => needs.reverse(),
            Order::Middle => {
                let half = needs.len() / 2;
                needs.rotate_left(half);
            }
        }
        for (number, need) in needs {
            if let Need::Pieces { path } = &need {
                for piece in folder.0[path].chunks(7) {
                    opening.piece(piece).unwrap();
                }
            }
            opening.give(number, folder.answer(&need));
        }
    }
}

pub(super) fn request() -> Request {
    Request {
        name: "here".into(),
        ..Request::default()
    }
}

fn refused(folder: &Folder, request: Request) -> Error {
    match open(folder, request, Order::First).0 {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

pub(super) fn said(archive: &OpenedArchive) -> Vec<String> {
    let findings = archive.plan.findings.iter();
    findings
        .map(|finding| format!("{} {}", finding.code, finding.path))
        .collect()
}

/// An envelope that opens with the passphrase `secret`, and its key.
pub(super) fn envelope() -> (Envelope, DataKey) {
    let envelope = json!({"v": 1, "alg": "AES-256-GCM-CHUNKED", "chunk": 65536, "mode": "symmetric", "kdf": "scrypt",
        "salt": "AwMDAwMDAwMDAwMDAwMDAw==", "N": 1024, "r": 8, "p": 1});
    let envelope = Envelope::parse(envelope.to_string().as_bytes()).unwrap();
    let key = envelope.unlock_with_passphrase("secret").unwrap();
    (envelope, key)
}

#[test]
fn answers_may_come_in_any_order() {
    let (envelope, key) = envelope();
    let mut folder = Folder::of_users(40).sealed(&key, &envelope);
    for n in [3, 17, 21] {
        let path = format!("users/u{n:06}/user-manifest.json");
        folder.0.get_mut(&path).unwrap().pop();
    }
    folder.put("notes.txt", b"mine");
    let of = |order| {
        let (archive, _) = open(&folder, request(), order);
        let archive = archive.unwrap();
        let manifests = archive.plan.manifests.iter();
        let manifests: Vec<_> = manifests.map(|file| file.path.clone()).collect();
        (
            said(&archive),
            manifests,
            archive.page("files", 0, 1000).unwrap(),
        )
    };
    let first = of(Order::First);
    assert_eq!(
        first.0,
        [
            "no-inventory ",
            "stray notes.txt",
            "damaged users/u000003/user-manifest.json",
            "damaged users/u000017/user-manifest.json",
            "damaged users/u000021/user-manifest.json",
            "unsigned ",
        ]
    );
    assert_eq!(first.1.len(), 40 - 3);
    assert_eq!(of(Order::Last), first);
    assert_eq!(of(Order::Middle), first);
}

#[test]
fn a_hundred_thousand_users_take_ten_times_as_long_as_ten_thousand() {
    let time = |count: usize| {
        let folder = Folder::of_users(count);
        let started = std::time::Instant::now();
        let (archive, most) = open(&folder, request(), Order::First);
        assert_eq!(archive.unwrap().plan.users.len(), count);
        assert!(most <= 1024, "{most} needs at the same time");
        started.elapsed().as_secs_f64()
    };
    // Without optimization that takes minutes.
    let part = if cfg!(debug_assertions) { 10 } else { 1 };
    let (few, many) = (time(10_000 / part), time(100_000 / part));
    assert!(many < few * 40.0 + 1.0, "{few} s, then {many} s");
}

#[test]
fn of_one_user_no_other_manifest_is_read() {
    let folder = Folder::of_users(50);
    for name in ["u000007", "name7"] {
        let mut opening = Opening::new(Request {
            user: Some(name.to_owned()),
            ..request()
        });
        let mut read = Vec::new();
        while let Some((number, need)) = opening.next_need().unwrap() {
            if let Need::Content(manifest) = &need {
                read.push(manifest.path.clone());
            }
            opening.give(number, folder.answer(&need));
        }
        assert_eq!(read, ["users/u000007/user-manifest.json"]);
        let opened = opening.finish().unwrap();
        assert_eq!(opened.plan.users.ids().collect::<Vec<_>>(), ["u000007"]);
        let files: Vec<_> = opened.files().iter().map(|file| file.path).collect();
        assert_eq!(files.len(), 5);
        assert!(files.iter().all(|path| path.starts_with("users/u000007/")));
    }
    let nobody = Request {
        user: Some("nobody".to_owned()),
        ..request()
    };
    assert_eq!(refused(&folder, nobody).code().name(), "no-such-user");
}

#[test]
fn what_is_no_archive_is_named() {
    let code = |folder: &Folder| refused(folder, request()).code().name();
    let mut folder = Folder::default();
    assert_eq!(code(&folder), "folder-empty");
    folder.put("x", b"");
    assert_eq!(code(&folder), "not-a-backup");
    folder.put("encryption.json", b"{}");
    assert_eq!(code(&folder), "unfinished");
    let mut folder = Folder::of_users(1);
    folder.put("increments", b"");
    assert_eq!(refused(&folder, request()).kind(), ErrorKind::Damaged);
    let mut folder = Folder::of_users(1);
    folder.put("increments/0002/manifest.json", b"");
    folder.put("increments/0002/encryption.json", b"");
    assert_eq!(code(&folder), "mixed-encryption");
}

#[test]
fn a_first_run_is_not_taken_for_the_newest_where_the_list_is_lost() {
    let sums = format!(
        "{0}  FORMAT.md\n{0}  increments/0002/manifest.json\n{0}  z",
        "0".repeat(64)
    );
    let mut by_sums = Folder::of_users(1);
    by_sums.put("SHA256SUMS", sums.as_bytes());
    let mut by_folder = Folder::of_users(1);
    by_folder.put("increments/0002/manifest.json", b"{}");
    for folder in [by_sums, by_folder] {
        assert_eq!(refused(&folder, request()).code().name(), "index-missing");
        let first = Request {
            at: Some(1),
            ..request()
        };
        let (archive, _) = open(&folder, first, Order::First);
        let said = said(&archive.unwrap());
        assert_eq!(said, ["no-inventory ", "unsigned ", "missing chain.json"]);
    }
}

#[test]
fn what_is_asked_is_asked_before_users_are_read() {
    let folder = Folder::of_users(1);
    let other = Request {
        expect_id: Some("00".into()),
        ..request()
    };
    assert_eq!(refused(&folder, other).code().name(), "other-archive");
    let sealed = Request {
        demands: Demands {
            require_encrypted: true,
            ..Demands::default()
        },
        ..request()
    };
    assert_eq!(
        refused(&folder, sealed).code().name(),
        "encryption-required"
    );
    let request = |json: Value| Request::parse(json.to_string().as_bytes());
    let read = request(
        json!({"name": "n", "at": 2, "expectSource": "AB".repeat(16), "maxAge": "1d", "now": 5}),
    )
    .unwrap();
    assert_eq!((read.at, read.demands.now), (Some(2), 5));
    assert_eq!(read.demands.source.unwrap(), "ab".repeat(16));
    for wrong in [
        json!({"expectSource": "ab"}),
        json!({"maxAge": "1"}),
        json!({"signers": ["RW"]}),
    ] {
        assert_eq!(request(wrong).unwrap_err().kind(), ErrorKind::Usage);
    }
}

/// A driver that answers one need after the other keeps at most one answer waiting, however many files there are.
#[test]
fn answers_are_judged_before_more_is_read() {
    let folder = Folder::of_users(50);
    let mut opening = Opening::new(Request::default());
    let mut needs = 0;
    while let Some((number, need)) = opening.next_need().unwrap() {
        assert_eq!(opening.waiting(), 0);
        opening.give(number, folder.answer(&need));
        needs += 1;
    }
    assert!(needs > 50 && opening.finish().is_ok());
}

#[test]
fn a_request_that_is_not_understood_is_refused() {
    for good in [
        r#"{}"#,
        r#"{"name":"x","at":2,"signers":[],"maxAge":"30d","acceptUnsigned":false,"other":5}"#,
    ] {
        assert!(Request::parse(good.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        r#"{"expectId":5}"#,
        r#"{"expectSource":null}"#,
        r#"{"maxAge":30}"#,
        r#"{"signers":null}"#,
        r#"{"user":5}"#,
        r#"{"at":null}"#,
        r#"{"requireEncrypted":"yes"}"#,
    ] {
        let error = Request::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{bad}");
    }
}

/// Of a path that a driver lists twice, the first counts, and it is damage.
#[test]
fn a_path_that_is_listed_twice_is_read_once_and_named() {
    let folder = Folder::of_users(3);
    let twice = ["streams.jsonl", "user-manifest.json"];
    let twice = twice.map(|name| format!("users/u000001/{name}"));
    let mut opening = Opening::new(request());
    let mut read = 0;
    while let Some((number, need)) = opening.next_need().unwrap() {
        let mut answer = folder.answer(&need);
        if let Ok(Answer::Listing(listed)) = &mut answer {
            let more = twice.clone().map(|path| (path, 5));
            listed.files = std::sync::Arc::new(listed.files.iter().chain(more).collect());
        }
        read += usize::from(matches!(&need, Need::Content(one) if one.path == twice[1]));
        opening.give(number, answer);
    }
    let opened = opening.finish().unwrap();
    let [one, two] = twice.each_ref().map(|path| format!("listed-twice {path}"));
    assert_eq!(said(&opened), ["no-inventory ", &one, &two, "unsigned "]);
    assert_eq!((read, opened.files().len()), (1, 3 * 5));
    assert_eq!(opened.files().find(&twice[0]).unwrap().size, 0);
}
