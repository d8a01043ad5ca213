//! `encryption.json`: nobody signs it, since recipients may change. It is replaced only by one that a given key opens.

use std::collections::BTreeMap;

use decryptor_wasm::{DataKey, Envelope, container::MAGIC, layout::ENVELOPE};

use super::{Repair, Run, Unlock, manifest::key_of, path_of};
use crate::{digest::sha256_hex, failure::Failure};

impl Repair<'_> {
    /// Replaces the envelope of a run if it is damaged. Returns the key of the run, if one was given that opens it, and the envelope, if it is good.
    pub(super) fn envelope(
        &self,
        run: &Run,
        unlock: Unlock<'_>,
        sums: &mut BTreeMap<String, String>,
    ) -> Result<(Option<DataKey>, Option<Vec<u8>>), Failure> {
        let manifest = &run.head.manifest;
        if !manifest.starts_with(MAGIC) {
            return Ok((None, None));
        }
        let path = path_of(run.number, ENVELOPE);
        let own = run.own.has(ENVELOPE).then(|| run.own.read(ENVELOPE).ok());
        let own = own.flatten();
        if let Some(key) = key_of(&run.own, manifest, unlock).flatten() {
            return Ok((Some(key), own));
        }
        let good = own.as_ref().is_some_and(|bytes| {
            let listed = sums.get(&path).is_none_or(|sum| *sum == sha256_hex(bytes));
            let envelope = Envelope::parse(bytes).ok();
            let fits = |envelope: &Envelope| {
                envelope.has_key_check()
                    && envelope.created_at() == Some(run.head.statement.created)
            };
            listed && envelope.as_ref().is_some_and(fits)
        });
        if good {
            return Ok((None, own));
        }
        if unlock.is_none() {
            self.leave(format!(
                "{path}: it is replaced only with a key that opens it: give that of the backup"
            ));
            return Ok((None, None));
        }
        let Some(key) = key_of(&run.other, manifest, unlock).flatten() else {
            self.leave(format!(
                "{path}: the key does not open that of {} either",
                self.name
            ));
            return Ok((None, None));
        };
        let bytes = run.other.read(ENVELOPE)?;
        if Envelope::parse(&bytes)?.created_at() != Some(run.head.statement.created) {
            self.leave(format!("{path}: that of {} is of another time", self.name));
            return Ok((None, None));
        }
        let line = format!("{path}: replaced by that of {}", self.name);
        self.changes.write(&bytes, &path, line)?;
        sums.insert(path, sha256_hex(&bytes));
        Ok((Some(key), Some(bytes)))
    }
}
