//! Archives that somebody forged, or put in the place of others: single ones. What the forger held is said of each; the functions here
//! take nothing else.

use decryptor_wasm::{Kdf, signature::SIGNATURE};
use pryv_backup_tests::sign::{self, sign, statement};
use serde_json::{Value, json};

use crate::{
    case::Case,
    draft::{Draft, Files, Lock, Made, pretty},
};

/// Keeps or carries the archive: sees and changes what is stored, and has no key of it; a signing key of his own he can make.
pub const STORAGE: &str = "whoever stores it: what is stored, and no key";
/// The same with the public key, to which he can seal what he likes.
pub const SENDER: &str = "whoever stores it and has the public key";
/// Somebody to whom it was sealed, who stores it too.
pub const RECIPIENT: &str = "a recipient: the private key";
/// A host that works wrongly, or a thief of its key.
pub const HOST: &str = "the host's own key";

const UNPINNED: &str =
    "which is not pinned: compare it with what was noted when the backup was made";
const BY_HOST: &str = "signed by {signer}, which is not pinned";
const BY_MALLORY: &str = "signed by {mallory}, which is not pinned";
const NOT_HOLDS: &str = "manifest.json.minisig does not hold for manifest.json";
const OTHER_KEY: &str =
    "manifest.json.minisig was made by another key than the signer that manifest.json names";
const NOT_ENCRYPTED: &str =
    "this backup is not encrypted, though you gave a key: it may have been replaced";
const NOT_EXPECTED: &str = "which is not the signer that you expect: it may have been replaced";
const PIN: [&str; 2] = ["--signer", "{keys}/host.pub"];
const COMPANIONS: &[(&str, &str)] = &[
    ("FORMAT.md", "# The format\n"),
    ("RESTORE-README.md", "# What to do\n"),
    ("decrypt-backup.html", "<title>Decrypt</title>\n"),
    ("decrypt-backup.mjs", "console.log('decrypt');\n"),
];

/// The archive as the host made it.
fn real() -> Draft {
    Draft {
        companions: COMPANIONS,
        ..Draft::new()
    }
}

/// An archive of somebody else, in the clear, with what he wants to be restored.
fn in_the_clear() -> Draft {
    Draft {
        lock: Lock::None,
        signer: sign::mallory(),
        ..forgery()
    }
}

/// The same, sealed to the public key.
fn forgery() -> Draft {
    let mut draft = Draft::new();
    let token = b"{\"id\":\"a1\",\"token\":\"forged\"}\n".to_vec();
    draft
        .content
        .insert("users/u1/accesses.jsonl".into(), token);
    Draft {
        signer: sign::mallory(),
        ..draft
    }
}

/// What the host made, and what somebody makes of what is stored.
fn changed(name: &'static str, line: &'static str, change: impl FnOnce(&mut Files)) -> Case {
    Case::good(name, line, &real())
        .change(change)
        .forged_by(STORAGE)
}

/// The same, so that nothing comes out.
fn refused(
    name: &'static str,
    line: &'static str,
    change: impl FnOnce(&mut Files),
    says: &'static str,
) -> Case {
    changed(name, line, change).nothing().exit(4).says(says)
}

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

fn clear() -> Vec<Case> {
    let clear = |name, line| {
        Case::good(name, line, &in_the_clear())
            .forged_by(STORAGE)
            .nothing()
            .exit(4)
    };
    vec![
        clear("forged-clear-archive", "an archive in the clear lies where a sealed one was, and a key was given")
            .says(NOT_ENCRYPTED),
        clear("forged-clear-archive-passphrase", "and a passphrase was given")
            .args(&["--passphrase", "p"])
            .says(NOT_ENCRYPTED),
        clear("forged-clear-archive-required", "no secret is given, and a sealed archive is required")
            .args(&["--require-encrypted"])
            .says("this backup is not encrypted, and an encrypted one is required: it may have been replaced"),
        clear("forged-clear-archive-required-by-the-host", "the same, said by the environment")
            .args(&[])
            .env("PRYV_BACKUP_REQUIRE_ENCRYPTED", "1")
            .says("and an encrypted one is required"),
        clear("forged-clear-archive-unsigned", "without an inventory, as Pryv's own tool makes them")
            .change(|files| *files = Draft { ours: false, ..in_the_clear() }.make().files)
            .says(NOT_ENCRYPTED),
        clear("forged-clear-archive-opened", "it says that it was decrypted before, so that nobody signs it")
            .change(|files| {
                let opened = Draft { manifest: |m| m["encrypted"] = json!(true), ..in_the_clear() };
                *files = opened.make().files;
                files.remove(SIGNATURE);
            })
            .args(&PIN)
            .says("nobody signed this backup, and a signer is expected"),
        Case::good("forged-clear-archive-allowed", "it opens where that is asked for, and is said to be somebody's", &in_the_clear())
            .forged_by(STORAGE)
            .also(&["--allow-plaintext"])
            .says(BY_MALLORY),
        clear("forged-clear-archive-pinned", "and not where a signer is pinned")
            .also(&["--allow-plaintext"])
            .also(&PIN)
            .says(NOT_EXPECTED),
        refused("forged-clear-manifest", "the manifest of a sealed archive is replaced by one in the clear", |files| {
            files.insert("manifest.json".into(), in_the_clear().make().files["manifest.json"].clone());
        }, "manifest.json"),
        refused("forged-clear-manifest-signed", "and signed by whoever did it", |files| {
            let made = in_the_clear().make();
            for name in ["manifest.json", SIGNATURE] {
                files.insert(name.into(), made.files[name].clone());
            }
        }, "manifest.json"),
    ]
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
fn signed_anew(files: &mut Files, key: &pryv_backup::state::host::HostKey) {
    let said = decryptor_wasm::signature::unproven(signature(files)).unwrap();
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
        wrong("forged-statement-kind", "an increment is signed", Draft {
            statement: |s| s.full = false,
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
        }, "what it names as its signer is no public key"),
        wrong("forged-manifest-without-losses", "a manifest that does not count its losses", Draft {
            manifest: |m| drop(m.as_object_mut().unwrap().remove("lossCount")),
            ..real()
        }, "manifest.json lacks \"lossCount\", which every signed backup has"),
    ]
}

