//! A server that breaks off, says nothing or is away: it is asked again, and what does not come whole is no backup and no restore.

use super::{archive, backup, fixture, one_line, points, restored, series_text, with_series};
use pryv_backup_tests::{
    command::{report, run, text},
    influx::Influx,
    object_store::{Fault, StoreProxy},
    stage::{Platform, Stage},
};
use std::fmt::Write;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A server with series of two users; enough points that an answer has several pieces.
fn filled() -> Option<Influx> {
    let server = Influx::start()?;
    let mut lines = String::new();
    for i in 0..6000 {
        writeln!(lines, "event.a v={}.5,n={i}i,t=\"text {i}\" {}", i, i * 3).unwrap();
    }
    server.write("user.alice", &lines);
    server.write("user.bob00", "event.b v=1 1");
    Some(server)
}

fn through<'s>(platform: Platform<'s>, proxy: &StoreProxy) -> Platform<'s> {
    platform
        .with("storages__engines__influxdb__port", &proxy.port.to_string())
        .with("storages__engines__influxdb__timeout", "1")
}

/// How many requests a backup makes.
fn requests(stage: &Stage, server: &Influx) -> usize {
    let proxy = StoreProxy::start(server.port, |_, _| Fault::None);
    let _ = archive(stage, &through(fixture(stage, server), &proxy), "counted");
    proxy.requests()
}

#[test]
fn what_breaks_off_once_is_asked_again() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = filled() else { return };
    let due = series_text(&stage, &archive(&stage, &fixture(&stage, &server), "due"));
    let requests = requests(&stage, &server);
    assert!(requests > 8, "{requests}");
    let faults = [
        Fault::Cut(0),
        Fault::NoAnswer,
        Fault::CutAnswer(300),
        Fault::CutAnswer(100_000),
        Fault::Status(503),
        Fault::Silent,
    ];
    for at in 1..=requests {
        let fault = faults[at % faults.len()];
        let proxy = StoreProxy::start(server.port, move |n, _| match n == at {
            true => fault,
            false => Fault::None,
        });
        let name = format!("{fault:?} {at}");
        let made = archive(&stage, &through(fixture(&stage, &server), &proxy), &name);
        assert_eq!(series_text(&stage, &made), due, "{name}");
    }
}

#[test]
fn what_breaks_off_for_good_is_no_backup() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = filled() else { return };
    let requests = requests(&stage, &server);
    for (fault, told) in [
        (Fault::CutAnswer(300), "its answer"),
        (Fault::Silent, "it has said nothing for 1 s"),
        (Fault::Status(500), "it answers 500"),
        (Fault::Cut(0), "check the address and that it runs"),
    ] {
        for from in [1, requests / 2] {
            let proxy = StoreProxy::start(server.port, move |n, _| match n >= from {
                true => fault,
                false => Fault::None,
            });
            let platform = through(fixture(&stage, &server), &proxy);
            let failed = backup(&stage, &platform, "failed", &[]);
            let said = one_line(&failed, 1);
            assert!(
                said.contains(told) && said.contains("InfluxDB at 127.0.0.1"),
                "{said}"
            );
            assert!(!stage.at("failed").exists(), "{said}");
        }
    }
}

/// An error in place of an answer, an answer to something else, and one that says that more is to come.
#[test]
fn an_answer_that_is_not_whole_is_none() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = filled() else { return };
    for (from, to, told) in [
        ("\"results\"", "\"resulti\"", "it answers nothing"),
        (
            "\"statement_id\":0",
            "\"error\":\"abcdef\"",
            "it answers \\\"abcdef\\\"",
        ),
        (
            "\"statement_id\":0",
            "\"partial\":  true",
            "its answer ends early",
        ),
    ] {
        assert_eq!(from.len(), to.len());
        let proxy = StoreProxy::start(server.port, move |_, _| Fault::Changed(from, to));
        let platform = through(fixture(&stage, &server), &proxy);
        let failed = backup(&stage, &platform, "failed", &[]);
        let said = one_line(&failed, 1);
        assert!(
            said.contains(told) || said.contains(&told.replace('\\', "")),
            "{said}"
        );
        assert!(!stage.at("failed").exists());
    }
}

/// A server that is away from the beginning.
#[test]
fn a_server_that_is_away_is_named() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = filled() else { return };
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    server.crash();
    let platform = fixture(&stage, &server);
    let failed = backup(&stage, &platform, "failed", &[]);
    let said = one_line(&failed, 1);
    assert!(
        said.contains("check the address and that it runs"),
        "{said}"
    );
    let before = platform.rows();
    let failed = run(platform
        .command()
        .arg("--restore")
        .arg(&made)
        .arg("--overwrite"));
    let said = one_line(&failed, 1);
    assert!(said.contains("InfluxDB at 127.0.0.1"), "{said}");
    assert_eq!(platform.rows(), before);
}

