//! Backups of Pryv's own tool, which nobody signs: what the holder of the key says of them.

use decryptor_wasm::{Envelope, signature::Demands};
use jiff::Timestamp;

use crate::{
    archive::read::{Archive, Choice, Folder},
    cli::KeyArgs,
    commands::{secrets::Secrets, verify},
};

/// When a backup was made, its id, which platform it is of, and how many losses it names, if the key opens it and every record of it is
/// whole.
pub fn read(
    folder: &Folder,
    key: &KeyArgs,
    jobs: usize,
) -> Result<(Timestamp, String, String, u64), String> {
    let secrets = Secrets::new(key);
    let demands = Demands::default();
    let unlock = |envelope: &Envelope| secrets.unlock(envelope);
    let archive = Archive::open_one(folder.clone(), Choice::new(&demands), &unlock)
        .map_err(|error| error.to_string())?;
    if !archive.encrypted() || archive.plan.inventoried {
        return Err("nobody signed it".to_owned());
    }
    verify::undamaged(&archive, jobs)?;
    let manifest = &archive.manifest;
    let time = Timestamp::from_millisecond(manifest.backup_timestamp);
    let users: Vec<&str> = manifest
        .users
        .iter()
        .map(|user| user.user_id.as_str())
        .collect();
    // The backup of one user does not count for the whole platform.
    let source = match users.as_slice() {
        [user] => format!("{} {user}", manifest.config.domain),
        _ => manifest.config.domain.clone(),
    };
    Ok((
        time.map_err(|error| error.to_string())?,
        archive.id.clone(),
        source,
        manifest.losses.len() as u64,
    ))
}
