//! A new pair of keys, for people.

use pryv_backup_engine::operations::keygen::{Pair, PairName};

use crate::stdio::answer;

/// Shows where it is, and what tells it from others.
pub fn show(pair: &Pair) {
    let (private, public) = (pair.private.display(), pair.public.display());
    match &pair.name {
        PairName::Fingerprint(fingerprint) => {
            answer!(
                "private key: {private} (keep it away from the platform, and keep a copy: without it no backup opens)"
            );
            answer!("public key:  {public} (for --recipient-pubkey)");
            answer!("fingerprint: {fingerprint}");
        }
        PairName::Signer(signer) => {
            answer!("secret key: {private} (for --sign-key)");
            answer!("public key: {public} (for --signer)");
            answer!("signer:     {signer}");
        }
    }
}
