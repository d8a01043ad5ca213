//! Archives that open.

use decryptor_wasm::Kdf;
use pryv_backup_tests::sign;
use serde_json::json;

use crate::{
    case::Case,
    draft::{Draft, Lock, gzip},
};

const STRAY: &str = ".DS_Store";

/// What a reader of u2 alone leaves out.
const NOT_OF_U2: [&str; 13] = [
    "platform/platform.jsonl.gz",
    "users/u1/user-manifest.json",
    "users/u1/streams.jsonl.gz",
    "users/u1/accesses.jsonl.gz",
    "users/u1/profile.jsonl.gz",
    "users/u1/webhooks.jsonl.gz",
    "users/u1/account.jsonl.gz",
    "users/u1/events/events-0001.jsonl.gz",
    "users/u1/events/events-0002.jsonl.gz",
    "users/u1/audit/audit-0001.jsonl.gz",
    "users/u1/attachments/empty",
    "users/u1/attachments/frame",
    "users/u1/attachments/frames",
];

pub fn cases() -> Vec<Case> {
    let base = Draft::new();
    let all_good = |name, line, draft: &Draft| Case::good(name, line, draft).says("all good");
    vec![
        all_good("hybrid", "everything comes out", &base),
        all_good("second-recipient", "the second recipient's key opens it", &Draft {
            lock: Lock::To(&["bob", "alice"]),
            ..base.clone()
        }),
        all_good("scrypt", "a passphrase opens it", &Draft {
            lock: Lock::Passphrase(Kdf::Scrypt, "pässphrase 🔋"),
            ..base.clone()
        })
        .args(&["--passphrase", "pässphrase 🔋"]),
        all_good("pbkdf2", "a passphrase opens it", &Draft {
            lock: Lock::Passphrase(Kdf::Pbkdf2, "pass"),
            ..base.clone()
        })
        .args(&[])
        .env("PRYV_BACKUP_PASSPHRASE", "pass"),
        all_good("uncompressed", "everything comes out", &Draft {
            compressed: false,
            ..base.clone()
        }),
        all_good("cleartext", "an archive that is not encrypted verifies", &Draft {
            lock: Lock::None,
            ..base.clone()
        })
        .args(&[])
        .says("Not encrypted"),
        all_good("of-a-core", "its manifest and its signature name a core", &Draft {
            manifest: |m| m["core"] = json!("eu-1"),
            ..base.clone()
        }),
        all_good("one-user", "the other user's files do not come out", &base)
            .also(&["--user", "u2"])
            .without(&NOT_OF_U2),
        Case::good("list", "the users are shown and nothing comes out", &base)
            .also(&["--list"])
            .says("alice  u1")
            .says("zoë-m  u2")
            .nothing(),
        Case::good("verify", "everything is checked and nothing comes out", &base)
            .also(&["--verify"])
            .says("all good")
            .nothing(),
        all_good("stray", "a stray file is a warning and stays where it is", &base).damaged(
            |made| {
                made.files.insert(STRAY.into(), b"Mac".to_vec());
                made.files.insert(format!("users/u1/events/{STRAY}"), b"Mac".to_vec());
            },
            &["warning: .DS_Store: does not belong to the archive"],
        )
        .exit(0),
        Case::good("unknown-file", "a file of a later version is named and left out", &Draft {
            before_listing: |files| drop(files.insert("platform/later.jsonl.gz".into(), gzip(b"{}\n"))),
            ..base.clone()
        })
        .exit(5)
        .says("no damage found, but 1 file of the archive left out")
        .says("warning: platform/later.jsonl.gz: belongs to the archive, but this version does not know what it is")
        .without(&["platform/later.jsonl.gz"]),
        all_good("kept-audit", "what is kept of a user who was deleted comes out, and makes no user", &Draft {
            before_listing: |files| {
                let line = gzip(b"{\"id\":\"x\"}\n");
                files.insert("removed-users/u9/audit/audit-0001.jsonl.gz".into(), line);
            },
            ..base.clone()
        }),
        all_good("losses", "what was lost when the backup was made is said", &Draft {
            manifest: |m| {
                m["losses"] = json!([{"userId": "u1", "path": "users/u1/attachments/gone", "what": "it was gone"}]);
                m["lossCount"] = json!(1);
            },
            ..base.clone()
        })
        .says("users/u1/attachments/gone: lost when the backup was made: it was gone"),
        all_good("unknown-keys", "keys of later versions are tolerated", &Draft {
            manifest: |m| m["later"] = json!({"a": [1, 2]}),
            user_manifest: |_, m| m["later"] = json!(true),
            envelope: |e| e["later"] = json!("x"),
            ..base.clone()
        }),
        all_good("no-users", "an archive without users is one", &Draft {
            content: [("platform/platform.jsonl".to_owned(), b"{}\n".to_vec())].into(),
            manifest: |m| {
                m["users"] = json!([]);
                let files = m["inventory"]["files"].as_array_mut().unwrap();
                files.retain(|f| !f["path"].as_str().unwrap().starts_with("users/"));
            },
            ..base.clone()
        })
        .damaged(|made| {
            made.files.retain(|path, _| !path.starts_with("users/"));
            made.sign(sign::host(), |_| {});
        }, &[])
        .exit(0)
        .without(&["users/u1/user-manifest.json", "users/u2/user-manifest.json"]),
        all_good("capsule", "the configuration of the platform comes out beside its users", &with_capsule()),
        Case::good("capsule-list", "the files of a capsule are shown beside the users", &with_capsule())
            .also(&["--list"])
            .says("alice  u1")
            .says("capsule/ca/ca.key")
            .never("platform/platform.jsonl.gz  ")
            .nothing(),
        all_good("capsule-one-user", "a capsule is of no user", &with_capsule())
            .also(&["--user", "u2"])
            .without(&NOT_OF_U2)
            .without(&CAPSULE.map(|(path, _)| path)),
        raw_dump("raw-dump", "a raw dump comes out, file by file").says("all good"),
        raw_dump("raw-dump-list", "the files of a raw dump are shown")
            .also(&["--list"])
            .says("raw/postgresql.dump")
            .says("0 users")
            .nothing(),
        Case::good("pryv-hybrid", "an archive of Pryv's own tool opens, with what it cannot promise", &Draft::pryv())
            .says("This archive has no inventory")
            .says("no damage found, as far as it can be checked"),
        Case::good("pryv-cleartext", "a plain archive of Pryv's own tool verifies", &Draft {
            lock: Lock::None,
            ..Draft::pryv()
        })
        .args(&[])
        .says("nothing tells whether one was changed"),
        Case::good("pryv-passphrase", "an archive of Pryv's own tool opens", &Draft {
            lock: Lock::Passphrase(Kdf::Scrypt, "p"),
            ..Draft::pryv()
        })
        .args(&["--passphrase", "p"]),
        Case::good("pryv-crlf", "lines may end in CR LF, and the last without any", &Draft {
            before_listing: |files| {
                files.insert("users/u1/profile.jsonl.gz".into(), gzip(b"{\"id\":\"a\"}\r\n{\"id\":\"b\"}"));
            },
            ..Draft::pryv()
        }),
    ]
}

