//! One file per command, each the story of what it does.

pub mod backup;
pub mod keygen;

use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Reads a small file, naming it in the failure.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
}

/// The first line of a passphrase file.
fn read_passphrase(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("{}: not UTF-8 text", path.display())))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::usage(format!(
            "{}: its first line, the passphrase, is empty",
            path.display()
        )));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
