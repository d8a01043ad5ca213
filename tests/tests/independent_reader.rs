//! Archives of ours, read by a program that was written from docs/format.md alone and shares no code with us
//! (`tests/independent-reader`, node:crypto and node:zlib): it accepts them, and gives the bytes that the decryptor gives.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder::tree,
    kit, sign,
};
use tempfile::TempDir;

fn independent(archive: &Path, out: &Path, secret: &[&str]) -> std::process::Output {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent-reader/read.mjs");
    run(Command::new("node")
        .arg(reader)
        .arg(archive)
        .arg(out)
        .args(secret))
}

struct Stage {
    dir: TempDir,
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Backs the sample platform up and has it read by both.
    fn agrees(&self, name: &str, backup: &[&str], secret: &[&str]) {
        let archive = self.path(name);
        let made = run(Command::new(tool())
            .current_dir(self.dir.path())
            .args([
                "--pryv-root",
                "platform",
                "--config",
                "platform/config.yml",
                "--platform",
                "none",
                "--output",
            ])
            .arg(&archive)
            .args(backup));
        assert!(made.status.success(), "{name}: {}", text(&made));
        let secret: Vec<String> = secret
            .iter()
            .map(|s| s.replace("{dir}", self.dir.path().to_str().unwrap()))
            .collect();
        let secret: Vec<&str> = secret.iter().map(String::as_str).collect();
        let (theirs, ours) = (
            self.path(&format!("{name}-theirs")),
            self.path(&format!("{name}-ours")),
        );
        let read = independent(&archive, &theirs, &secret);
        assert!(read.status.success(), "{name}: {}", text(&read));
        assert!(
            text(&read).contains("inventory checked; signed by RW"),
            "{name}: {}",
            text(&read)
        );
        let opened = run(Command::new("node")
            .arg(archive.join("decrypt-backup.mjs"))
            .arg(&archive)
            .args(&secret)
            .arg("--out")
            .arg(&ours));
        assert!(opened.status.success(), "{name}: {}", text(&opened));
        assert!(tree(&theirs) == tree(&ours), "{name}: the readers differ");
        assert!(tree(&ours).len() > 30, "{name}");
    }
}

#[test]
fn it_reads_what_we_write() {
    let stage = Stage {
        dir: TempDir::new().unwrap(),
    };
    for key in ["key.pem", "other.pem"] {
        let made = run(Command::new(tool())
            .args(["keygen", "--bits", "2048", "--output"])
            .arg(stage.path(key)));
        assert!(made.status.success());
    }
    assert!(
        run(Command::new(tool())
            .arg("sample")
            .arg(stage.path("platform")))
        .status
        .success()
    );
    let key = ["--private-key", "{dir}/key.pem"];
    stage.agrees("hybrid", &["--recipient-pubkey", "key.pub.pem"], &key);
    stage.agrees(
        "two-recipients",
        &[
            "--recipient-pubkey",
            "other.pub.pem",
            "--recipient-pubkey",
            "key.pub.pem",
        ],
        &key,
    );
    stage.agrees(
        "plain-files",
        &["--recipient-pubkey", "key.pub.pem", "--no-compress"],
        &key,
    );
    let passphrase = ["--passphrase", "pässphrase 🔋"];
    stage.agrees(
        "scrypt",
        &["--encrypt-passphrase", "pässphrase 🔋"],
        &passphrase,
    );
    stage.agrees(
        "pbkdf2",
        &["--encrypt-passphrase", "pässphrase 🔋", "--kdf", "pbkdf2"],
        &passphrase,
    );
}

#[test]
fn it_refuses_what_was_damaged() {
    let kit = TempDir::new().unwrap();
    kit::make(env!("CARGO_BIN_EXE_testkit"), kit.path());
    let key = kit.path().join("keys/alice.pem");
    let secret = ["--private-key", key.to_str().unwrap()];
    for (name, code) in [
        ("hybrid", 0),
        ("second-recipient", 0),
        ("uncompressed", 0),
        ("pryv-hybrid", 0),
        ("stray", 0),
        ("capsule", 0),
        ("capsule-swapped", 4),
        ("flipped-bit", 4),
        ("flipped-header", 4),
        ("cut-in-a-frame", 4),
        ("cut-between-frames", 4),
        ("missing-attachment", 4),
        ("swapped-attachments", 4),
        ("stale-file", 4),
        ("added-events", 4),
        ("no-key-check", 4),
        ("records-miscounted", 4),
        ("wrong-key", 0),
        ("forged-signature-missing", 4),
        ("forged-signature-broken", 4),
        ("forged-signature-restated", 4),
        ("forged-signature-spelled", 4),
        ("forged-signature-not-prehashed", 4),
        ("forged-signature-of-another", 4),
        ("forged-signature-anew", 4),
        ("forged-signature-same-key-id", 4),
        ("forged-statement-losses", 4),
        ("forged-statement-time", 4),
        ("forged-statement-source", 4),
        ("forged-statement-kind", 4),
        ("forged-statement-run", 4),
        ("forged-statement-parent", 4),
        ("forged-statement-files", 4),
        ("forged-manifest-without-signer", 4),
        ("forged-archive-in-the-hosts-name", 4),
        ("forged-by-a-recipient", 4),
        ("forged-created", 4),
        ("forged-script", 4),
        ("forged-sums-out-of-the-folder", 4),
    ] {
        let read = independent(
            &kit.path().join(name).join("archive"),
            &kit.path().join(name).join("out"),
            &secret,
        );
        assert_eq!(read.status.code(), Some(code), "{name}: {}", text(&read));
    }
    let of_mallory = kit.path().join("forged-archive/archive");
    for (signer, code) in [(sign::mallory(), 0), (sign::host(), 4)] {
        let out = kit.path().join(format!("forged-archive/out-{code}"));
        let pin = ["--signer", signer.signer().as_str()];
        let read = independent(&of_mallory, &out, &[&secret[..], &pin].concat());
        assert_eq!(read.status.code(), Some(code), "{}", text(&read));
    }
    let mallory = kit.path().join("keys/mallory.pem");
    let wrong = independent(
        &kit.path().join("hybrid/archive"),
        &kit.path().join("hybrid/wrong"),
        &["--private-key", mallory.to_str().unwrap()],
    );
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
    assert!(!fs::exists(kit.path().join("hybrid/wrong")).unwrap());
}
