//! The claim that an archive allows.

/// What may be claimed of an archive in which no damage was found: whether it has an inventory, is encrypted, and was signed by somebody
/// who is expected.
pub fn verdict(inventoried: bool, encrypted: bool, pinned: bool) -> &'static str {
    match (inventoried, encrypted) {
        (false, _) => "no damage found, as far as it can be checked without an inventory",
        (true, true) if !pinned => {
            "all good (origin not proven: an archive can be made without the private key)"
        }
        (true, _) => "all good",
    }
}
