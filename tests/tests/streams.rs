//! Backups that go and come as a stream: one tar file on standard output and standard input.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use decryptor_wasm::volume::read_header;
use pryv_backup_tests::{
    command::{alone, run, text, tool},
    folder::tree,
    sampled::Stage,
    stage,
    terminal::on_terminal,
    volumes::{index_of, volume},
};

const KEY: [&str; 2] = ["--private-key", "key.pem"];
const PLACE: [&str; 4] = ["--pryv-root", "platform", "--config", "platform/config.yml"];
const BACKUP: [&str; 6] = [
    "--platform",
    "none",
    "--recipient-pubkey",
    "key.pub.pem",
    "--output",
    "-",
];
const RESTORE: [&str; 4] = ["--restore", "-", "--skip-platform", "--create-users-dir"];

/// The folder for what waits is one that a test can look into.
fn command(stage: &Stage, args: &[&str]) -> Command {
    let waiting = stage.at("waiting");
    fs::create_dir_all(&waiting).unwrap();
    let mut command = stage.command(args);
    alone(command.env("TMPDIR", waiting));
    command
}

fn nothing_waits(stage: &Stage) {
    assert!(tree(&stage.at("waiting")).is_empty());
    assert_eq!(fs::read_dir(stage.at("waiting")).unwrap().count(), 0);
}

/// What a backup puts on standard output, and what it says beside.
fn made(stage: &Stage, more: &[&str]) -> (Vec<u8>, String) {
    let done = command(stage, &[&PLACE[..], &BACKUP, more].concat()).output();
    let Output {
        status,
        stdout,
        stderr,
    } = done.unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{said}");
    nothing_waits(stage);
    (stdout, said)
}

/// Gives a command a stream.
fn fed(stage: &Stage, args: &[&str], stream: &[u8]) -> Output {
    let done = feed(&mut command(stage, args), stream);
    nothing_waits(stage);
    done
}

fn feed(command: &mut Command, stream: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    let feeder = std::thread::spawn(move || drop(input.write_all(&stream)));
    let done = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    done
}

fn good(stage: &Stage, args: &[&str], stream: &[u8]) -> String {
    let done = fed(stage, args, stream);
    assert!(done.status.success(), "{args:?}: {}", text(&done));
    text(&done)
}

/// Path, and where header and content begin, of each member.
fn members(tar: &[u8]) -> Vec<(String, usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(header) = read_header(&tar[at..]).unwrap() {
        let content = at + header.length;
        found.push((header.path, at, content));
        at = content + usize::try_from(header.size).unwrap().next_multiple_of(512);
    }
    found
}

#[test]
fn a_backup_goes_through_pipes() {
    let stage = Stage::new();
    stage.backup("folder");
    let (tar, said) = made(&stage, &[]);
    assert!(
        said.contains("on standard output") && said.contains("archive id"),
        "{said}"
    );
    let paths: Vec<String> = members(&tar).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths[0], "encryption.json");
    let last: Vec<&str> = paths.iter().rev().map(String::as_str).take(4).collect();
    let due = [
        "volume-0001.index",
        "manifest.json",
        "manifest.json.minisig",
        "SHA256SUMS",
    ];
    assert_eq!(last, due);
    for secret in [&KEY[..], &[]] {
        let said = good(&stage, &[&["verify", "-"], secret].concat(), &tar);
        assert!(said.contains("all "), "{said}");
    }
    for (args, says) in [
        (&["list", "-"][..], "alice"),
        (&["stats", "-"], "events"),
        (
            &["cat", "-", "users/csample0000000000000alice/account.jsonl"],
            "passwords",
        ),
        (
            &["extract", "-", "--collection", "streams", "--user", "alice"],
            "parentId",
        ),
    ] {
        let said = good(&stage, &[args, &KEY].concat(), &tar);
        assert!(said.contains(says), "{args:?}: {said}");
    }
    // As a file on disk, and as standard input that is a file.
    fs::write(stage.at("one.tar"), &tar).unwrap();
    stage.good(&[&["diff", "folder", "one.tar"], &KEY[..]].concat());
    let mut from_file = command(&stage, &[&["verify", "-"], &KEY[..]].concat());
    let done = run(from_file.stdin(File::open(stage.at("one.tar")).unwrap()));
    assert!(done.status.success(), "{}", text(&done));
    stage.good(&["copy", "one.tar", "copied"]);
    stage.good(&[&["verify", "copied"], &KEY[..]].concat());
    good(
        &stage,
        &[&["decrypt", "-", "--out", "opened"], &KEY[..]].concat(),
        &tar,
    );
    is_the_same_unpacked(&stage, &tree(&stage.at("opened")));
    let json = made(&stage, &["--json"]).1;
    let report: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(report["output"], "-", "{json}");
}

