//! Signatures that are missing, broken, of something else, or of somebody else.

use decryptor_wasm::{
    BackupType,
    signature::{SIGNATURE, unproven},
};
use pryv_backup_engine::state::host::HostKey;
use pryv_backup_tests::sign::{self, sign};
use serde_json::json;

use super::{BY_HOST, HOST, NOT_HOLDS, OTHER_KEY, changed, real, refused};
use crate::{
    case::Case,
    draft::{Draft, Files},
};

fn signature(files: &mut Files) -> &mut Vec<u8> {
    files.get_mut(SIGNATURE).unwrap()
}

/// The signature of the real archive with another trusted comment.
fn restated(files: &mut Files, of: &str, by: &str) {
    let text = String::from_utf8(signature(files).clone()).unwrap();
    let other = text.replacen(of, by, 1);
    assert_ne!(text, other);
    *signature(files) = other.into_bytes();
}

fn signatures() -> Vec<Case> {
    let other = || {
        let other = Draft {
            manifest: |m| m["config"]["domain"] = json!("elsewhere"),
            ..real()
        };
        other.make().files
    };
    vec![
        refused(
            "forged-signature-missing",
            "the signature was removed",
            |files| {
                files.remove(SIGNATURE);
            },
            "manifest.json.minisig is missing, although every backup of this kind is signed",
        ),
        refused(
            "forged-signature-broken",
            "a character of the signature was changed",
            |files| {
                let text = String::from_utf8(signature(files).clone()).unwrap();
                let line = text.lines().nth(1).unwrap();
                let other = if line.as_bytes()[40] == b'A' {
                    "B"
                } else {
                    "A"
                };
                let broken = format!("{}{other}{}", &line[..40], &line[41..]);
                *signature(files) = text.replacen(line, &broken, 1).into_bytes();
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-cut",
            "it ends within its trusted comment",
            |files| {
                let length = signature(files).len();
                signature(files).truncate(length - 100);
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-empty",
            "it is empty",
            |files| signature(files).clear(),
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-huge",
            "it goes on for a megabyte",
            |files| {
                signature(files).extend(vec![b'\n'; 1 << 20]);
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-spelled",
            "its comment says the same in another spelling",
            |files| {
                restated(files, "run=1", "run=01");
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-restated",
            "its comment says another time",
            |files| {
                restated(files, "created=1700000000000", "created=1900000000000");
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-not-prehashed",
            "it calls itself one of the whole file",
            |files| {
                let text = String::from_utf8(signature(files).clone()).unwrap();
                *signature(files) = text.replacen("\nRUT", "\nRWT", 1).into_bytes();
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-of-another",
            "that of another archive of the same host",
            |files| {
                files.insert(SIGNATURE.into(), other()[SIGNATURE].clone());
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-anew",
            "somebody else signed the sealed bytes again",
            |files| {
                signed_anew(files, sign::mallory());
            },
            OTHER_KEY,
        ),
        refused(
            "forged-signature-same-key-id",
            "with a key that has the id of the host's",
            |files| {
                signed_anew(files, sign::twin());
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-fifth-line",
            "a line follows, which minisign does not read",
            |files| signature(files).extend(b"whatever\n"),
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-other-line-ends",
            "its lines end as those of Windows do",
            |files| {
                let text = String::from_utf8(signature(files).clone()).unwrap();
                *signature(files) = text.replace('\n', "\r\n").into_bytes();
            },
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-without-untrusted-comment",
            "its first line is not the one that minisign wants",
            |files| {
                restated(files, "untrusted comment: ", "");
            },
            NOT_HOLDS,
        ),
        changed(
            "forged-signature-untrusted-comment",
            "the comment that nobody signed is not shown",
            |files| {
                restated(
                    files,
                    "signature of a run of pryv-backup",
                    "signed by Pryv, trust it",
                );
            },
        )
        .says(BY_HOST)
        .never("trust it"),
    ]
}

/// The sealed bytes signed again by somebody who sees no more than them: all else he takes from the signature that is there.
fn signed_anew(files: &mut Files, key: &HostKey) {
    let said = unproven(signature(files)).unwrap();
    sign(key, &said, files);
}

/// Statements that a host would have signed, and that are not true of what it made.
fn statements() -> Vec<Case> {
    let wrong = |name, line, draft: Draft, says| {
        Case::good(name, line, &draft)
            .forged_by(HOST)
            .nothing()
            .exit(4)
            .says(says)
    };
    vec![
        wrong("forged-statement-losses", "other losses are signed than the manifest counts", Draft {
            statement: |s| s.losses = 1,
            ..real()
        }, "manifest.json.minisig states another number of losses than manifest.json"),
        wrong("forged-statement-time", "another time is signed", Draft {
            statement: |s| s.created += 1,
            ..real()
        }, "manifest.json.minisig states another time than manifest.json"),
        wrong("forged-statement-source", "another platform is signed", Draft {
            statement: |s| s.source = "f".repeat(32),
            ..real()
        }, "manifest.json.minisig states another source than manifest.json"),
        wrong("forged-statement-core", "another core is signed", Draft {
            manifest: |m| m["core"] = json!("eu-1"),
            statement: |s| s.core = Some("eu-2".to_owned()),
            ..real()
        }, "manifest.json.minisig states another core than manifest.json"),
        wrong("forged-statement-no-core", "no core is signed, and the manifest names one", Draft {
            manifest: |m| m["core"] = json!("eu-1"),
            statement: |s| s.core = None,
            ..real()
        }, "manifest.json.minisig states another core than manifest.json"),
        wrong("forged-statement-kind", "an increment is signed", Draft {
            statement: |s| s.kind = BackupType::Incremental,
            ..real()
        }, "manifest.json.minisig states another kind than manifest.json"),
        wrong("forged-statement-run", "a later run is signed", Draft {
            statement: |s| s.run = 2,
            ..real()
        }, "manifest.json.minisig states another run than manifest.json"),
        wrong("forged-statement-parent", "a run before it is signed", Draft {
            statement: |s| s.parent = Some("0".repeat(64)),
            ..real()
        }, "manifest.json.minisig states another parent than manifest.json"),
        wrong("forged-statement-id", "another manifest is signed", Draft {
            statement: |s| s.id = "0".repeat(64),
            ..real()
        }, "manifest.json.minisig states another id than manifest.json"),
        Case::good("forged-statement-files", "other files are signed than the inventories list: damage, and the data comes out", &Draft {
            statement: |s| s.files = "0".repeat(64),
            ..real()
        })
        .forged_by(HOST)
        .exit(4)
        .says("manifest.json.minisig: states other files than those that the backup lists; it was changed"),
        wrong("forged-manifest-without-signer", "a manifest that names no signer", Draft {
            manifest: |m| drop(m.as_object_mut().unwrap().remove("signer")),
            ..real()
        }, "manifest.json names no signer, although every backup of this kind is signed"),
        wrong("forged-manifest-signer-is-none", "a manifest whose signer is no key", Draft {
            manifest: |m| m["signer"] = json!("nobody"),
            ..real()
        }, "the signer that it names is not a public key"),
        wrong("forged-manifest-signer-spelled", "a manifest that names the key of its signer in two lines", Draft {
            manifest: |m| m["signer"] = json!(format!("of the host\n{}", sign::host().signer())),
            ..real()
        }, "the signer that it names is not a public key"),
        wrong("forged-manifest-without-losses", "a manifest that does not count its losses", Draft {
            manifest: |m| drop(m.as_object_mut().unwrap().remove("lossCount")),
            ..real()
        }, "manifest.json lacks \"lossCount\", which every signed backup has"),
    ]
}

pub fn cases() -> Vec<Case> {
    [signatures(), statements()].concat()
}
