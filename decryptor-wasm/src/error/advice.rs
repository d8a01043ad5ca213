//! What those can do about an error who have the options of the tool and of the script, which are called alike: one table for both. It is
//! the only place of the core that names options, and `docs/errors.md` lists it.

use super::Code;

/// The advice that follows the sentence of an error with this code, with gaps like those of the sentence; empty where there is none.
pub(super) fn of(code: Code) -> &'static str {
    match code {
        Code::NoSuchUser => "; --list shows its users",
        Code::NotEncrypted => "; --allow-plaintext opens it all the same",
        Code::PrivateKeyNeeded => ": give --private-key FILE",
        Code::PassphraseNeeded => ": give --passphrase-file FILE or set PRYV_BACKUP_PASSPHRASE",
        Code::OpensWithPrivateKey => ": give --private-key FILE",
        Code::OpensWithPassphrase => ": give --passphrase-file or PRYV_BACKUP_PASSPHRASE",
        Code::LockedToKey => ": give --private-key with the private key file",
        Code::PrivateKeyLocked => {
            ": give --private-key-passphrase or set PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE"
        }
        Code::HostCipher => "; try --engine wasm",
        Code::Unsigned => "; --accept-unsigned opens it all the same",
        Code::IndexMissing => "; --at 1 opens the first",
        Code::TornRun => ", or --at {run} for what this run alone holds",
        Code::RunWrong => "[, or --at {instead} for the state before]",
        Code::RunUnlisted => ", or --at {instead} for the state of run {instead}",
        Code::RunAlone => ", with --at {run} if it is not the newest",
        Code::TwoSigners => {
            "; say which is yours with --signer KEY, or with --at {run} or --at {other} which state you want"
        }
        Code::Fork => "; say with --at {run} or --at {other} which state you want",
        _ => "",
    }
}

/// The advice for every other error that tells which state can be had instead.
pub(super) const INSTEAD: &str = "[; --at {instead} for the state before]";