/// What lies in the clear beside what is sealed.
fn beside() -> Vec<Case> {
    let added = |name, line, path: &'static str, says| {
        changed(name, line, move |files| {
            drop(files.insert(path.into(), b"alert(1)\n".to_vec()));
        })
        .says(says)
    };
    vec![
        changed("forged-script", "the script was changed: it is named, the data comes out", |files| {
            files.insert("decrypt-backup.mjs".into(), b"console.log('steal');   \n".to_vec());
        })
        .exit(4)
        .says("damaged: decrypt-backup.mjs"),
        changed("forged-scripts-swapped", "the page and the script lie in each other's place", |files| {
            let page = files["decrypt-backup.html"].clone();
            let script = files.insert("decrypt-backup.mjs".into(), page).unwrap();
            files.insert("decrypt-backup.html".into(), script);
        })
        .exit(4)
        .says("damaged: decrypt-backup.mjs")
        .says("damaged: decrypt-backup.html"),
        changed("forged-page-missing", "the page was removed", |files| {
            files.remove("decrypt-backup.html");
        })
        .exit(4)
        .says("decrypt-backup.html: listed in the manifest, but not there"),
        Case::good("forged-page-added", "a page that the archive does not have", &Draft::new())
            .change(|files| drop(files.insert("decrypt-backup.html".into(), b"<script>\n".to_vec())))
            .forged_by(STORAGE)
            .exit(4)
            .says("decrypt-backup.html: lies where the archive's own files lie, but the manifest does not list it"),
        added("forged-index-page", "a page of another name is named", "index.html",
            "warning: index.html: does not belong to the archive; it is left alone"),
        added("forged-module", "a script of another name is named", "decrypt-backup.js",
            "warning: decrypt-backup.js: does not belong to the archive; it is left alone"),
        added("forged-package", "what would tell Node.js how to read the script is named", "package.json",
            "warning: package.json: does not belong to the archive; it is left alone"),
        refused("forged-created", "the envelope says another time", |files| {
            let mut envelope: Value = serde_json::from_slice(&files["encryption.json"]).unwrap();
            envelope["createdAt"] = json!(1_900_000_000_000u64);
            files.insert("encryption.json".into(), pretty(&envelope));
        }, "encryption.json: says otherwise than the manifest when the backup was made; the file was changed"),
        changed("forged-sums-out-of-the-folder", "a line of the sums that leads out of the archive is none of it", |files| {
            let sums = files.get_mut("SHA256SUMS").unwrap();
            sums.extend(format!("{}  increments/0004/../../../../dev/zero\n", "0".repeat(64)).bytes());
        })
        .says("all good"),
        refused("forged-sums-of-a-chain", "a line of the sums that speaks of a later run", |files| {
            let sums = files.get_mut("SHA256SUMS").unwrap();
            sums.extend(format!("{}  increments/0002/manifest.json\n", "0".repeat(64)).bytes());
        }, "chain.json is missing, so the runs after the first cannot be read"),
        refused("forged-link-to-runs", "a link where runs would lie", |_| {}, "is a symbolic link")
            .link("increments", "/etc"),
        refused("forged-link-to-a-user", "a link where the files of a user lie", |files| {
            files.retain(|path, _| !path.starts_with("users/u2/attachments/"));
        }, "is a symbolic link")
            .link("users/u2/attachments", "/etc"),
    ]
}