/// `one.tar` opens with the script, and when the system's tar has unpacked it.
fn is_the_same_unpacked(stage: &Stage, opened: &std::collections::BTreeMap<String, Vec<u8>>) {
    fs::create_dir(stage.at("unpacked")).unwrap();
    let unpack = ["-xf", "one.tar", "-C", "unpacked"];
    assert!(
        run(Command::new("tar").current_dir(stage.at(".")).args(unpack))
            .status
            .success()
    );
    for secret in [&KEY[..], &[]] {
        let report = stage.json(&[&["verify", "unpacked", "--json"], secret].concat());
        assert_eq!(report["verdict"], "good", "{report}");
    }
    let sums = Command::new("sha256sum")
        .current_dir(stage.at("unpacked"))
        .args(["--quiet", "-c", "SHA256SUMS"])
        .status();
    assert!(sums.unwrap().success());
    for (archive, out, jobs) in [
        ("one.tar", "script", "1"),
        ("one.tar", "threads", "2"),
        ("unpacked", "both", "1"),
    ] {
        let script = run(Command::new("node")
            .current_dir(stage.at("."))
            .args([
                "unpacked/decrypt-backup.mjs",
                archive,
                "--out",
                out,
                "--jobs",
                jobs,
            ])
            .args(KEY));
        assert!(script.status.success(), "{}", text(&script));
        assert!(tree(&stage.at(out)) == *opened, "{archive}");
    }
}

#[test]
fn a_restore_takes_a_stream() {
    let stage = Stage::new();
    // A file that has to wait for its size.
    let portrait = stage.file("file-portrait");
    let about = fs::metadata(&portrait).unwrap();
    assert!(about.len() > 0);
    let tar = made(&stage, &[]).0;
    fs::write(stage.at("first.tar"), &tar).unwrap();
    fs::remove_dir_all(stage.at("platform/users")).unwrap();
    good(&stage, &[&PLACE[..], &RESTORE, &KEY].concat(), &tar);
    fs::write(stage.at("second.tar"), made(&stage, &[]).0).unwrap();
    stage.good(&[&["diff", "first.tar", "second.tar"], &KEY[..]].concat());
}

