//! The claim that an archive allows.

/// States what may be claimed of an archive in which no damage was found; the facts: whether it has an inventory, is encrypted, and was signed by somebody
/// who is expected.
pub fn verdict(inventoried: bool, encrypted: bool, pinned: bool) -> &'static str {
    match (inventoried, encrypted) {
        (false, _) => "no damage found, as far as it can be checked without an inventory",
        (true, true) if !pinned => "all good (who made it was not checked: give --signer KEY)",
        (true, _) => "all good",
    }
}