/// Whole archives in the place of the real one, and what a reader may ask against that.
fn asked() -> Vec<Case> {
    let forged = |name, line| Case::good(name, line, &forgery()).forged_by(SENDER);
    let real = |name, line| Case::good(name, line, &real());
    let pryv = |name, line| Case::good(name, line, &Draft::pryv()).forged_by(SENDER);
    vec![
        forged(
            "forged-archive",
            "a whole archive of somebody else: who signed it is said",
        )
        .says(BY_MALLORY),
        forged(
            "forged-archive-pinned",
            "and it is refused where a signer is pinned",
        )
        .also(&PIN)
        .nothing()
        .exit(4)
        .says("this backup is signed by {mallory}, which is not the signer that you expect"),
        forged(
            "forged-archive-in-the-hosts-name",
            "it names the host as its signer",
        )
        .change(|files| {
            let named = Draft {
                manifest: |m| m["signer"] = json!(sign::host().signer().as_str()),
                ..forgery()
            };
            *files = named.make().files;
        })
        .nothing()
        .exit(4)
        .says(OTHER_KEY),
        Case::good(
            "forged-by-a-recipient",
            "who could read it writes another manifest, and signs it himself in the host's name",
            &Draft::new(),
        )
        .damaged(forged_with_the_key, &[OTHER_KEY])
        .forged_by(RECIPIENT)
        .nothing(),
        real("signed-pinned", "an archive of the signer who is expected")
            .also(&PIN)
            .says("signed by {signer}, as expected")
            .never(UNPINNED),
        real(
            "signed-pinned-by-the-environment",
            "the same, said by the environment",
        )
        .env("PRYV_BACKUP_SIGNER", "{signer}")
        .says("signed by {signer}, as expected"),
        real("signed-two-pins", "several signers may be expected")
            .also(&["--signer", "{mallory}"])
            .also(&PIN)
            .says("signed by {signer}, as expected"),
        real(
            "signed-other-pin",
            "an archive of another signer than is expected",
        )
        .also(&["--signer", "{mallory}"])
        .nothing()
        .exit(4)
        .says("this backup is signed by {signer}, which is not the signer that you expect"),
        real(
            "signed-source",
            "an archive of the platform that is expected",
        )
        .also(&["--expect-source", sign::SOURCE])
        .says("all good"),
        real("signed-other-source", "an archive of another platform")
            .also(&["--expect-source", "ffffffffffffffffffffffffffffffff"])
            .nothing()
            .exit(4)
            .says("this backup is of another platform than the one that you expect: its source is"),
        real("signed-young-enough", "an archive that is not too old")
            .also(&["--max-age", "5000w"])
            .says("all good"),
        real(
            "signed-too-old",
            "an archive that is too old: a newer one may be held back",
        )
        .also(&["--max-age", "30d"])
        .nothing()
        .exit(4)
        .says("this backup is too old: it was made"),
        pryv(
            "unsigned",
            "an archive of Pryv's own tool: nobody signed it, and that is said",
        )
        .says("nobody signed this backup: nothing proves who made it"),
        pryv(
            "unsigned-pinned",
            "and it is refused where a signer is expected",
        )
        .also(&PIN)
        .nothing()
        .exit(4)
        .says("nobody signed this backup, and a signer is expected"),
        pryv("unsigned-accepted", "unless unsigned ones are accepted")
            .also(&PIN)
            .also(&["--accept-unsigned"])
            .says("nobody signed this backup: nothing proves who made it"),
        pryv("unsigned-too-old", "nothing proves its age")
            .also(&["--max-age", "5000w", "--accept-unsigned"])
            .nothing()
            .exit(4)
            .says("nobody signed this backup, so neither its platform nor its age is proven"),
        pryv("unsigned-source", "nothing proves its platform")
            .also(&["--expect-source", sign::SOURCE])
            .nothing()
            .exit(4)
            .says("nobody signed this backup, so neither its platform nor its age is proven"),
        Case::good(
            "signed-passphrase",
            "an archive that a passphrase opens is signed as well",
            &Draft {
                lock: Lock::Passphrase(Kdf::Scrypt, "p"),
                ..Draft::new()
            },
        )
        .args(&["--passphrase", "p"])
        .also(&PIN)
        .says("signed by {signer}, as expected"),
    ]
}

/// Another manifest under the archive's own data key.
fn forged_with_the_key(made: &mut Made) {
    let mut manifest: Value = serde_json::from_slice(&made.content["manifest.json"]).unwrap();
    manifest["users"][0]["username"] = json!("mallory");
    let bytes = pretty(&manifest);
    let stored = made.seal(&bytes);
    made.files.insert("manifest.json".into(), stored);
    let statement = statement(&bytes, &made.files);
    sign(sign::mallory(), &statement, &mut made.files);
    made.sum();
}

pub fn cases() -> Vec<Case> {
    [clear(), signatures(), statements(), beside(), asked()].concat()
}
