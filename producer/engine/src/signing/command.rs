//! A signature by a command of the operator's, for a key that a module keeps.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
};

use decryptor_wasm::signature::{Signer, Statement, Tried, try_signature};

use crate::shell;
use decryptor_wasm::limits::MAX_SIGNATURE;

/// What it is called in messages: the line may hold secrets.
const NAME: &str = "the signing command";
/// The variables that tell the command the file to sign, the trusted comment to sign with it, and the file that it is to write.
const VARIABLES: [&str; 3] = ["MANIFEST", "TRUSTED_COMMENT", "SIGNATURE"];

/// The signature of a `manifest.json` as stored, which states `statement`, made by `line`, a line for a shell. It is checked.
///
/// # Errors
/// A sentence, when the command fails, or makes no signature that holds under the key of `signer`.
pub fn sign(
    line: &str,
    signer: &Signer,
    stored: &mut dyn Read,
    statement: &Statement,
) -> Result<String, String> {
    let at = |e: io::Error| format!("{NAME} cannot be run: {e}");
    // What is in it may be in the clear: for its owner alone, and only as long as it takes.
    let aside = tempfile::Builder::new()
        .prefix("pryv-backup-sign-")
        .tempdir()
        .map_err(at)?;
    let [manifest, signature] = ["manifest.json", "signature"].map(|name| aside.path().join(name));
    let mut content = Vec::new();
    stored.read_to_end(&mut content).map_err(at)?;
    fs::write(&manifest, &content).map_err(at)?;
    let comment = statement.to_string();
    let values: [&OsStr; 3] = [manifest.as_ref(), comment.as_ref(), signature.as_ref()];
    let variables: Vec<_> = VARIABLES.into_iter().zip(values).collect();
    shell::run(NAME, line, &variables, true).map_err(|e| e.message().to_owned())?;
    let made = File::open(&signature).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            format!("{NAME} wrote no signature: it is to write the file that $SIGNATURE names")
        }
        _ => at(e),
    })?;
    let mut text = String::new();
    made.take(MAX_SIGNATURE as u64 + 1)
        .read_to_string(&mut text)
        .map_err(at)?;
    match try_signature(signer, &content, text.as_bytes()) {
        Tried::Holds(signed) if signed == *statement => Ok(text),
        Tried::Holds(_) | Tried::Broken => Err(format!(
            "what {NAME} wrote is no signature of $MANIFEST with $TRUSTED_COMMENT as minisign makes it"
        )),
        Tried::OtherSigner => Err(format!(
            "{NAME} signed with another key than {signer}, which is named as that of the command"
        )),
    }
}
