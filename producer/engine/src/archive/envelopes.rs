//! Envelopes, as far as they can be checked without the key. Nobody signs them, since recipients may change.

use decryptor_wasm::{
    Envelope, Error, Result,
    container::MAGIC,
    layout::{ENVELOPE, MANIFEST},
};

use super::{read::Folder, sha256_hex};

/// Whether the envelope of a run is the one that it was made with, as far as that shows from outside: it is there where the manifest is
/// sealed, can be read, is the one that the sums list (`listed`: its digest), and carries the time that was signed (`created`).
///
/// # Errors
/// The defect of the envelope.
pub fn check(of_run: &Folder, created: Option<i64>, listed: Option<&str>) -> Result<()> {
    let sealed = of_run.read(MANIFEST)?.starts_with(MAGIC);
    let there = of_run.has(ENVELOPE).then(|| of_run.read(ENVELOPE));
    check_read(sealed, there.transpose()?.as_deref(), created, listed)
}

/// The same of an envelope that was read, if it is there; `sealed`: whether the manifest is.
///
/// # Errors
/// The defect of the envelope.
pub fn check_read(
    sealed: bool,
    stored: Option<&[u8]>,
    created: Option<i64>,
    listed: Option<&str>,
) -> Result<()> {
    let wrong = |what: &str| Err(Error::damaged(what).at(ENVELOPE));
    let stored = match (sealed, stored) {
        (false, None) => return Ok(()),
        (true, None) => return wrong("it is missing: without it nobody can open the backup"),
        (false, Some(_)) => return wrong("it lies beside a manifest.json that is not encrypted"),
        (true, Some(stored)) => stored,
    };
    let envelope = Envelope::parse(stored)?;
    if listed.is_some_and(|listed| listed != sha256_hex(stored)) {
        return wrong("it is not the one that SHA256SUMS lists: it was replaced");
    }
    let made = envelope.created_at();
    if created.is_some_and(|created| !envelope.has_key_check() || made != Some(created)) {
        return wrong("it is not the one that this backup was made with: it was replaced");
    }
    Ok(())
}
