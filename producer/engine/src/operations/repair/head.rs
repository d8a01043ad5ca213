//! `manifest.json` and its signature: they say which archive it is, and what was signed of it.

use decryptor_wasm::{
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
            let pinned = self
                .demands
                .signers
                .iter()
                .any(|signer| holds(signer, manifest, signature));
            let taken = match (manifest_of, signature_of) {
                (_, 0) => pinned || self.demands.signers.is_empty(),
                (0, _) => pinned || self.is_named(&[own, other], unlock, manifest, signature),
                // Both are of the other: it has to be the same archive too.
                _ => pinned && self.is_listed(number, &statement.id),
            };
            if !taken {
                continue;
            }
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
        let listed = self.sums.as_ref();
        let listed = listed.and_then(|sums| sums.get(&path_of(number, SIGNATURE)));
        signed(own) == signed(other)
            && listed
                .is_some_and(|listed| sha256_hex(own) != *listed && sha256_hex(other) == *listed)
    }

    /// Whether the archive says that this is the manifest of the run.
    fn is_listed(&self, number: u32, id: &str) -> bool {
        let listed = self.sums.as_ref();
        let listed = listed.and_then(|sums| sums.get(&path_of(number, MANIFEST)));
        listed.is_some_and(|listed| listed == id) || self.expect_id == Some(id)
    }

    /// Whether the signer whom a sealed manifest names has signed it.
    fn is_named(
        &self,
        folders: &[&Folder],
        unlock: Unlock<'_>,
        manifest: &[u8],
        signature: &[u8],
    ) -> bool {
        let named = |folder: &&Folder| {
            let key = key_of(folder, manifest, unlock)?;
            let manifest = open_manifest(manifest, key.as_ref())?;
            Signer::parse(&manifest.signer?).ok()
        };
        let signer = folders.iter().find_map(named);
        self.demands.signers.is_empty()
            && signer.is_some_and(|signer| holds(&signer, manifest, signature))
    }
}