#[test]
fn a_platform_of_postgresql_goes_through_pipes() {
    let Some(stage) = stage::Stage::new() else {
        return;
    };
    let (Some(from), Some(to)) = (stage.postgres_fixture(), stage.postgres()) else {
        return;
    };
    let folder = from.backup("folder");
    let mut command = from.command();
    command
        .args(["--include-ephemeral", "--quiet", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .args(["--output", "-"]);
    let made = run(&mut command);
    assert!(made.status.success(), "{}", text(&made));
    let key = stage.key();
    let fed = |command: &mut Command| {
        let command = alone(command.args(["-", "--private-key"]).arg(&key));
        let done = feed(command, &made.stdout);
        assert!(done.status.success(), "{}", text(&done));
        text(&done)
    };
    let said = fed(from.command().arg("verify"));
    assert!(said.contains("all "), "{said}");
    // What comes by a pipe is what comes from a folder.
    let plain = stage.postgres().unwrap();
    fed(to.command().args(["--create-users-dir", "--restore"]));
    let done = plain.restore(&folder, &[]);
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(to.rows(), plain.rows());
}

#[test]
fn of_a_damaged_stream_nothing_reaches_a_platform_or_a_folder() {
    let stage = Stage::new();
    let tar = made(&stage, &[]).0;
    fs::remove_dir_all(stage.at("platform/users")).unwrap();
    let before = tree(&stage.at("platform"));
    let members = members(&tar);
    let find = |is: &dyn Fn(&str) -> bool| members.iter().find(|(path, ..)| is(path)).unwrap();
    let (_, manifest, _) = *find(&|path| path == "manifest.json");
    let (_, _, events) = *find(&|path| path.ends_with("events-0001.jsonl.gz"));
    let index = index_of(&tar, 1);
    let cut = tar[..tar.len() / 2].to_vec();
    let without = volume_without(&tar, "manifest.json");
    let mut unended = tar.clone();
    unended.truncate(manifest);
    let more = volume(
        1,
        [(
            "users/csample0000000000000alice/attachments/more",
            b"x".as_slice(),
        )]
        .into_iter(),
    );
    let added = [&tar[..index], &more[..index_of(&more, 1)], &tar[index..]].concat();
    let mut changed = tar.clone();
    changed[events + 100] ^= 1;
    for (name, stream) in [
        ("cut", &cut),
        ("without its manifest", &without),
        ("that ends before its manifest", &unended),
        ("with a file after the manifest", &added),
        ("with other bytes", &changed),
        ("of nothing", &Vec::new()),
    ] {
        for args in [
            &[&PLACE[..], &RESTORE].concat()[..],
            &["decrypt", "-", "--out", "opened"],
            &["verify", "-"],
        ] {
            let done = fed(&stage, &[args, &KEY].concat(), stream);
            assert_eq!(
                done.status.code(),
                Some(4),
                "{name}: {args:?}: {}",
                text(&done)
            );
        }
        assert!(tree(&stage.at("platform")) == before, "{name}");
        assert!(!stage.at("platform/users").exists(), "{name}");
        assert!(!stage.at("opened").exists(), "{name}");
    }
}

/// The same files but one.
fn volume_without(tar: &[u8], gone: &str) -> Vec<u8> {
    let all = members(tar);
    let contents = all
        .iter()
        .filter(|(path, ..)| path != gone && !path.ends_with(".index"));
    let contents = contents.map(|(path, _, content)| {
        let header = read_header(&tar[content - 512..]).unwrap().unwrap();
        let size = usize::try_from(header.size).unwrap();
        (path.as_str(), &tar[*content..content + size])
    });
    volume(1, contents)
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let stage = Stage::new();
    for (more, says) in [
        (
            &["--incremental"][..],
            "an increment follows the runs in a folder",
        ),
        (&["--verify"], "a stream cannot be read again"),
        (&["--layout", "volumes"], "a stream is one tar file"),
    ] {
        let refused = run(&mut command(&stage, &[&PLACE[..], &BACKUP, more].concat()));
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && refused.stdout.is_empty(), "{said}");
    }
    let backup = [&PLACE[..], &BACKUP].concat();
    for (args, says) in [
        (&backup[..], "standard output is a terminal"),
        (&["verify", "-"], "standard input is a terminal"),
    ] {
        let Some((shown, code)) = on_terminal(&tool(), args, &[]) else {
            continue;
        };
        assert!(code == 2 && shown.contains(says), "{shown}");
    }
    // The disk behind standard output is full, or its reader is gone.
    let mut full = command(&stage, &backup);
    let full = full
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .stderr(Stdio::piped());
    let full = full.spawn().unwrap().wait_with_output().unwrap();
    ends_in_a_line(&full, "No space left on device");
    let mut gone = command(&stage, &backup);
    let mut gone = gone
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(gone.stdout.take());
    ends_in_a_line(
        &gone.wait_with_output().unwrap(),
        "standard output: Broken pipe",
    );
    nothing_waits(&stage);
    let tar = made(&stage, &[]).0;
    fs::write(stage.at("one.tar"), &tar).unwrap();
    no_room(&stage);
    let said = text(&fed(
        &stage,
        &["diff", "-", "-", "--private-key", "key.pem"],
        &tar,
    ));
    assert!(said.contains("standard input holds one backup"), "{said}");
    let refused = stage.run(&[
        "rekey",
        "one.tar",
        "--add-recipient",
        "key.pub.pem",
        "--private-key",
        "key.pem",
    ]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    let dispose = [&PLACE[..], &RESTORE, &["--delete-on-success"], &KEY].concat();
    let said = fed(&stage, &dispose, &tar);
    assert_eq!(said.status.code(), Some(2), "{}", text(&said));
}

fn ends_in_a_line(done: &Output, says: &str) {
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert!(errors.len() == 1 && errors[0].contains(says), "{said}");
}

/// A file that may not grow stands for a disk that is full.
fn no_room(stage: &Stage) {
    let verify = format!("ulimit -f 64; cat one.tar | {} verify -", tool().display());
    let mut shell = Command::new("sh");
    let shell = shell
        .current_dir(stage.at("."))
        .env("TMPDIR", stage.at("waiting"));
    let done = run(shell.args(["-c", &verify]));
    let said = text(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("is kept in") && said.contains("set TMPDIR to a folder with room"),
        "{said}"
    );
    nothing_waits(stage);
}

#[test]
fn a_tar_file_of_another_program_is_to_be_unpacked() {
    let stage = Stage::new();
    stage.backup("folder");
    let pack = |args: &[&str]| {
        let done = run(Command::new("tar").current_dir(stage.at(".")).args(args));
        assert!(done.status.success(), "{}", text(&done));
    };
    pack(&["-cf", "other.tar", "folder"]);
    pack(&["-czf", "packed.tar.gz", "folder"]);
    for (file, says) in [
        (
            "other.tar",
            "is a tar file that another program wrote: unpack it (tar -xf), then give the folder",
        ),
        ("packed.tar.gz", "is compressed (gzip): unpack it first"),
        ("key.pem", "is not a folder: give the folder of the backup"),
    ] {
        let native = stage.run(&["verify", file]);
        assert_eq!(native.status.code(), Some(2), "{}", text(&native));
        assert!(text(&native).contains(says), "{}", text(&native));
        let script = run(Command::new("node").current_dir(stage.at(".")).args([
            "folder/decrypt-backup.mjs",
            file,
            "--verify",
        ]));
        assert_eq!(script.status.code(), Some(2), "{}", text(&script));
        assert!(text(&script).contains(says), "{}", text(&script));
    }
    let read = |path: &Path| fs::read(path).unwrap();
    let said = text(&fed(
        &stage,
        &["verify", "-"],
        &read(&stage.at("packed.tar.gz")),
    ));
    assert!(
        said.contains("standard input is compressed (gzip)"),
        "{said}"
    );
}
