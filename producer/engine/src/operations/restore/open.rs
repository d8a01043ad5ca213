//! The backup that is restored: opened, of the users that are asked for, and checked.

use decryptor_wasm::chain::caution;

use super::Options;
use crate::{
    advice::Advice, archive::read::Archive, failure::Failure, observer::Observer,
    operations::decrypt,
};

/// Opens the backup; of one user only, where one is asked for.
pub fn open(how: &Options, observer: &dyn Observer) -> Result<Archive, Failure> {
    let mut archive = how.opening.open(observer)?;
    if archive.raw()?.is_some() {
        let text = "nothing was restored: this is a raw dump, which holds no records";
        return Err(Failure::usage(text).advise(Advice::RestoreRaw));
    }
    if let Some(caution) = caution(&archive.manifest) {
        let text = format!("nothing was restored: {caution}");
        return Err(Failure::usage(text).advise(Advice::Core(Box::new(caution))));
    }
    if let Some(user) = &how.user {
        if how.disposes() && archive.plan.users.len() > 1 {
            return Err(Failure::usage(
                "the backup can be removed or moved only when all its users are restored, and one was asked for",
            ));
        }
        only(&mut archive, user)?;
    }
    Ok(archive)
}

/// Leaves the other users out; what belongs to no user may hold something of this one.
fn only(archive: &mut Archive, name: &str) -> Result<(), Failure> {
    let plan = archive.plan_mut();
    plan.users
        .retain(|user| user.user_id == name || user.username == name);
    if plan.users.len() > 1 {
        return Err(Failure::usage(format!(
            "{name:?} is the id of one user and the name of another; give the other's id or name"
        )));
    }
    let Some(user) = plan.users.first() else {
        return Err(Failure::usage(format!(
            "no user {name:?} in this backup (neither a user id nor a username)"
        )));
    };
    let id = user.user_id.clone();
    let folder = format!("users/{id}/");
    let other = |path: &str| path.starts_with("users/") && !path.starts_with(&folder);
    plan.files.retain(|file| !other(&file.path));
    plan.manifests.retain(|file| !other(&file.path));
    plan.findings.retain(|finding| !other(&finding.path));
    Ok(())
}

/// Checks every file, frame and line, before anything is written.
pub fn verify(archive: &Archive, how: &Options, observer: &dyn Observer) -> Result<(), Failure> {
    let outcome = decrypt::check(archive, how.jobs, observer)?;
    let damaged = &outcome.damaged;
    if damaged.is_empty() {
        return Ok(());
    }
    for what in damaged {
        observer.damaged(what);
    }
    Err(Failure::damaged(format!(
        "the backup is damaged ({}, named above): nothing was restored; use another copy",
        match damaged.len() {
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        }
    )))
}
