//! Runs that somebody put into a chain or took out of one, and chains that were continued twice.

use base64ct::{Base64, Encoding};
use decryptor_wasm::{BackupType, chain::Index, signature::SIGNATURE};
use pryv_backup_tests::{
    chain::{Draft, Files, make},
    sign,
};
use serde_json::{Value, json};

use super::{
    HOST, NOT_HOLDS_FOR, PIN, SENDER, STORAGE,
    chains::{alice, next, real, refused, with_his_token},
};
use crate::{
    case::Case,
    chains::{SERIES, drafts, good, history, out},
};

fn put_in() -> Vec<Case> {
    let with = |full, signer, manifest: fn(&mut Value)| {
        let mut made = real(&alice(), 3);
        let run = next(&made, alice(), full, signer, manifest);
        made.add(run);
        made
    };
    let named: fn(&mut Value) = |m| m["signer"] = json!(sign::host().signer().as_str());
    let forged = |name, line, made, says| refused(name, line, made, says).forged_by(SENDER);
    let unsigned = {
        let mut made = with(false, sign::mallory(), named);
        made.files.remove(&format!("increments/0004/{SIGNATURE}"));
        made.sum();
        made
    };
    let mut his = drafts(&alice());
    his.push(Draft {
        signer: sign::mallory(),
        ..Draft::new(with_his_token(history().swap_remove(2)), alice(), true)
    });
    let real = drafts(&alice());
    let his_chain = || make(&his).files;
    let opens = |name, line, drafts: &[Draft], run, files: Files| {
        let due = out(drafts, &make(drafts), run);
        Case::made(name, line, files, due).forged_by(SENDER)
    };
    let increment = || with(false, sign::mallory(), |_| {}).files;
    let mut continued = his.clone();
    continued.push(Draft {
        signer: sign::mallory(),
        ..Draft::new(history().swap_remove(2), alice(), false)
    });
    // Where the points of the runs before are gone, no line is left.
    let at_3 = |name, line, files| {
        opens(name, line, &real, 3, files)
            .with(SERIES, b"")
            .also(&["--at", "3"])
    };
    const CHOICE: &str = "run 4 is signed by {mallory}, and run 3 by another key";
    vec![
        forged("forged-increment", "an increment of somebody else follows the newest run", with(false, sign::mallory(), |_| {}),
            "run 4 is signed by another key than run 3, which it follows, and increments never change their signer"),
        forged("forged-increment-in-the-hosts-name", "it names the host as its signer", with(false, sign::mallory(), named),
            "manifest.json.minisig was made by another key than the signer that manifest.json names"),
        forged("forged-increment-same-key-id", "and is signed by a key with the id of the host's", with(false, sign::twin(), named), NOT_HOLDS_FOR),
        forged("forged-increment-unsigned", "it names the host, and nobody signed it", unsigned, "increments/0004/manifest.json.minisig is missing"),
        at_3("forged-increment-at-3", "the state before such a run opens when it is asked for", increment())
            .says("signed by {signer}; no expected signer was given"),
        forged("forged-increment-pinned", "it is refused where a signer is pinned", with(false, sign::mallory(), |_| {}),
            "which is not the signer that you expect").also(&PIN).says("--at 3 for the state before"),
        forged("forged-full-in-the-hosts-name", "a full run that names the host as its signer", with(true, sign::mallory(), named),
            "manifest.json.minisig was made by another key than the signer that manifest.json names"),
        forged("forged-full", "a full run of somebody else, or of a host that lost its key: nobody but the reader can choose",
            make(&his), CHOICE).exit(2),
        at_3("forged-full-at-3", "one state is chosen", his_chain())
            .says("signed by {signer}; no expected signer was given"),
        opens("forged-full-at-4", "the other state is chosen, and said to be of another signer", &his, 4, his_chain()).also(&["--at", "4"])
            .says("signed by {mallory}; no expected signer was given"),
        opens("forged-full-accepted", "the other signer is expected", &his, 4, his_chain()).also(&["--signer", "{mallory}"])
            .says("signed by {mallory}, as expected"),
        forged("forged-full-pinned", "the signer of the runs before is expected", make(&his), "which is not the signer that you expect")
            .also(&PIN).says("--at 3 for the state before"),
        at_3("forged-full-pinned-at-3", "and the state that he signed opens", his_chain()).also(&PIN)
            .says("signed by {signer}, as expected"),
        forged("forged-full-continued", "an increment of his follows his full run", make(&continued),
            "run 5 is signed by {mallory}, and run 3 by another key").exit(2),
    ]
}

