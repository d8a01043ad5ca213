//! Backups below a prefix of an object store. What goes goes with all its versions, and nothing of a backup of which one is locked.

use std::{collections::BTreeMap, path::PathBuf};

use decryptor_wasm::layout::{CHAIN, ENVELOPE, MANIFEST, RUN, SIGNATURE};

use super::{
    leftovers::{self, ABANDONED, Leftovers},
    place::BackupPlace,
    stored_backup::StoredBackup,
    unit::{Candidate, Checker, Units, stray},
};
use crate::{
    archive::{read::Folder, write::StoreWork},
    failure::Failure,
    storage::{self, ObjectStore, StoreAddress, StoreError, StoreVersion},
};

/// Looks at every prefix below an address, and reads every backup.
pub fn find(address: &StoreAddress, checker: &mut Checker<'_>) -> Result<Units, Failure> {
    let failed = |error: StoreError| Failure::failed(format!("{error}: nothing was removed"));
    if address.options.as_of.is_some() {
        return Err(Failure::usage(
            "what the store held at another moment cannot be removed: give no moment",
        ));
    }
    let store = ObjectStore::open(address).map_err(failed)?;
    let mut folders: BTreeMap<String, Vec<StoreVersion>> = BTreeMap::new();
    for object in store.list_for_removal().map_err(failed)? {
        match object.key.split_once('/') {
            Some((name, within)) => {
                folders
                    .entry(name.to_owned())
                    .or_default()
                    .push(StoreVersion {
                        key: within.to_owned(),
                        ..object.clone()
                    })
            }
            None if object.key == MANIFEST && !object.deleted => {
                return Err(Failure::usage(format!(
                    "{address} is a backup: give the prefix below which backups lie"
                )));
            }
            None => {}
        }
    }
    let mut units = Units::default();
    for (name, objects) in folders {
        Failure::unless_interrupted()?;
        if let Some(secrets) = &mut checker.secrets {
            secrets.forget_asked();
        }
        let place = address.below(&name);
        let path = PathBuf::from(place.to_string());
        let found = checker.look_stored(&place, objects);
        units.add(path, found);
    }
    // What could not be read is neither good nor damaged.
    if let Some(error) = storage::failure() {
        return Err(failed(error));
    }
    let uploads = store.begun_uploads().map_err(failed)?;
    units
        .leftovers
        .extend(leftovers::abandoned_uploads(&store, uploads, checker.now));
    units.drop_copies();
    Ok(units)
}

impl Checker<'_> {
    fn look_stored(&self, place: &StoreAddress, objects: Vec<StoreVersion>) -> Candidate {
        let opened = ObjectStore::open(place).map_err(|error| error.to_string());
        let opened = opened.and_then(|store| {
            let work = StoreWork::open(&store, self.state.as_deref());
            let work = work.map_err(|error| error.to_string())?;
            let doomed = work.doomed(&store).map_err(|error| error.to_string())?;
            let begun = work.is_begun().map_err(|error| error.to_string())?;
            Ok((store, work, doomed, begun))
        });
        let (store, work, doomed, begun) = match opened {
            Ok(opened) => opened,
            Err(why) => return Candidate::Unproven(why),
        };
        let mut stored = StoredBackup {
            in_use: begun.then(|| "a run to it was killed while it put its last files; the next run there finishes it".to_owned()),
            store,
            objects,
            left: Vec::new(),
            work,
        };
        let has = |name: &str| stored.has(name);
        if let Some(doomed) = doomed.filter(|_| !has(MANIFEST) || !has(SIGNATURE)) {
            stored.objects = doomed;
            return Candidate::Doomed(BackupPlace::Store(Box::new(stored)));
        }
        if !has(MANIFEST) {
            return self.without_manifest(stored);
        }
        let chain = has(CHAIN) || has(RUN);
        if let Some(why) = stray(
            stored.objects.iter().map(|object| object.key.as_str()),
            chain,
        ) {
            return Candidate::Unproven(why);
        }
        let folder = Folder::of_store(stored.store.clone());
        match self.prove(&folder, BackupPlace::Store(Box::new(stored))) {
            Ok(mut unit) => {
                if let BackupPlace::Store(stored) = &mut unit.place {
                    stored.find_attempts(unit.runs as u32, &folder, self.now);
                }
                Candidate::Good(unit)
            }
            Err(why) => Candidate::Unproven(why),
        }
    }

    /// What lies below a prefix without a backup.
    fn without_manifest(&self, stored: StoredBackup) -> Candidate {
        if [SIGNATURE, ENVELOPE, RUN]
            .iter()
            .any(|name| stored.has(name))
        {
            return Candidate::unproven(
                "manifest.json is missing: it was removed, or lost, or a run was killed before it put it",
            );
        }
        let mut objects = stored.objects.iter();
        if !objects.all(|object| leftovers::is_of_attempt(&object.key)) {
            return Candidate::Other("no backup (it has no manifest.json)".to_owned());
        }
        match leftovers::is_dead(leftovers::newest(&stored.objects), self.now) {
            false => Candidate::Other(format!(
                "a run that was not finished, or is at work; it is removed when nothing was added to it for {} days",
                ABANDONED.as_hours() / 24
            )),
            true => Candidate::Left(Leftovers::of_objects(&stored.store, stored.objects)),
        }
    }
}
