//! Backups of Pryv's own tool, which nobody signs: what the holder of the key says of them.

use decryptor_wasm::{Envelope, open::Request, signature::Demands};
use jiff::Timestamp;

use crate::{
    archive::read::{Archive, Folder},
    operations::verify,
    secrets::Secrets,
};

/// Claims of a backup about itself, proven by nobody.
pub struct Said {
    /// When it was made.
    pub time: Timestamp,
    /// SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// The platform that it names, or the user of it.
    pub source: String,
    /// How many losses it names.
    pub losses: u64,
}

/// Reads the claims of a backup, if it meets the conditions, the secrets open it, and every record of it is whole.
pub fn read(
    folder: &Folder,
    demands: &Demands,
    secrets: &Secrets<'_>,
    jobs: usize,
) -> Result<Said, String> {
    let unlock = |envelope: &Envelope| secrets.unlock(envelope);
    let archive = Archive::open(folder.clone(), Request::of(demands.clone()), unlock)
        .map_err(|error| error.to_string())?;
    if !archive.is_encrypted() || archive.plan.inventoried {
        return Err("nobody signed it".to_owned());
    }
    verify::undamaged(&archive, jobs)?;
    let manifest = &archive.manifest;
    let time = Timestamp::from_millisecond(manifest.backup_timestamp);
    // The backup of one user does not count for the whole platform.
    let mut users = manifest.users.ids();
    let source = match (users.next(), users.next()) {
        (Some(user), None) => format!("{} {user}", manifest.config.domain),
        _ => manifest.config.domain.clone(),
    };
    Ok(Said {
        time: time.map_err(|error| error.to_string())?,
        id: archive.id().to_owned(),
        source,
        losses: manifest.losses.len() as u64,
    })
}