fn taken_out() -> Vec<Case> {
    let three = drafts(&alice());
    let newest = make(&three).ids.swap_remove(2);
    let rolled = || {
        good(
            "forged-rollback",
            "the newest run was taken away: the folder does not show it",
            &three[..2],
            2,
        )
        .forged_by(STORAGE)
    };
    let renamed = |name, line| rolled().called(name, line).nothing().exit(4);
    let swapped = {
        let mut made = make(&three);
        let [two, three] = ["0002", "0003"].map(|run| format!("increments/{run}/{SIGNATURE}"));
        let other = made.files[&two].clone();
        let own = made.files.insert(three, other).unwrap();
        made.files.insert(two, own);
        made.sum();
        made
    };
    let of_another = {
        let mut other = three.clone();
        other[1].state.manifest["config"]["domain"] = json!("elsewhere");
        let path = format!("increments/0002/{SIGNATURE}");
        let mut made = make(&three);
        made.files
            .insert(path.clone(), make(&other).files[&path].clone());
        made.sum();
        made
    };
    let lost = {
        let mut made = make(&three);
        made.files.remove(&format!("increments/0002/{SIGNATURE}"));
        made.sum();
        made
    };
    let first = {
        let mut made = make(&three);
        made.files.remove(SIGNATURE);
        made.sum();
        made
    };
    let index = |change: fn(&mut Index)| {
        let mut made = make(&drafts(&alice()));
        let mut index = made.indexed();
        change(&mut index);
        made.index(&index);
        made
    };
    let replayed = {
        // The newest run is replaced by the one before it, and the index tells that two runs were made.
        let mut made = make(&three);
        made.replace(3, made.run(2));
        let mut index = made.indexed();
        index.runs[2].archive_id = index.runs[1].archive_id.clone();
        index.runs[1].archive_id = "0".repeat(64);
        index.runs[2].parent = Some("0".repeat(64));
        made.replace(2, Files::new());
        made.index(&index);
        made
    };
    let older_list = || {
        let mut made = make(&three);
        let mut index = made.indexed();
        index.runs.pop();
        made.index(&index);
        made
    };
    let torn = {
        let mut made = make(&three);
        let within = |(path, bytes): (String, Vec<u8>)| {
            Some((path.strip_prefix("increments/0003/")?.to_owned(), bytes))
        };
        made.files = std::mem::take(&mut made.files)
            .into_iter()
            .filter_map(within)
            .collect();
        made
    };
    vec![
        refused(
            "forged-older-list",
            "an older list of runs, which does not name the newest: it was finished",
            older_list(),
            "increments/0003: it was finished, and no list of runs names it",
        ),
        good(
            "forged-older-list-at-2",
            "the state before opens when it is asked for",
            &three,
            2,
        )
        .change(|files| files.clone_from(&older_list().files))
        .also(&["--at", "2"])
        .forged_by(STORAGE),
        refused(
            "forged-torn",
            "a run without the runs beside it is no archive of its own",
            torn,
            "this is run 3 of a chain, without the runs beside it",
        )
        .says("--at 3"),
        refused(
            "forged-index-in-the-clear",
            "the index says that a run is not encrypted",
            index(|index| index.runs[1].mode = None),
            "says that run 2 is not encrypted, which is not so",
        ),
        rolled().says("run 2 of 2"),
        renamed(
            "forged-rollback-expected",
            "whoever noted the id of the newest sees it",
        )
        .also(&["--expect-id", &newest])
        .says("this is not the archive that you expect"),
        renamed(
            "forged-rollback-too-old",
            "whoever knows how old it may be sees it",
        )
        .also(&["--max-age", "2w"])
        .says("somebody may have removed a newer one"),
        renamed(
            "forged-rollback-too-old-pinned",
            "no older state is offered to him: those before are older still",
        )
        .also(&PIN)
        .also(&["--max-age", "2w"])
        .says("somebody may have removed a newer one")
        .never("--at"),
        renamed(
            "forged-rollback-other-source-pinned",
            "nor to whoever expects another platform",
        )
        .also(&PIN)
        .also(&["--expect-source", "ffffffffffffffffffffffffffffffff"])
        .says("this backup is of another platform than the one that you expect")
        .never("--at"),
        refused(
            "forged-replay",
            "the newest run is an older one",
            replayed,
            "increments/0003: run 2 of this chain lies where run 3 should be",
        ),
        refused(
            "forged-signatures-swapped",
            "two runs have each other's signature",
            swapped,
            NOT_HOLDS_FOR,
        ),
        refused(
            "forged-signature-of-another-run",
            "a run has the signature of a run of another chain",
            of_another,
            "increments/0002: manifest.json.minisig is not the signature of run 2",
        ),
        refused(
            "forged-signature-of-a-run-missing",
            "a run lost its signature",
            lost,
            "increments/0002: manifest.json.minisig is missing",
        ),
        refused(
            "forged-signature-of-the-first-missing",
            "the first run lost its signature",
            first,
            "manifest.json.minisig is missing",
        ),
        refused(
            "forged-index-time",
            "the index says another time of a run",
            index(|index| index.runs[2].created_at += 1),
            "run 3 is an increment of",
        ),
        refused(
            "forged-index-kind",
            "the index calls an increment full",
            index(|index| index.runs[2].kind = BackupType::Full),
            "run 3 is an increment of",
        ),
    ]
}

