//! Copies of somebody who means ill: nothing of theirs gets into an archive.

use std::{collections::BTreeMap, fs, path::Path};

use decryptor_wasm::signature::{SIGNATURE, Statement, unproven};
use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::text,
    folder::{copy, tree},
    sampled::Stage,
    sign::{mallory, sign},
};

use crate::{KEY, TO, again, fails, flip, heals, paths, signer};

#[test]
fn nothing_else_gets_into_an_archive() {
    let stage = Stage::with_chains();
    // Another archive of the same platform, and an older run.
    stage.backup_with("another", &[&TO[..], &["--state-dir", "state"]].concat());
    copy(&stage.at("files"), &stage.at("older"));
    fs::remove_dir_all(stage.at("older/increments")).unwrap();
    for other in ["another", "older"] {
        for secret in [&KEY[..], &[]] {
            again(&stage, "files");
            let records = paths(&stage, "files", ".jsonl.gz");
            assert!(records[0].starts_with(stage.at("sick/increments/0002")));
            flip(&records[0], 300);
            let before = tree(&stage.at("sick"));
            let report = fails(&stage, other, secret);
            let left = report["notReplaced"].to_string();
            assert!(left.contains("has no good one either"), "{left}");
            assert!(tree(&stage.at("sick")) == before, "{other}");
        }
    }
    // Wrong files with lists that fit the signature, links, and files that lie where none belongs.
    copy(&stage.at("files"), &stage.at("hostile"));
    for path in tree(&stage.at("hostile")).keys() {
        if path.ends_with(".jsonl.gz") || path.ends_with(".minisig") {
            fs::write(stage.at("hostile").join(path), b"hostile").unwrap();
        }
    }
    fs::write(stage.at("hostile/users/evil"), b"hostile").unwrap();
    let huge = fs::File::create(stage.at("hostile/RESTORE-README.md")).unwrap();
    huge.set_len(1 << 30).unwrap();
    for secret in [&KEY[..], &[]] {
        again(&stage, "files");
        for path in paths(&stage, "files", ".jsonl.gz") {
            fs::remove_file(path).unwrap();
        }
        flip(&stage.at("sick/manifest.json.minisig"), 80);
        fs::remove_file(stage.at("sick/RESTORE-README.md")).unwrap();
        let before = tree(&stage.at("sick"));
        let done = stage.run(&[&["verify", "sick", "--repair-from", "hostile"], secret].concat());
        assert_eq!(done.status.code(), Some(4), "{}", text(&done));
        assert!(tree(&stage.at("sick")) == before, "{}", text(&done));
    }
    std::os::unix::fs::symlink("/etc", stage.at("hostile/users/link")).unwrap();
    let done = stage.run(&["verify", "sick", "--repair-from", "hostile"]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    // A link in the archive leads nothing outside it.
    again(&stage, "files");
    fs::remove_dir_all(stage.at("sick/users")).unwrap();
    fs::create_dir(stage.at("outside")).unwrap();
    std::os::unix::fs::symlink(stage.at("outside"), stage.at("sick/users")).unwrap();
    let done = stage.run(&["verify", "sick", "--repair-from", "files"]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(tree(&stage.at("outside")).is_empty());
    // Itself.
    let done = stage.run(&["verify", "files", "--repair-from", "files"]);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
}

/// Archives of two platforms to the same key, of which the second is signed by somebody else: `good` and `evil`, in `files` or in volumes.
fn good_and_evil(layout: &str) -> Stage {
    let stage = Stage::new();
    let how = ["--layout", layout];
    stage.backup_with("good", &[&TO[..], &how, &["--state-dir", "state"]].concat());
    stage.sql("local-1.0.0.sqlite", "UPDATE events SET modified = 9");
    stage.backup_with(
        "evil",
        &[&TO[..], &how, &["--state-dir", "evil-state"]].concat(),
    );
    stage
}

/// Signs a statement in place of the one in a folder.
fn resign(folder: &Path, change: &dyn Fn(&mut Statement)) {
    let mut files = BTreeMap::new();
    for name in ["manifest.json", SIGNATURE] {
        files.insert(name.to_owned(), fs::read(folder.join(name)).unwrap());
    }
    let mut statement = unproven(&files[SIGNATURE]).unwrap();
    change(&mut statement);
    sign(mallory(), &statement, &mut files);
    fs::write(folder.join(SIGNATURE), &files[SIGNATURE]).unwrap();
}

/// Lists a file of `sick` as it is.
fn list_anew(stage: &Stage, file: &str) {
    let sums = fs::read_to_string(stage.at("sick/SHA256SUMS")).unwrap();
    let now = sha256_hex(&fs::read(stage.at("sick").join(file)).unwrap());
    let line = |line: &str| match line.split_once("  ") {
        Some((_, path)) if path == file => format!("{now}  {path}\n"),
        _ => format!("{line}\n"),
    };
    let sums: String = sums.lines().map(line).collect();
    fs::write(stage.at("sick/SHA256SUMS"), sums).unwrap();
}

#[test]
fn a_signature_of_somebody_else_replaces_nothing() {
    for layout in ["files", "volumes"] {
        let stage = good_and_evil(layout);
        let due = tree(&stage.at("good"));
        let signer = signer(&stage);
        let pinned = [&KEY[..], &["--signer", signer.as_str()]].concat();
        let evil = fs::read(stage.at("evil").join(SIGNATURE)).unwrap();
        let of_evil = unproven(&evil).unwrap();
        copy(&stage.at("evil"), &stage.at("forged"));
        let swaps: [&dyn Fn(); 6] = [
            // His own signature.
            &|| fs::write(stage.at("sick").join(SIGNATURE), &evil).unwrap(),
            // A signature of the manifest that is there, with other files; it is listed too.
            &|| {
                resign(&stage.at("sick"), &|made| {
                    made.files.clone_from(&of_evil.files)
                })
            },
            &|| list_anew(&stage, SIGNATURE),
            // With another time, so that the envelope seems to be another.
            &|| resign(&stage.at("sick"), &|made| made.created += 1),
            &|| list_anew(&stage, SIGNATURE),
            // His manifest as well.
            &|| {
                again(&stage, "good");
                for name in ["manifest.json", SIGNATURE] {
                    fs::copy(stage.at("evil").join(name), stage.at("sick").join(name)).unwrap();
                }
            },
        ];
        again(&stage, "good");
        for (at, swap) in swaps.iter().enumerate() {
            swap();
            let before = tree(&stage.at("sick"));
            for (other, secret) in [
                ("evil", &KEY[..]),
                ("evil", &[]),
                ("forged", &KEY),
                ("forged", &[]),
            ] {
                // A copy that has the same signature.
                for name in ["manifest.json", SIGNATURE]
                    .iter()
                    .filter(|_| other == "forged")
                {
                    fs::copy(stage.at("sick").join(name), stage.at("forged").join(name)).unwrap();
                }
                let report =
                    stage.run(&[&["verify", "sick", "--repair-from", other], secret].concat());
                assert_eq!(
                    report.status.code(),
                    Some(4),
                    "{layout} {at}: {}",
                    text(&report)
                );
                let after = tree(&stage.at("sick"));
                let changed: Vec<_> = before
                    .keys()
                    .filter(|path| before.get(*path) != after.get(*path))
                    .collect();
                assert!(
                    after == before,
                    "{layout} {at} {other} {secret:?}: {changed:?}"
                );
            }
            // The good copy heals it.
            copy(&stage.at("sick"), &stage.at("kept"));
            heals(&stage, "good", &pinned);
            assert!(tree(&stage.at("sick")) == due, "{layout} {at}");
            again(&stage, "kept");
            fs::remove_dir_all(stage.at("kept")).unwrap();
        }
    }
}
