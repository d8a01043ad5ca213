//! How far a command is: a bar on a terminal, a line now and then elsewhere, events for programs.

use std::{
    io::{self, IsTerminal},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

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
    /// So many users.
    Users(u64),
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
        scope.spawn(move || {
            let bar = (manner == Manner::Bar).then(|| bar(goal));
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

fn bar(goal: Goal) -> ProgressBar {
    let (length, template) = match goal {
        Goal::Users(users) => (users, "{bar:24} {pos}/{len} users, {msg}, {eta} left"),
        Goal::Bytes(bytes) => (
            bytes,
            "{bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
        ),
    };
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn show(done: Done, goal: Goal, took: Duration, manner: Manner, bar: Option<&ProgressBar>) {
    let rate = (done.records as f64 / took.as_secs_f64().max(0.001)) as u64;
    let (at, length) = match goal {
        Goal::Users(users) => (done.users, users),
        Goal::Bytes(bytes) => (done.bytes, bytes),
    };
    match manner {
        Manner::Bar => {
            if let Some(bar) = bar {
                bar.set_message(format!(
                    "{} records ({}/s), {}",
                    HumanCount(done.records),
                    HumanCount(rate),
                    HumanBytes(done.bytes)
                ));
                bar.set_position(at);
            }
        }
        Manner::Lines => {
            let left = match at {
                0 => String::new(),
                _ => format!(
                    ", about {} s left",
                    (took.as_secs_f64() / at as f64 * length.saturating_sub(at) as f64) as u64
                ),
            };
            let of = match goal {
                Goal::Users(users) => format!(
                    "{} of {users} users, {} records, ",
                    done.users, done.records
                ),
                Goal::Bytes(_) => String::new(),
            };
            eprintln!("{of}{} MB{left}", done.bytes / 1_000_000);
        }
        Manner::Events => {
            let (of_users, of_bytes) = match goal {
                Goal::Users(users) => (Some(users), None),
                Goal::Bytes(bytes) => (None, Some(bytes)),
            };
            println!(
                "{}",
                serde_json::json!({
                    "event": "progress", "seconds": took.as_secs_f64(), "users": done.users, "ofUsers": of_users,
                    "records": done.records, "bytes": done.bytes, "ofBytes": of_bytes,
                })
            );
        }
        Manner::Silent => {}
    }
}