/// A run that the state does not need, whose signature says that another key made it.
fn strangers() -> Vec<Case> {
    let mut runs = drafts(&alice());
    runs[2].full = true;
    let changed = || {
        let mut made = make(&runs);
        let minisig = made.files.get_mut(&format!("increments/0002/{SIGNATURE}"));
        let minisig = minisig.unwrap();
        let text = String::from_utf8(minisig.clone()).unwrap();
        let line = text.lines().nth(1).unwrap();
        let mut bytes = Base64::decode_vec(line).unwrap();
        bytes[2] ^= 1;
        *minisig = text
            .replacen(line, &Base64::encode_string(&bytes), 1)
            .into_bytes();
        made.sum();
        made
    };
    vec![
        refused(
            "forged-stranger-below",
            "a run below a full one says that another key signed it: nobody but the reader can choose",
            changed(),
            "run 3 is signed by {signer}, and run 2 by another key",
        )
        .exit(2),
        Case::made(
            "forged-stranger-below-pinned",
            "the state that needs no such run opens, and the run is named",
            changed().files,
            out(&runs, &make(&runs), 3),
        )
        .also(&PIN)
        .says("run 2 is not signed by {signer}, nor by another signer who is expected")
        .forged_by(STORAGE),
    ]
}

/// Two hosts with one key: both signed.
fn forks() -> Vec<Case> {
    let one = drafts(&alice());
    let mut other = one.clone();
    other[2].state = with_his_token(other[2].state.clone());
    let copy = make(&other);
    let both = || {
        let mut made = make(&one);
        made.replace(4, copy.run(3));
        let mut index = made.indexed();
        let mut entry = copy.indexed().runs.swap_remove(2);
        (entry.run, entry.path) = (4, "increments/0004".into());
        index.runs.push(entry);
        made.index(&index);
        made
    };
    let chosen = |name, line, drafts: &[Draft], at| {
        let due = out(drafts, &make(drafts), 3);
        Case::made(name, line, both().files, due)
            .with(SERIES, b"")
            .also(&["--at", at])
            .forged_by(HOST)
    };
    const FORK: &str = "the runs 3 and 4 follow the same run, and both are signed by {signer}";
    let source = {
        let mut drafts = one.clone();
        drafts[2].manifest = |m| m["source"] = json!("f".repeat(32));
        make(&drafts)
    };
    vec![
        refused(
            "forged-fork",
            "two runs follow the same run: a host was copied, and nobody but the reader can choose",
            both(),
            FORK,
        )
        .exit(2)
        .forged_by(HOST),
        refused(
            "forged-fork-pinned",
            "that the signer is expected does not help",
            both(),
            FORK,
        )
        .also(&PIN)
        .exit(2)
        .forged_by(HOST),
        chosen("forged-fork-at-3", "one state is chosen", &one, "3"),
        chosen("forged-fork-at-4", "the other state is chosen", &other, "4"),
        refused(
            "forged-other-source",
            "an increment of another platform of the host",
            source,
            "of another platform than",
        )
        .forged_by(HOST),
    ]
}

pub fn cases() -> Vec<Case> {
    [put_in(), taken_out(), strangers(), forks()].concat()
}
