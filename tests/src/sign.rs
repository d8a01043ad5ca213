//! The keys that sign what tests make. They are in the repository: nothing that anybody needs may be signed with them.

use std::sync::OnceLock;

use base64ct::{Base64, Encoding};
use decryptor_wasm::{
    Manifest,
    signature::{FilesDigest, SIGNATURE, Statement},
};
use pryv_backup_engine::{archive::sha256_hex, state::host::HostKey};
use serde_json::{Value, json};

use crate::chain::Files;

/// The platform that archives of tests are of.
pub const SOURCE: &str = "0123456789abcdef0123456789abcdef";

/// Where the id of a key stands in minisign's secret key: behind three names of methods, a salt and two limits.
const ID: std::ops::Range<usize> = 54..62;

/// The key of the host that makes the archives of tests.
pub fn host() -> &'static HostKey {
    static KEY: OnceLock<HostKey> = OnceLock::new();
    KEY.get_or_init(|| of(include_str!("../testkit/keys/host.key")))
}

/// The key of somebody who forges them.
pub fn mallory() -> &'static HostKey {
    static KEY: OnceLock<HostKey> = OnceLock::new();
    KEY.get_or_init(|| of(include_str!("../testkit/keys/mallory.key")))
}

/// A key of his that has the id of the host's: minisign takes it for the same key.
pub fn twin() -> &'static HostKey {
    static KEY: OnceLock<HostKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let [host, mallory] = [
            include_str!("../testkit/keys/host.key"),
            include_str!("../testkit/keys/mallory.key"),
        ];
        let bytes = |text: &str| Base64::decode_vec(text.lines().nth(1).unwrap()).unwrap();
        let mut twin = bytes(mallory);
        twin[ID].copy_from_slice(&bytes(host)[ID]);
        of(&format!(
            "untrusted comment: \n{}\n",
            Base64::encode_string(&twin)
        ))
    })
}

fn of(secret: &str) -> HostKey {
    let key = HostKey::unkept().unwrap();
    key.with_secret_key(secret, None).unwrap()
}

/// Gives a manifest what every signed one has.
pub fn name(manifest: &mut Value, key: &HostKey, created: i64, losses: usize) {
    manifest["signer"] = json!(key.signer().as_str());
    manifest["createdAt"] = json!(created);
    manifest["source"] = json!(SOURCE);
    manifest["lossCount"] = json!(losses);
}

/// How many losses a `manifest.json` or `user-manifest.json` names.
#[must_use]
pub fn losses(manifest: &Value) -> usize {
    manifest["losses"].as_array().map_or(0, Vec::len)
}

/// The statement that is signed for a run: `manifest` is the one of its `files` in the clear, which have their paths within the run.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn statement(manifest: &[u8], files: &Files) -> Statement {
    let mut digest = FilesDigest::default();
    for (path, bytes) in files {
        digest.push(path, &sha256_hex(bytes)).unwrap();
    }
    let mut manifest = Manifest::parse(manifest).unwrap();
    // A missing file shows in the signed statement.
    manifest.created_at.get_or_insert(0);
    manifest.source.get_or_insert_with(|| SOURCE.to_owned());
    manifest.loss_count.get_or_insert(0);
    Statement::of(&manifest, &files["manifest.json"], &digest.finish()).unwrap()
}

/// Signs a statement of the run that these are the files of.
///
/// # Panics
/// When there is no manifest.
pub fn sign(key: &HostKey, statement: &Statement, files: &mut Files) {
    let signature = key.sign(files["manifest.json"].as_slice(), statement);
    files.insert(SIGNATURE.to_owned(), signature.unwrap().into_bytes());
}
