//! `manifest.json` and its signature: they say which archive it is, and what was signed of it.

use decryptor_wasm::{
    container::MAGIC,
    layout::MANIFEST,
    signature::{SIGNATURE, Signer, Statement, unproven},
};

use super::{
    Repair, Unlock,
    manifest::{holds, key_of, open_manifest},
    path_of,
};
use crate::{archive::read::Folder, digest::sha256_hex, failure::Failure};

/// See the module.
pub(super) struct Head {
    pub statement: Statement,
    /// `manifest.json` as stored.
    pub manifest: Vec<u8>,
    /// Its signature.
    pub signature: Vec<u8>,
    /// Whether that is the other's.
    pub replaced: bool,
    /// Whether the signer who is expected made it, or the one whom the archive's own sealed manifest names.
    pub proven: bool,
}

/// A manifest and a signature that fit each other.
struct Pair<'p> {
    number: u32,
    statement: &'p Statement,
    manifest: &'p [u8],
    signature: &'p [u8],
    /// Whether each lies in the archive that is repaired.
    own: (bool, bool),
}

impl Repair<'_> {
    /// Finds manifest and signature of a run, and replaces the one that is damaged; none where nothing says which are right.
    pub(super) fn head(
        &self,
        number: u32,
        own: &Folder,
        other: &Folder,
        unlock: Unlock<'_>,
    ) -> Result<Option<Head>, Failure> {
        let read = |folder: &Folder, path| {
            // A file that the disk does not give is as good as none.
            folder.has(path).then(|| folder.read(path).ok()).flatten()
        };
        let manifests = [read(own, MANIFEST), read(other, MANIFEST)];
        let signatures = [read(own, SIGNATURE), read(other, SIGNATURE)];
        for (manifest_of, signature_of) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let (Some(manifest), Some(signature)) =
                (&manifests[manifest_of], &signatures[signature_of])
            else {
                continue;
            };
            let Some(statement) = unproven(signature) else {
                continue;
            };
            if statement.id != sha256_hex(manifest) || statement.run != number {
                continue;
            }
            let pair = Pair {
                number,
                statement: &statement,
                manifest,
                signature,
                own: (manifest_of == 0, signature_of == 0),
            };
            let Some(proven) = self.proof(&pair, [own, other], manifests[0].as_deref(), unlock)
            else {
                continue;
            };
            let (signature, signature_of) = match &signatures[1] {
                // The first line is not signed, and yet listed.
                Some(other) if signature_of == 0 && self.is_better(number, signature, other) => {
                    (other, 1)
                }
                _ => (signature, signature_of),
            };
            for (which, path, bytes) in [
                (manifest_of, MANIFEST, manifest),
                (signature_of, SIGNATURE, signature),
            ] {
                if which == 1 {
                    let path = path_of(number, path);
                    let line = format!("{path}: replaced by that of {}", self.name);
                    self.changes.write(bytes, &path, line)?;
                }
            }
            return Ok(Some(Head {
                replaced: signature_of == 1,
                proven,
                statement,
                manifest: manifest.clone(),
                signature: signature.clone(),
            }));
        }
        self.leave(format!(
            "run {number}: manifest.json and its signature do not fit each other, and nothing proves that those of {} are the right ones (that is known with the key, or when you name the signer whom you expect)",
            self.name
        ));
        Ok(None)
    }

    /// Whether of two signatures that are the same but for the comment before them the other is the one that is listed.
    fn is_better(&self, number: u32, own: &[u8], other: &[u8]) -> bool {
        let signed = |signature: &[u8]| {
            let end = signature.iter().position(|byte| *byte == b'\n');
            end.map(|end| signature[end..].to_vec())
        };
        let listed = self.lists(&path_of(number, SIGNATURE));
        signed(own) == signed(other)
            && listed
                .is_some_and(|listed| sha256_hex(own) != *listed && sha256_hex(other) == *listed)
    }

    /// Whether a manifest and a signature are taken, and if so whether they are proven; none where they are not taken. A signature proves
    /// nothing by itself: anybody can make one, and put it into the archive.
    fn proof(
        &self,
        pair: &Pair<'_>,
        folders: [&Folder; 2],
        own_manifest: Option<&[u8]>,
        unlock: Unlock<'_>,
    ) -> Option<bool> {
        let Pair {
            manifest,
            signature,
            ..
        } = *pair;
        let lists = |path| self.lists(&path_of(pair.number, path));
        let is_listed =
            |path, bytes| lists(path).is_some_and(|listed| *listed == sha256_hex(bytes));
        let asked_for = self.expect_id == Some(pair.statement.id.as_str());
        let known = asked_for || is_listed(MANIFEST, manifest);
        let own_holds = own_manifest.is_some_and(|own| is_listed(MANIFEST, own));
        if !pair.own.0 && own_holds && !asked_for {
            return None;
        }
        let mut signers = self.demands.signers.iter();
        if signers.any(|signer| holds(signer, manifest, signature)) {
            // Where both are of the other, it has to be the same archive too.
            return (known || pair.own != (false, false)).then_some(true);
        }
        if !self.demands.signers.is_empty() || pair.own == (false, false) {
            return None;
        }
        let named = |folder| is_named(folder, unlock, manifest, signature);
        let by_own = named(folders[0]);
        let by_any = by_own.or_else(|| named(folders[1]));
        if by_any == Some(false) {
            return None;
        }
        let proven = manifest.starts_with(MAGIC) && by_own.is_some();
        let as_listed = known
            || lists(MANIFEST).is_none()
            || lists(SIGNATURE).is_none()
            || is_listed(SIGNATURE, signature);
        let taken = match pair.own {
            (true, true) => proven || as_listed,
            (true, false) => proven || (as_listed && by_any.is_some()),
            // One that the key opens is not damaged.
            _ => known && !own_manifest.is_some_and(|own| is_opened(folders[0], own, unlock)),
        };
        taken.then_some(proven)
    }

    /// What the lists of the archive say of a file.
    fn lists(&self, path: &str) -> Option<&String> {
        self.sums.as_ref()?.get(path)
    }
}

/// Whether the signer whom a manifest names has signed it; none where the envelope in that folder and the key do not open it.
fn is_named(
    folder: &Folder,
    unlock: Unlock<'_>,
    manifest: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = key_of(folder, manifest, unlock)?;
    let opened = open_manifest(manifest, key.as_ref())?;
    let signer = opened.signer.and_then(|name| Signer::parse(&name).ok());
    Some(signer.is_some_and(|signer| holds(&signer, manifest, signature)))
}

/// Whether the key opens a manifest that is sealed.
fn is_opened(folder: &Folder, manifest: &[u8], unlock: Unlock<'_>) -> bool {
    manifest.starts_with(MAGIC) && key_of(folder, manifest, unlock).is_some()
}
