//! Stores that fail for a while, and stores that refuse.

use crate::work::{BACKUP, KEY, Work, error_line};
use pryv_backup_tests::{
    command::{run, text},
    object_store::Fault,
};

#[test]
fn requests_that_fail_for_a_while_are_made_again() {
    let Some(work) = Work::new() else { return };
    type ByRequest = fn(usize, &str) -> Fault;
    let faults: [(&str, ByRequest); 3] = [
        ("busy", |number, _| match number % 3 {
            1 => Fault::Status([503, 500][number / 3 % 2]),
            _ => Fault::None,
        }),
        ("cut", |number, first| {
            match first.starts_with("PUT") && number % 3 == 1 {
                true => Fault::Cut(1000),
                false => Fault::None,
            }
        }),
        ("unanswered", |number, _| match number % 3 {
            1 => Fault::NoAnswer,
            _ => Fault::None,
        }),
    ];
    for (name, fault) in faults {
        let place = &work.at(name);
        let small = ["--incremental", "--volume-size", "64K"];
        work.breaking(fault).backup(place, &small);
        work.is_good(place);
        assert!(!work.content(place).is_empty());
    }
}

#[test]
fn a_store_that_refuses_is_one_line() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("a");
    let backup = [&BACKUP[..], &[place]].concat();
    let none = [&BACKUP[..], &["s3://nosuchbucket/a"]].concat();
    let said = work.ends(&none, 1);
    assert!(error_line(&said).contains("NoSuchBucket"), "{said}");
    let mut wrong = work.command(&backup);
    wrong.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let done = run(&mut wrong);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        error_line(&text(&done)).contains("the store refuses"),
        "{}",
        text(&done)
    );
    assert!(!text(&done).contains("wrong"), "{}", text(&done));
    let mut nobody = work.command(&backup);
    nobody
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let done = run(&mut nobody);
    assert_eq!(done.status.code(), Some(1));
    let _ = error_line(&text(&done));
    let below = &work.at("a/b");
    let inside = ["copy", place, below];
    assert!(work.ends(&inside, 2).contains("inside the backup"));
    let inside = ["consolidate", place, "--into", below];
    assert!(work.ends(&inside, 2).contains("inside the backup"));
    let stream = ["consolidate", place, "--into", "-"];
    assert!(work.ends(&stream, 2).contains("give a folder"));
    let nothing = &work.at("nothing");
    let said = work.ends(&["verify", nothing], 2);
    assert!(said.contains(nothing), "{said}");
    assert_eq!(work.bucket.list("").len(), 0);
}

#[test]
fn a_slow_store_is_waited_for() {
    let Some(work) = Work::new() else { return };
    let work = work.breaking(|_, _| Fault::Slow(64 * 1024));
    let place = &work.at("slow");
    work.backup(place, &[]);
    work.is_good(place);
}

#[test]
fn an_answer_that_ends_early_is_asked_for_again() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("a");
    work.backup(place, &[]);
    let content = work.content(place);
    let work = work.breaking(
        |number, first| match first.starts_with("GET") && number % 2 == 1 {
            true => Fault::CutAnswer(2_000),
            false => Fault::None,
        },
    );
    work.is_good(place);
    assert!(work.content(place) == content);
}

/// What stores say that will not do what they are asked, and whether more tries could help.
const REFUSALS: [(u16, &str); 8] = [
    (400, "ExpiredToken"),
    (403, "ExpiredToken"),
    (403, "InvalidAccessKeyId"),
    (403, "RequestTimeTooSkewed"),
    (400, "AuthorizationHeaderMalformed"),
    (301, "PermanentRedirect"),
    (404, "NoSuchBucket"),
    (507, "InsufficientStorage"),
];

#[test]
fn a_store_that_refuses_halfway_leaves_what_stood_before() {
    let Some(work) = Work::new() else { return };
    let place = work.at("chain");
    let place = place.as_str();
    work.backup(place, &["--incremental"]);
    work.good(&["copy", place, "local"]);
    for (status, code) in REFUSALS {
        work.change();
        for after in [0, 9, 14] {
            let when = format!("{code} {status} after {after}");
            let copy = work.at(&format!("copy-{code}-{status}-{after}"));
            let back = format!("back-{after}");
            let mut commands = vec![
                [&BACKUP[..], &[place, "--incremental"]].concat(),
                vec!["copy", "local", &copy],
                [&["verify", place], &KEY[..]].concat(),
                vec!["list", place],
            ];
            if (status, code) == REFUSALS[0] {
                commands.extend([
                    vec!["verify", place],
                    [&["list", place], &KEY[..]].concat(),
                    vec!["copy", place, &back],
                    [&["decrypt", place, "--out", &back], &KEY[..]].concat(),
                    [&["--restore", place, "--verify-only"], &KEY[..]].concat(),
                ]);
            }
            for args in &commands {
                let proxy = work.proxy(move |number, _| match number > after {
                    true => Fault::Refused(status, code),
                    false => Fault::None,
                });
                let done = work.by_way_of(&proxy).run(args);
                if done.status.success() && proxy.requests() <= after {
                    continue;
                }
                assert_eq!(
                    done.status.code(),
                    Some(1),
                    "{when}: {args:?}: {}",
                    text(&done)
                );
                let said = text(&done);
                // The answer to HEAD has no content.
                let line = error_line(&said);
                let told = line.contains(code) || line.contains(&format!("status {status}"));
                assert!(told, "{when}: {args:?}: {said}");
                assert!(
                    !work.stage.at(&back).join("manifest.json").exists(),
                    "{when}: {args:?}"
                );
            }
        }
        // What an attempt left is named.
        for secret in [&KEY[..], &[]] {
            work.good(&[&["verify", place], secret].concat());
        }
        work.backup(place, &["--incremental"]);
    }
    let said = work.good(&[&["verify", place], &KEY[..]].concat());
    assert!(!said.contains("damaged"), "{said}");
}

#[test]
fn a_store_without_conditions_needs_a_single_writer() {
    let Some(work) = Work::new() else { return };
    let work = work.breaking(|_, _| Fault::Unconditional);
    let place = &work.at("chain");
    let args = [&BACKUP[..], &[place, "--incremental"]].concat();
    let said = work.ends(&args, 2);
    assert!(error_line(&said).contains("--single-writer"), "{said}");
    for _ in 0..2 {
        work.backup(place, &["--incremental", "--single-writer"]);
        work.is_good(place);
    }
}
