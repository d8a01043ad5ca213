//! Chains of the host, and runs to be put into them.

use decryptor_wasm::chain::{ChainKey, Link};
use pryv_backup_engine::state::host::HostKey;
use pryv_backup_tests::chain::{Draft, Files, Lock, Made, Place, Run, State, make, make_run};
use serde_json::Value;

use super::STORAGE;
use crate::{
    case::Case,
    chains::{drafts, history, to},
};

pub(super) fn alice() -> Lock {
    to(&["alice"])
}

/// A state with an access of the forger's.
pub(super) fn with_his_token(mut state: State) -> State {
    let token = b"{\"id\":\"a1\",\"token\":\"forged\"}\n".to_vec();
    state
        .content
        .insert("users/u1/accesses.jsonl".into(), token);
    state
}

/// A run that follows the newest, made of what the ids of users and archives tell: both lie in the clear.
pub(super) fn next(
    made: &Made,
    lock: Lock,
    full: bool,
    signer: &'static HostKey,
    manifest: fn(&mut Value),
) -> Run {
    let run = made.ids.len() as u32 + 1;
    let before = history().swap_remove(made.ids.len() - 1);
    let draft = Draft {
        state: with_his_token(before.clone()),
        lock,
        full,
        signer,
        manifest,
    };
    let link = Link {
        run,
        parent: made.ids[made.ids.len() - 1].clone(),
        base: made.ids[0].clone(),
        key: ChainKey::from_bytes([99; 16]),
    };
    make_run(
        &draft,
        &Place {
            run,
            before: (!full).then_some(&before),
            link: Some(link),
            root: &made.files,
            seed: 100,
        },
    )
}

/// A chain of so many runs of the host.
pub(super) fn real(lock: &Lock, runs: usize) -> Made {
    make(&drafts(lock)[..runs])
}

/// Nothing comes out.
pub(super) fn refused(
    name: &'static str,
    line: &'static str,
    made: Made,
    says: &'static str,
) -> Case {
    Case::made(name, line, made.files, Files::new())
        .nothing()
        .exit(4)
        .says(says)
        .forged_by(STORAGE)
}
