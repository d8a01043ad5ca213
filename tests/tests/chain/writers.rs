//! Writers at work while runs are made: transactions and savepoints that stay open across runs, some of which are rolled back.

use crate::chain::{Chain, State, assert_same};
use pryv_backup_tests::{
    fill::random::Random,
    session::Session,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

const RUNS: usize = 8;
const WRITERS: usize = 5;

/// Somebody who writes.
struct Writer {
    session: Session,
    /// Who it is.
    number: usize,
    /// Uncommitted writes of this transaction: event and content.
    pending: Vec<(String, String)>,
    /// How much of it was there at each savepoint.
    savepoints: Vec<usize>,
    open: bool,
}

impl Writer {
    fn new(stage: &Stage, platform: &Platform<'_>, number: usize) -> Self {
        Writer {
            session: Session::of(stage, platform),
            number,
            pending: Vec::new(),
            savepoints: Vec::new(),
            open: false,
        }
    }

    fn sql(&mut self, sql: &str) {
        self.session.sql(sql);
    }

    /// One thing more; what becomes certain goes into `committed`.
    fn step(&mut self, random: &mut Random, user: &str, committed: &mut BTreeMap<String, String>) {
        if !self.open {
            self.sql("BEGIN");
            self.open = true;
        }
        match random.below(10) {
            0 => self.end(committed, true),
            1 => self.end(committed, false),
            2 | 3 => {
                self.sql(&format!("SAVEPOINT s{}", self.savepoints.len()));
                self.savepoints.push(self.pending.len());
            }
            4 if !self.savepoints.is_empty() => {
                let length = self.savepoints.pop().unwrap();
                self.sql(&format!("ROLLBACK TO s{}", self.savepoints.len()));
                self.sql(&format!("RELEASE s{}", self.savepoints.len()));
                self.pending.truncate(length);
            }
            5 if !self.savepoints.is_empty() => {
                self.savepoints.pop();
                self.sql(&format!("RELEASE s{}", self.savepoints.len()));
            }
            n => {
                // Each has events of its own, so that nobody waits for a lock.
                let (id, content) = (
                    format!("{}-{}", self.number, random.below(40)),
                    format!("\"{}\"", random.next()),
                );
                let sql = if n == 9 {
                    format!(
                        "INSERT INTO audit_events (user_id, eventid, type, content) VALUES ('{user}', '{id}', 't', '{content}') \
                         ON CONFLICT (user_id, eventid) DO UPDATE SET content = excluded.content"
                    )
                } else {
                    format!(
                        "INSERT INTO events (user_id, id, type, content) VALUES ('{user}', '{id}', 't', '{content}') \
                         ON CONFLICT (user_id, id) DO UPDATE SET content = excluded.content"
                    )
                };
                self.sql(&sql);
                let kind = if n == 9 { "audit" } else { "events" };
                self.pending.push((format!("{kind} {id}"), content));
            }
        }
    }

    fn end(&mut self, committed: &mut BTreeMap<String, String>, keep: bool) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.sql(if keep { "COMMIT" } else { "ROLLBACK" });
        let pending = std::mem::take(&mut self.pending);
        self.savepoints.clear();
        if keep {
            committed.extend(pending);
        }
    }
}

/// Ends the other thread, also when this one fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The events and audit records of the sessions, and their contents.
fn written(state: &State, user: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for kind in ["events", "audit"] {
        let records = state.records.get(&(user.to_owned(), kind.to_owned()));
        for line in records.into_iter().flatten() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            if record["type"] == "t" {
                let id = record["id"]
                    .as_str()
                    .or(record["eventid"].as_str())
                    .unwrap();
                all.insert(format!("{kind} {id}"), record["content"].to_string());
            }
        }
    }
    all
}

#[test]
fn what_is_committed_is_in_the_next_run() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let user = platform
        .sql("SELECT min(user_id) FROM users_index")
        .trim()
        .to_owned();
    let chain = Chain::new(&stage, &platform, "chain");
    let random = &mut Random::new(7);
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer::new(&stage, &platform, number))
        .collect();
    let mut committed = BTreeMap::new();
    let mut due = Vec::new();
    let mut storms = 0;
    for run in 1..=RUNS {
        for _ in 0..random.below(60) {
            let writer = random.below(WRITERS);
            writers[writer].step(random, &user, &mut committed);
        }
        due.push((committed.clone(), storms));
        // Somebody else goes on while the run is made.
        let stop = &AtomicBool::new(false);
        let mut session = Session::of(&stage, &platform);
        let user = &user;
        std::thread::scope(|scope| {
            let _stopped = Stop(stop);
            let storm = scope.spawn(move || {
                let mut count = storms;
                while !stop.load(Ordering::Relaxed) {
                    session.sql(&format!(
                        "BEGIN; INSERT INTO events (user_id, id, type) VALUES ('{user}', 'storm-{count}', 'storm'); SAVEPOINT a; \
                         UPDATE events SET content = '{count}' WHERE user_id = '{user}' AND id = 'storm-{count}'; RELEASE a; COMMIT"
                    ));
                    count += 1;
                }
                count
            });
            if run == 1 {
                chain.add();
            } else {
                chain.add_increment();
            }
            stop.store(true, Ordering::Relaxed);
            storms = storm.join().unwrap();
        });
    }
    for writer in &mut writers {
        writer.end(&mut committed, true);
    }
    assert!(
        committed.len() > 20 && storms > RUNS,
        "{} {storms}",
        committed.len()
    );
    chain.add_increment();
    due.push((committed, storms));
    let states = chain.states(RUNS + 1);
    for (n, (state, (committed, storms))) in states.iter().zip(&due).enumerate() {
        assert_eq!(written(state, &user), *committed, "run {}", n + 1);
        let events = &state.records[&(user.clone(), "events".to_owned())];
        let storm: HashMap<String, Value> = events
            .iter()
            .filter(|line| line.contains("\"storm\""))
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|mut event| {
                (
                    event["id"].as_str().unwrap().to_owned(),
                    event["content"].take(),
                )
            })
            .collect();
        for count in 0..*storms {
            let found = storm.get(&format!("storm-{count}"));
            assert_eq!(
                found,
                Some(&Value::from(count)),
                "run {}: storm-{count}",
                n + 1
            );
        }
    }
    assert_same(states.last().unwrap(), &chain.now("now"), "in the end");
}
