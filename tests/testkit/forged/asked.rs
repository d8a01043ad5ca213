//! Whole archives of somebody else, and what a reader may ask against that.

use decryptor_wasm::Kdf;
use pryv_backup_tests::sign::{self, sign, statement};
use serde_json::{Value, json};

use super::{BY_MALLORY, OTHER_KEY, PIN, RECIPIENT, SENDER, UNPINNED, forgery, real};
use crate::{
    case::Case,
    draft::{Draft, Lock, Made, pretty},
};

/// Whole archives in the place of the real one, and what a reader may ask against that.
pub fn cases() -> Vec<Case> {
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
