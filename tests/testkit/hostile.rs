//! Archives that somebody made or changed with intent.

use decryptor_wasm::Kdf;
use serde_json::json;

use crate::{
    case::Case,
    draft::{Draft, Lock, Made, gzip, pretty},
    good::with_capsule,
};

const FRAME: &str = "users/u1/attachments/frame";
const CA: &str = "capsule/ca/ca.key";
const FRAMES: &str = "users/u1/attachments/frames";
const STREAMS: &str = "users/u1/streams.jsonl.gz";
const LISTED_ELSE: &str = "is not the file that the inventory lists";

/// Gives each of two users the folder of the other.
fn swap_users(made: &mut Made) {
    let files = std::mem::take(&mut made.files).into_iter();
    let swapped = files.map(|(path, bytes)| {
        let path = match path.split_at_checked("users/u1/".len()) {
            Some(("users/u1/", rest)) => format!("users/u2/{rest}"),
            Some(("users/u2/", rest)) => format!("users/u1/{rest}"),
            _ => path,
        };
        (path, bytes)
    });
    made.files = swapped.collect();
}

pub fn cases() -> Vec<Case> {
    let case = |name, line| Case::good(name, line, &Draft::new());
    let made = |name, line, draft: Draft| Case::good(name, line, &draft);
    let base = Draft::new();
    vec![
        case("swapped-attachments", "both are named, the others come out")
            .damaged(
                |m| {
                    let other = m.files["users/u2/attachments/frames"].clone();
                    let own = m.files.insert(FRAMES.into(), other).unwrap();
                    m.files.insert("users/u2/attachments/frames".into(), own);
                },
                &[],
            )
            .exactly(&[
                "archive {id}",
                "signed by {signer}; no expected signer was given: compare it with what was noted when the backup was made",
                "damaged: users/u1/attachments/frames: is not the file that the inventory lists under this name; it was swapped or replaced",
                "damaged: users/u2/attachments/frames: is not the file that the inventory lists under this name; it was swapped or replaced",
                "24 files decrypted, 132577 bytes; 2 problems, named above: use another copy of the backup for what is damaged",
            ])
            .without(&[FRAMES, "users/u2/attachments/frames"]),
        case("swapped-records", "both are named, the others come out")
            .damaged(
                |m| {
                    let other = m.files["users/u2/streams.jsonl.gz"].clone();
                    let own = m.files.insert(STREAMS.into(), other).unwrap();
                    m.files.insert("users/u2/streams.jsonl.gz".into(), own);
                },
                &[STREAMS, "users/u2/streams.jsonl.gz"],
            )
            .without(&[STREAMS, "users/u2/streams.jsonl.gz"]),
        case("swapped-user-manifests", "both are named")
            .damaged(
                |m| {
                    let [one, two] = ["u1", "u2"].map(|u| format!("users/{u}/user-manifest.json"));
                    let other = m.files[&two].clone();
                    let own = m.files.insert(one, other).unwrap();
                    m.files.insert(two, own);
                },
                &["users/u1/user-manifest.json", "users/u2/user-manifest.json"],
            )
            .without_user("u1", false)
            .without_user("u2", false),
        case(
            "swapped-users",
            "the folders of two users: nothing comes out as the other's",
        )
        .damaged(
            swap_users,
            &["users/u1/user-manifest.json", STREAMS, "users/u2/user-manifest.json"],
        )
        .without_user("u1", false)
        .without_user("u2", false),
        case(
            "stale-file",
            "a file of the same key but of another time is told apart",
        )
        .damaged(
            |m| {
                let stale = m.seal(&m.content[FRAME].clone());
                m.files.insert(FRAME.into(), stale);
            },
            &[FRAME, LISTED_ELSE],
        )
        .without(&[FRAME]),
        made("capsule-swapped", "two files of a capsule: both are named", with_capsule())
            .damaged(
                |m| {
                    let other = m.files["capsule/capsule.json"].clone();
                    let own = m.files.insert(CA.into(), other).unwrap();
                    m.files.insert("capsule/capsule.json".into(), own);
                },
                &[CA, "capsule/capsule.json"],
            )
            .without(&[CA, "capsule/capsule.json"]),
        made("capsule-added", "a file in a capsule that nobody listed is left out", with_capsule())
            .damaged(
                |m| {
                    let added = m.seal(b"key");
                    m.files.insert("capsule/ca/added".into(), added);
                },
                &["capsule/ca/added: lies where the archive's own files lie"],
            ),
        made("capsule-unsafe", "a path that leads out of a capsule is named and left out", Draft {
            manifest: |m| {
                let files = m["inventory"]["files"].as_array_mut().unwrap();
                let mut file = files[0].clone();
                file["path"] = json!("capsule/../../etc/passwd");
                files.push(file);
            },
            ..with_capsule()
        })
        .damaged(
            |_| {},
            &["capsule/../../etc/passwd: the inventory names a path that may not be written"],
        ),
        case("renamed-file", "the missing and the foreign one are named")
            .damaged(
                |m| {
                    let file = m.files.remove(FRAME).unwrap();
                    m.files.insert("users/u1/attachments/other".into(), file);
                },
                &[FRAME, "users/u1/attachments/other: lies where"],
            )
            .without(&[FRAME]),
        case("added-attachment", "it is named and left out").damaged(
            |m| {
                let added = m.seal(b"illegal");
                m.files.insert("users/u1/attachments/added".into(), added);
            },
            &[],
        )
        .exactly(&[
            "archive {id}",
            "signed by {signer}; no expected signer was given: compare it with what was noted when the backup was made",
            "damaged: users/u1/attachments/added: lies where the archive's own files lie, but the manifest does not list it; it was added and is left out",
            "26 files decrypted, 394921 bytes; 1 problem, named above: use another copy of the backup for what is damaged",
        ]),
        case("added-events", "they are named and left out").damaged(
            |m| {
                let added = m.seal(&gzip(b"{\"id\":\"forged\"}\n"));
                m.files
                    .insert("users/u1/events/events-0003.jsonl.gz".into(), added);
            },
            &["users/u1/events/events-0003.jsonl.gz: lies where"],
        ),
        case("added-user", "the user's files are named and left out").damaged(
            |m| {
                for name in ["user-manifest.json", "streams.jsonl.gz"] {
                    let file = m.files[&format!("users/u1/{name}")].clone();
                    m.files.insert(format!("users/u3/{name}"), file);
                }
            },
            &["users/u3/streams.jsonl.gz", "users/u3/user-manifest.json"],
        ),
        made(
            "unlisted-user-manifest",
            "it is named, and nothing of its user comes out",
            Draft {
                manifest: |m| {
                    let listed = m["inventory"]["files"].as_array_mut().unwrap();
                    listed.retain(|file| file["path"] != "users/u1/user-manifest.json");
                },
                ..base.clone()
            },
        )
        .damaged(
            |_| {},
            &["users/u1/user-manifest.json: lies where", STREAMS],
        )
        .without_user("u1", false),
        case(
            "link",
            "links are refused: they could lead out of the folder",
        )
        .link("users/u1/attachments/link", "/etc/passwd")
        .exit(4)
        .says("is a symbolic link")
        .nothing(),
        case(
            "no-key-check",
            "the envelope was changed; the data comes out all the same",
        )
        .damaged(
            |m| {
                let mut envelope: serde_json::Value =
                    serde_json::from_slice(&m.files["encryption.json"]).unwrap();
                envelope.as_object_mut().unwrap().remove("keyCheck");
                m.files.insert("encryption.json".into(), pretty(&envelope));
            },
            &["encryption.json: lacks the key check"],
        ),
        made(
            "other-data-key",
            "the envelope holds another key than the archive's",
            Draft {
                envelope: |e| e["keyCheck"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                ..base.clone()
            },
        )
        .damaged(
            |_| {},
            &["encryption.json: the wrapped key is not the key of this archive"],
        )
        .nothing(),
        made(
            "damaged-wrapped-key",
            "the key is listed, but its wrapped key does not open",
            Draft {
                envelope: |e| {
                    let wrapped = json!("A".repeat(342) + "==");
                    e["recipients"][0]["wrappedKey"] = wrapped.clone();
                    e["wrappedKey"] = wrapped;
                },
                ..base.clone()
            },
        )
        .damaged(|_| {}, &["its wrapped key does not open"])
        .nothing(),
        made(
            "contradicting-recipients",
            "the two places of the wrapped key differ",
            Draft {
                envelope: |e| e["wrappedKey"] = json!("AAAA"),
                ..base.clone()
            },
        )
        .damaged(
            |_| {},
            &["the list of recipients contradicts the wrapped key"],
        )
        .nothing(),
        made(
            "absurd-scrypt",
            "a cost that would eat the machine is refused",
            Draft {
                lock: Lock::Passphrase(Kdf::Scrypt, "p"),
                envelope: |e| e["N"] = json!(1u64 << 40),
                ..base.clone()
            },
        )
        .args(&["--passphrase", "p"])
        .damaged(|_| {}, &["the scrypt cost is out of bounds"])
        .nothing(),
        made(
            "absurd-pbkdf2",
            "a cost that would take a year is refused",
            Draft {
                lock: Lock::Passphrase(Kdf::Pbkdf2, "p"),
                envelope: |e| e["iterations"] = json!(4_000_000_000u32),
                ..base.clone()
            },
        )
        .args(&["--passphrase", "p"])
        .damaged(|_| {}, &["the PBKDF2 cost is out of bounds"])
        .nothing(),
        made(
            "unknown-mode",
            "a later version is needed",
            Draft {
                envelope: |e| e["mode"] = json!("post-quantum"),
                ..base.clone()
            },
        )
        .exit(1)
        .says("mode \"post-quantum\" is not known")
        .nothing(),
        made(
            "unknown-version",
            "a later version is needed",
            Draft {
                manifest: |m| m["formatVersion"] = json!(2),
                ..base.clone()
            },
        )
        .exit(1)
        .says("format version 2 is not known")
        .nothing(),
        case(
            "header-in-another-spelling",
            "no byte of a header is free to change",
        )
        .damaged(
            |m| {
                m.change(FRAME, |b| {
                    let at = b.windows(5).position(|w| w == b"65536").unwrap();
                    b.splice(at..at + 5, *b"65537");
                });
            },
            &[FRAME],
        )
        .without(&[FRAME]),
        case("huge-header", "a length that asks for memory is refused")
            .damaged(
                |m| m.change(FRAME, |b| b[8..12].fill(0xff)),
                &[FRAME, "the header claims 4294967295 bytes"],
            )
            .without(&[FRAME]),
        case("huge-frame", "a length that asks for memory is refused")
            .damaged(
                |m| m.change(FRAME, |b| b[67..71].fill(0xff)),
                &[FRAME, "impossible length"],
            )
            .without(&[FRAME]),
        made(
            "path-in-the-inventory",
            "the path is refused",
            Draft {
                user_manifest: |id, m| {
                    if id == "u1" {
                        m["inventory"]["files"][0]["path"] = json!("users/u1/../../../evil");
                    }
                },
                ..base.clone()
            },
        )
        .damaged(|_| {}, &["a path that may not be written"])
        .without(&["users/u1/accesses.jsonl.gz"]),
        made(
            "path-in-the-user-id",
            "nothing is read",
            Draft {
                manifest: |m| m["users"][0]["userId"] = json!("../../evil"),
                ..base.clone()
            },
        )
        .damaged(
            |_| {},
            &["names a user id that is no folder name", "nothing was read"],
        )
        .nothing(),
        case(
            "reserved-name",
            "a name that cannot be written everywhere is left out",
        )
        .damaged(
            |m| {
                let file = m.files[FRAME].clone();
                m.files.insert("users/u1/attachments/NUL.txt".into(), file);
            },
            &["users/u1/attachments/NUL.txt: a name that may not be written everywhere"],
        ),
        case(
            "terminal-escapes",
            "what is printed cannot steer the terminal",
        )
        .damaged(
            |m| {
                let file = m.files[FRAME].clone();
                m.files
                    .insert("users/u1/attachments/\u{1b}[2Jx".into(), file);
            },
            &["\\u001b[2Jx"],
        ),
        made(
            "records-miscounted",
            "the inventory's count is held against the lines",
            Draft {
                user_manifest: |id, m| {
                    if id == "u1" {
                        for file in m["inventory"]["files"].as_array_mut().unwrap() {
                            if file["path"] == "users/u1/events/events-0002.jsonl" {
                                file["records"] = json!(999);
                            }
                        }
                    }
                },
                compressed: false,
                ..base.clone()
            },
        )
        .damaged(
            |_| {},
            &["users/u1/events/events-0002.jsonl: holds 20 records, the inventory says 999"],
        )
        .without(&["users/u1/events/events-0002.jsonl"]),
        made(
            "not-json",
            "what is no record is told when records are read",
            Draft {
                before_listing: |files| {
                    files.insert(STREAMS.into(), gzip(b"{\"id\":1}\nDROP TABLE\n"));
                },
                ..base.clone()
            },
        )
        .damaged(|_| {}, &[STREAMS])
        .also(&["--verify"])
        .nothing(),
        made(
            "deep-json",
            "nesting cannot break the reader",
            Draft {
                before_listing: |files| {
                    files.insert(
                        STREAMS.into(),
                        gzip(("[".repeat(200_000) + "\n").as_bytes()),
                    );
                },
                ..base.clone()
            },
        )
        .damaged(|_| {}, &[STREAMS])
        .also(&["--verify"])
        .nothing(),
        case("deep-manifest", "nesting cannot break the reader")
            .damaged(
                |m| {
                    let deep = m.seal(("{\"users\":".to_owned() + &"[".repeat(100_000)).as_bytes());
                    m.files.insert("manifest.json".into(), deep);
                },
                &["manifest.json: cannot be read as a manifest"],
            )
            .nothing(),
        made(
            "swapped-without-inventory",
            "without an inventory a swapped user manifest still shows",
            Draft::pryv(),
        )
        .damaged(
            |m| {
                let [one, two] = ["u1", "u2"].map(|u| format!("users/{u}/user-manifest.json"));
                let other = m.files[&two].clone();
                let own = m.files.insert(one, other).unwrap();
                m.files.insert(two, own);
            },
            &["belongs to another user; files were swapped"],
        )
        .without(&["users/u1/user-manifest.json", "users/u2/user-manifest.json"]),
        made(
            "two-files-one-name",
            "two files that would be one on disk are refused",
            Draft::pryv(),
        )
        .damaged(
            |m| {
                let plain = m.seal(b"{\"id\":\"other\"}\n");
                m.files.insert("users/u1/streams.jsonl".into(), plain);
            },
            &[],
        )
        .also(&["--gunzip"])
        .exit(1)
        .says("users/u1/streams.jsonl and users/u1/streams.jsonl.gz would overwrite each other in {out}")
        .nothing(),
    ]
}