/// Databases that appear while a backup is made are of the next one; one that goes is told.
#[test]
fn databases_that_come_and_go_meanwhile() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = filled() else { return };
    let requests = requests(&stage, &server);
    let server = Arc::new(server);
    let (there, once) = (server.clone(), AtomicBool::new(false));
    let proxy = StoreProxy::start(server.port, move |n, _| {
        if n == 4 && !once.swap(true, Ordering::SeqCst) {
            there.write("user.0-edge--case-9", "event.c v=1 1");
            there.write("user.zoe", "event.z v=1 1");
        }
        Fault::None
    });
    let platform = through(fixture(&stage, &server), &proxy);
    let made = backup(&stage, &platform, "appear", &[]);
    // Zoe is nobody, and the other one had no series when it began.
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = report(&made).to_string();
    assert!(
        said.contains("series/user.zoe") && !said.contains("series/user.0-edge--case-9"),
        "{said}"
    );
    server.query("DROP DATABASE \"user.zoe\"");
    server.query("DROP DATABASE \"user.0-edge--case-9\"");

    for at in [3, 4, requests - 2] {
        let there = server.clone();
        let proxy = StoreProxy::start(server.port, move |n, _| {
            if n == at {
                there.query("DROP DATABASE \"user.alice\"");
            }
            Fault::None
        });
        let platform = through(fixture(&stage, &server), &proxy);
        let made = backup(&stage, &platform, &format!("gone {at}"), &[]);
        let code = made.status.code();
        assert!(matches!(code, Some(0 | 5)), "{}", text(&made));
        let all = points(&stage, &stage.at(&format!("gone {at}")));
        let of_alice = all
            .iter()
            .filter(|line| line.starts_with("user.alice"))
            .count();
        assert!(
            of_alice == 6000 || code == Some(5),
            "{of_alice}: {}",
            text(&made)
        );
        server.write("user.alice", "event.a v=1 1");
        let mut lines = String::new();
        for i in 0..6000 {
            writeln!(lines, "event.a v={i}.5,n={i}i,t=\"text {i}\" {}", i * 3).unwrap();
        }
        server.write("user.alice", &lines);
        drop_first(&server);
    }
}

fn drop_first(server: &Influx) {
    server.query_in("user.alice", "DELETE FROM \"event.a\" WHERE time = 1");
}

/// A batch of which the answer is lost, or a part only comes through, is written again; the result is the same.
#[test]
fn batches_are_written_again() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (filled(), Influx::start()) else {
        return;
    };
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    for fault in [
        Fault::Cut(5000),
        Fault::NoAnswer,
        Fault::Status(500),
        Fault::Silent,
    ] {
        let write = std::sync::atomic::AtomicUsize::new(0);
        let proxy = StoreProxy::start(other.port, move |_, first| {
            let is_write = first.starts_with("POST /write");
            match is_write && write.fetch_add(1, Ordering::SeqCst).is_multiple_of(3) {
                true => fault,
                false => Fault::None,
            }
        });
        let target = through(fixture(&stage, &other), &proxy);
        restored(&target.restore(&made, &["--overwrite"]));
        assert_eq!(other.all(), server.all(), "{fault:?}");
    }
}

fn outcome(done: &Output) -> (i32, String) {
    (done.status.code().unwrap(), text(done))
}

/// A server that goes away in the middle: every user is old or new, and the same again finishes.
#[test]
fn a_server_that_goes_away_leaves_users_whole() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (filled(), Influx::start()) else {
        return;
    };
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    let counting = StoreProxy::start(other.port, |_, _| Fault::None);
    let target = through(fixture(&stage, &other), &counting);
    restored(&target.restore(&made, &["--overwrite"]));
    let all = counting.requests();
    let mut failures = 0;
    for from in [4, all / 3, all / 2, all - 6] {
        other.clear();
        other.write("user.alice", "event.before v=1 1");
        let proxy = StoreProxy::start(other.port, move |n, _| match n >= from {
            true => Fault::Cut(0),
            false => Fault::None,
        });
        let target = fixture(&stage, &other);
        let failed = {
            let broken = through(with_series(stage.copy(&target), other.port), &proxy);
            let failed = broken.restore(&made, &["--overwrite", "--jobs", "1"]);
            // The same platform, with the server back.
            let straight =
                broken.with("storages__engines__influxdb__port", &other.port.to_string());
            let (code, said) = outcome(&failed);
            assert!(matches!(code, 1 | 5), "{said}");
            let again = straight.restore(&made, &["--overwrite"]);
            assert_eq!(again.status.code(), Some(0), "{}", text(&again));
            assert_eq!(other.all(), server.all(), "{from}");
            assert!(straight.is_left_clean());
            failed
        };
        failures += usize::from(failed.status.code() != Some(0));
    }
    assert_eq!(failures, 4);
}