/// The files of a capsule.
const CAPSULE: [(&str, &[u8]); 3] = [
    ("capsule/ca/ca.key", b"not for all\n"),
    ("capsule/capsule.json", b"{\"v\": 1}"),
    (
        "capsule/config/override-config.jsonl",
        b"this: is no record\n",
    ),
];

/// An archive with a capsule, whose content is kept as it is.
pub fn with_capsule() -> Draft {
    Draft {
        before_listing: |files| {
            files.extend(CAPSULE.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
        },
        ..Draft::new()
    }
}

/// A raw dump of a platform with one file.
fn raw_dump(name: &'static str, line: &'static str) -> Case {
    let entry = |path: &str, folder: bool| {
        let mut entry =
            json!({"path": path, "mode": 416, "uid": 0, "gid": 0, "mtime": 1, "nsec": 0});
        if folder {
            entry["folder"] = json!(true);
        }
        format!("{entry}\n")
    };
    let list =
        entry("users/a/account.sqlite", false) + &entry("users/a", true) + &entry("users", true);
    let content: [(&str, &[u8]); 4] = [
        ("raw/postgresql.dump", b"PGDMP\x01\x0e"),
        ("raw/config/override-config.yml", b"a: 1\n"),
        ("raw/users/a/account.sqlite", &[7; 70_000]),
        ("raw/files.jsonl", list.as_bytes()),
    ];
    let made = Draft {
        content: content
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .into(),
        manifest: |m| {
            let manifest = m.as_object_mut().unwrap();
            manifest.remove("users");
            m["backupType"] = json!("raw");
            m["raw"] = json!({"postgresql": {"server": 150_006, "tool": "15.6", "format": "custom", "owners": []}, "trees": ["users"]});
            let files = m["inventory"]["files"].as_array_mut().unwrap();
            files.retain(|f| !f["path"].as_str().unwrap().starts_with("users/"));
        },
        ..Draft::new()
    };
    Case::good(name, line, &made)
        .damaged(
            |made| {
                made.files.retain(|path, _| !path.starts_with("users/"));
                made.sign(sign::host(), |_| {});
            },
            &[],
        )
        .exit(0)
        .without(&["users/u1/user-manifest.json", "users/u2/user-manifest.json"])
}
