//! Chains into which somebody put runs, or out of which he took some. What the forger held is said of each.

use decryptor_wasm::{
    chain::{ChainKey, Link},
    signature::SIGNATURE,
};
use pryv_backup::state::host::HostKey;
use pryv_backup_tests::{
    chain::{Draft, Files, Lock, Made, Place, Run, State, make, make_run},
    sign,
};
use serde_json::{Value, json};

use crate::{
    case::Case,
    chains::{drafts, good, history, out, to},
    forged::{HOST, SENDER, STORAGE},
};

const NOT_HOLDS: &str = "manifest.json.minisig does not hold for";
const PIN: [&str; 2] = ["--signer", "{keys}/host.pub"];

fn alice() -> Lock {
    to(&["alice"])
}

/// A state with an access of the forger's.
fn with_his_token(mut state: State) -> State {
    let token = b"{\"id\":\"a1\",\"token\":\"forged\"}\n".to_vec();
    state
        .content
        .insert("users/u1/accesses.jsonl".into(), token);
    state
}

/// A run that follows the newest, made of what the ids of users and archives tell: both lie in the clear.
fn next(
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
fn real(lock: &Lock, runs: usize) -> Made {
    make(&drafts(lock)[..runs])
}

/// Nothing comes out.
fn refused(name: &'static str, line: &'static str, made: Made, says: &'static str) -> Case {
    Case::made(name, line, made.files, Files::new())
        .nothing()
        .exit(4)
        .says(says)
        .forged_by(STORAGE)
}

/// A run in the clear behind sealed ones.
fn clear(name: &'static str, line: &'static str, full: bool, change: fn(&mut Made)) -> Case {
    let mut made = real(&alice(), 1);
    let run = next(&made, Lock::None, full, sign::mallory(), |_| {});
    made.add(run);
    change(&mut made);
    refused(
        name,
        line,
        made,
        "increments/0002 is not encrypted, though other runs are",
    )
}

fn clear_runs() -> Vec<Case> {
    let passphrase = {
        let mut made = real(&Lock::Passphrase("p"), 1);
        let run = next(&made, Lock::None, false, sign::mallory(), |_| {});
        made.add(run);
        made
    };
    let root = {
        let mut made = real(&alice(), 2);
        let first = real(&Lock::None, 1);
        made.files
            .retain(|path, _| path.starts_with("increments/") || path == "chain.json");
        let first = first
            .files
            .into_iter()
            .filter(|(path, _)| path != "chain.json");
        made.files.extend(first);
        made.sum();
        made
    };
    let manifest = {
        let mut made = real(&alice(), 2);
        let parent = real(&alice(), 1);
        let run = next(&parent, Lock::None, false, sign::mallory(), |_| {});
        for name in ["manifest.json", SIGNATURE] {
            let bytes = run.files[name].clone();
            made.files.insert(format!("increments/0002/{name}"), bytes);
        }
        let mut index = made.indexed();
        index.runs[1] = run.entry;
        made.index(&index);
        made
    };
    let envelope = {
        let mut made = real(&alice(), 3);
        made.files.remove("increments/0003/encryption.json");
        made.sum();
        made
    };
    vec![
        clear(
            "forged-clear-increment",
            "an increment in the clear continues a sealed backup",
            false,
            |_| {},
        ),
        refused(
            "forged-clear-increment-passphrase",
            "the same where a passphrase opens it",
            passphrase,
            "increments/0002 is not encrypted, though other runs are",
        )
        .args(&["--passphrase", "p"]),
        clear(
            "forged-clear-full",
            "a full run in the clear continues a sealed backup",
            true,
            |_| {},
        ),
        clear(
            "forged-clear-increment-unlisted",
            "chain.json does not list it",
            false,
            |made| {
                let mut index = made.indexed();
                index.runs.pop();
                made.index(&index);
            },
        ),
        clear(
            "forged-clear-increment-without-index",
            "there is no chain.json",
            false,
            |made| {
                made.files.remove("chain.json");
                made.sum();
            },
        ),
        clear(
            "forged-clear-increment-at-1",
            "the state before is asked for: nothing of such a folder is read",
            false,
            |_| {},
        )
        .also(&["--at", "1"]),
        clear(
            "forged-clear-increment-allowed",
            "--allow-plaintext is for what is in the clear as a whole",
            false,
            |_| {},
        )
        .also(&["--allow-plaintext"]),
        refused(
            "forged-clear-first",
            "the first run is replaced by one in the clear, below sealed increments",
            root,
            "the first run is not encrypted, though a later one is",
        ),
        refused(
            "forged-clear-manifest-of-a-run",
            "the manifest of an increment is replaced by one in the clear",
            manifest,
            "increments/0002",
        ),
        refused(
            "forged-envelope-removed",
            "the envelope of a run was removed",
            envelope,
            "increments/0003 is not encrypted, though other runs are",
        ),
        refused(
            "forged-clear-chain",
            "a chain in the clear in the place of a sealed one",
            real(&Lock::None, 3),
            "this backup is not encrypted, though you gave a key: it may have been replaced",
        ),
    ]
}

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
    const CHOICE: &str = "run 4 is signed by {mallory}, and run 3 by another key";
    vec![
        forged("forged-increment", "an increment of somebody else follows the newest run", with(false, sign::mallory(), |_| {}),
            "run 4 is signed by another key than run 3, which it follows, and increments never change their signer"),
        forged("forged-increment-in-the-hosts-name", "it names the host as its signer", with(false, sign::mallory(), named),
            "manifest.json.minisig was made by another key than the signer that manifest.json names"),
        forged("forged-increment-same-key-id", "and is signed by a key with the id of the host's", with(false, sign::twin(), named), NOT_HOLDS),
        forged("forged-increment-unsigned", "it names the host, and nobody signed it", unsigned, "increments/0004: manifest.json.minisig is missing"),
        opens("forged-increment-at-3", "the state before such a run opens when it is asked for", &real, 3, increment())
            .also(&["--at", "3"]).says("signed by {signer}, which is not pinned"),
        forged("forged-increment-pinned", "it is refused where a signer is pinned", with(false, sign::mallory(), |_| {}),
            "which is not the signer that you expect").also(&PIN).says("--at 3 for the state before"),
        forged("forged-full-in-the-hosts-name", "a full run that names the host as its signer", with(true, sign::mallory(), named),
            "manifest.json.minisig was made by another key than the signer that manifest.json names"),
        forged("forged-full", "a full run of somebody else, or of a host that lost its key: nobody but the reader can choose",
            make(&his), CHOICE).exit(2),
        opens("forged-full-at-3", "one state is chosen", &real, 3, his_chain()).also(&["--at", "3"])
            .says("signed by {signer}, which is not pinned"),
        opens("forged-full-at-4", "the other state is chosen, and said to be of another signer", &his, 4, his_chain()).also(&["--at", "4"])
            .says("signed by {mallory}, which is not pinned"),
        opens("forged-full-accepted", "the other signer is expected", &his, 4, his_chain()).also(&["--signer", "{mallory}"])
            .says("signed by {mallory}, as expected"),
        forged("forged-full-pinned", "the signer of the runs before is expected", make(&his), "which is not the signer that you expect")
            .also(&PIN).says("--at 3 for the state before"),
        opens("forged-full-pinned-at-3", "and the state that he signed opens", &real, 3, his_chain()).also(&PIN).also(&["--at", "3"])
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
    let index = |change: fn(&mut decryptor_wasm::chain::Index)| {
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
    vec![
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
        .says("a newer one may have been taken away"),
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
            NOT_HOLDS,
        ),
        refused(
            "forged-signature-of-another-run",
            "a run has the signature of a run of another chain",
            of_another,
            "increments/0002: manifest.json.minisig does not hold for run 2",
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
            index(|index| index.runs[2].kind = "full".into()),
            "run 3 is an increment of",
        ),
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

fn beside() -> Vec<Case> {
    let three = drafts(&alice());
    let chain = |name, line, change: fn(&mut Files)| {
        good(name, line, &three, 3)
            .change(change)
            .forged_by(STORAGE)
    };
    vec![
        chain(
            "forged-chain-script",
            "the script was changed: it is named, the data comes out",
            |files| {
                files.insert(
                    "decrypt-backup.mjs".into(),
                    b"console.log('steal');\n".to_vec(),
                );
            },
        )
        .exit(4)
        .says("damaged: decrypt-backup.mjs"),
        chain(
            "forged-chain-scripts-swapped",
            "the page and the script lie in each other's place",
            |files| {
                let page = files["decrypt-backup.html"].clone();
                let script = files.insert("decrypt-backup.mjs".into(), page).unwrap();
                files.insert("decrypt-backup.html".into(), script);
            },
        )
        .exit(4)
        .says("damaged: decrypt-backup.mjs")
        .says("damaged: decrypt-backup.html"),
        chain(
            "forged-chain-page-missing",
            "the page was removed",
            |files| drop(files.remove("decrypt-backup.html")),
        )
        .exit(4)
        .says("decrypt-backup.html: listed in the manifest, but not there"),
        chain(
            "forged-chain-page-in-a-run",
            "a page in the folder of a run",
            |files| {
                files.insert(
                    "increments/0002/decrypt-backup.html".into(),
                    b"<script>\n".to_vec(),
                );
            },
        )
        .exit(4)
        .says("decrypt-backup.html: lies where the archive's own files lie"),
        chain(
            "forged-chain-index-page",
            "a page of another name is named",
            |files| {
                files.insert("index.html".into(), b"<script>\n".to_vec());
            },
        )
        .says("warning: index.html: does not belong to the archive"),
        chain(
            "forged-chain-package",
            "what would tell Node.js how to read the script is named",
            |files| {
                files.insert("package.json".into(), b"{}\n".to_vec());
            },
        )
        .says("warning: package.json: does not belong to the archive"),
        chain(
            "forged-chain-page-among-the-runs",
            "a page beside the runs is named",
            |files| {
                files.insert("increments/open-me.html".into(), b"<script>\n".to_vec());
            },
        )
        .says("warning: increments/open-me.html: does not belong to the archive"),
        refused(
            "forged-link-to-a-run",
            "a link where a run would lie",
            {
                let mut made = make(&three);
                let run = made.run(2);
                made.replace(2, Files::new());
                made.files.extend(
                    run.into_iter()
                        .map(|(path, bytes)| (format!("elsewhere/{path}"), bytes)),
                );
                made
            },
            "is a symbolic link",
        )
        .link("increments/0002", "../elsewhere"),
    ]
}

pub fn cases() -> Vec<Case> {
    [clear_runs(), put_in(), taken_out(), forks(), beside()].concat()
}
