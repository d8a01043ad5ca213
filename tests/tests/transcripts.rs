//! Output of the command line, case by case: `tests/transcripts` holds each command, its output and its exit code. After a change that
//! is meant, `TRYCMD=overwrite cargo test -p pryv-backup-tests --test transcripts` writes them anew; read the difference.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use pryv_backup_tests::{
    command::{NO_STATE, tool},
    folder::copy,
    sampled::Stage,
};

/// A backup to `key.pem`, one with a passphrase, a damaged one, and a folder that is no backup. Commands that succeed write nothing that
/// others read.
#[test]
fn commands_print_what_their_transcripts_say() {
    let stage = Stage::new();
    let other = stage.key("other.pem");
    stage.backup_with(
        "archive",
        &["--recipient-pubkey", "key.pub.pem", "--state-dir", "state"],
    );
    fs::write(stage.at("passphrase.txt"), "correct horse battery\n").unwrap();
    fs::write(stage.at("other.txt"), "wrong horse battery\n").unwrap();
    let sealed = [
        "--passphrase-file",
        "passphrase.txt",
        "--state-dir",
        "state",
    ];
    stage.backup_with("sealed", &sealed);
    copy(&stage.at("archive"), &stage.at("damaged"));
    let file = stage.at("damaged/users/csample0000000000000alice/streams.jsonl.gz");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    copy(&stage.at("damaged"), &stage.at("to-heal"));
    fs::create_dir(stage.at("full")).unwrap();
    fs::write(stage.at("full/notes.txt"), "not a backup\n").unwrap();

    // Values that differ each time have a placeholder in the transcripts.
    let list = stage.json(&["list", "archive", "--private-key", "key.pem", "--json"]);
    let [archive] = list["archives"].as_array().unwrap().as_slice() else {
        panic!("{list}");
    };
    let word = |name: &str| archive[name].as_str().unwrap().to_owned();
    let signer = fs::read_to_string(stage.at("state/host.pub")).unwrap();
    let signer = signer.lines().nth(1).unwrap().to_owned();

    let transcripts = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/*.md");
    std::env::set_current_dir(stage.at(".")).unwrap();
    let cases = trycmd::TestCases::new();
    for (name, value) in [
        ("[OTHER]", other),
        (
            "[KEY]",
            archive["recipients"][0].as_str().unwrap().to_owned(),
        ),
        ("[ARCHIVE]", word("archiveId")),
        ("[MADE]", word("made")),
        ("[SIGNER]", signer),
    ] {
        cases.insert_var(name, value).unwrap();
    }
    cases
        .register_bin("pryv-backup", tool())
        .env("PRYV_BACKUP_STATE_DIR", NO_STATE)
        .case(transcripts);
}
