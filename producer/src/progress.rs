//! How far a command is: a bar on a terminal, a line now and then elsewhere, events for programs.

use crate::{answer, note};

use std::{
    io::{self, IsTerminal},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread::Builder,
    time::{Duration, Instant},
};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};

/// What is done so far. Threads add to it; nothing is shown by that.
#[derive(Debug, Default)]
pub struct Tally {
    users: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// A user is done.
    pub fn user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// So many records, and bytes of content, are done.
    pub fn add(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn now(&self) -> Done {
        Done {
            users: self.users.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[derive(Clone, Copy)]
struct Done {
    users: u64,
    records: u64,
    bytes: u64,
}

/// When the work is done.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// So many users, and about so many records where that is known: of one user with millions, its own number tells nothing.
    Users {
        /// All users.
        users: u64,
        /// Records, roughly.
        records: Option<u64>,
    },
    /// So many bytes.
    Bytes(u64),
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A bar on standard error.
    Bar,
    /// A line on standard error every ten seconds.
    Lines,
    /// A JSON object a line on standard output every second: `event` is `progress`, `seconds` counts from the start.
    Events,
    /// Not at all.
    Silent,
}

impl Manner {
    /// A bar where people look, lines elsewhere.
    pub fn for_people() -> Self {
        if io::stderr().is_terminal() {
            Manner::Bar
        } else {
            Manner::Lines
        }
    }

    fn interval(self) -> Duration {
        match self {
            Manner::Bar => Duration::from_millis(200),
            Manner::Lines => Duration::from_secs(10),
            Manner::Events | Manner::Silent => Duration::from_secs(1),
        }
    }
}

/// Does `work` while another thread shows what `tally` says.
pub fn watch<T>(tally: &Tally, goal: Goal, manner: Manner, work: impl FnOnce() -> T) -> T {
    if manner == Manner::Silent {
        return work();
    }
    std::thread::scope(|scope| {
        let (over, news) = channel::<()>();
        // Without another thread nothing is shown, and the work is done all the same.
        let _ = Builder::new().spawn_scoped(scope, move || {
            let bar = (manner == Manner::Bar).then(bar);
            let started = Instant::now();
            while news.recv_timeout(manner.interval()) == Err(RecvTimeoutError::Timeout) {
                show(tally.now(), goal, started.elapsed(), manner, bar.as_ref());
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        let result = work();
        drop(over);
        result
    })
}

impl Goal {
    /// How much of the work is done: from 0, and 1 only when all of it is.
    fn part(self, done: Done) -> f64 {
        let of = |at: u64, all: u64| at as f64 / all.max(1) as f64;
        match self {
            Goal::Users { users, .. } if done.users >= users => 1.0,
            Goal::Users { users, records } => {
                let records = records.map_or(0.0, |records| of(done.records, records).min(0.99));
                of(done.users, users).max(records)
            }
            Goal::Bytes(bytes) => of(done.bytes, bytes).min(1.0),
        }
    }
}

/// Positions of the bar.
const LENGTH: u64 = 10_000;

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(LENGTH), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent} %, {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(done: Done, goal: Goal, took: Duration, manner: Manner, bar: Option<&ProgressBar>) {
    let part = goal.part(done);
    let seconds = took.as_secs_f64().max(0.001);
    // Too little says nothing yet.
    let left = (part >= 0.001).then(|| (seconds / part * (1.0 - part)) as u64);
    match manner {
        Manner::Bar => {
            if let Some(bar) = bar {
                let left = left.map_or(String::new(), |left| {
                    format!(", {} left", HumanDuration(Duration::from_secs(left)))
                });
                bar.set_message(format!("{}{left}", amounts(done, goal, seconds)));
                bar.set_position((part * LENGTH as f64) as u64);
            }
        }
        Manner::Lines => {
            let left = left.map_or(String::new(), |left| format!(", about {left} s left"));
            note!("{}{left}", amounts(done, goal, seconds));
        }
        Manner::Events => {
            let (of_users, of_bytes) = match goal {
                Goal::Users { users, .. } => (Some(users), None),
                Goal::Bytes(bytes) => (None, Some(bytes)),
            };
            answer!(
                "{}",
                serde_json::json!({
                    "event": "progress", "seconds": took.as_secs_f64(), "users": done.users, "ofUsers": of_users,
                    "records": done.records, "bytes": done.bytes, "ofBytes": of_bytes, "part": part, "secondsLeft": left,
                })
            );
        }
        Manner::Silent => {}
    }
}

/// What is done, and how fast.
fn amounts(done: Done, goal: Goal, seconds: f64) -> String {
    let per_second = |amount: u64| (amount as f64 / seconds) as u64;
    match goal {
        Goal::Users { users, .. } => format!(
            "{} of {users} users, {} records ({}/s), {}",
            done.users,
            HumanCount(done.records),
            HumanCount(per_second(done.records)),
            HumanBytes(done.bytes)
        ),
        Goal::Bytes(bytes) => format!(
            "{} of {} ({}/s)",
            HumanBytes(done.bytes),
            HumanBytes(bytes),
            HumanBytes(per_second(done.bytes))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_user_is_seen_to_advance() {
        let done = |users, records| Done {
            users,
            records,
            bytes: 0,
        };
        let goal = Goal::Users {
            users: 1,
            records: Some(1000),
        };
        assert!((goal.part(done(0, 500)) - 0.5).abs() < 1e-9);
        // An estimate may be too low.
        assert!((goal.part(done(0, 5000)) - 0.99).abs() < 1e-9);
        assert!((goal.part(done(1, 1)) - 1.0).abs() < 1e-9);
        let unknown = Goal::Users {
            users: 4,
            records: None,
        };
        assert!((unknown.part(done(1, 5000)) - 0.25).abs() < 1e-9);
    }
}
