//! Shows how far an operation is: a bar on a terminal, a line now and then elsewhere, events for programs.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};
pub use pryv_backup_engine::progress::{Goal, Tally};
use pryv_backup_engine::{observer::Display, progress::Counts};

use crate::stdio::{answer, note};

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

/// Ends a display and waits for its thread.
struct Watch {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.take();
        if let Some(thread) = self.thread.take() {
            // A display that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Shows on another thread what `tally` says, until the display is dropped.
pub fn show(tally: &Arc<Tally>, goal: Goal, manner: Manner) -> Display {
    if manner == Manner::Silent {
        return Display::none();
    }
    let tally = tally.clone();
    let (over, news) = channel::<()>();
    let thread = Builder::new().spawn(move || {
        let bar = (manner == Manner::Bar).then(bar);
        let started = Instant::now();
        while news.recv_timeout(manner.interval()) == Err(RecvTimeoutError::Timeout) {
            line(tally.now(), goal, started.elapsed(), manner, bar.as_ref());
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    });
    // Without another thread nothing is shown, and the work is done all the same.
    Display::until_dropped(Watch {
        over: Some(over),
        thread: thread.ok(),
    })
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

fn line(done: Counts, goal: Goal, took: Duration, manner: Manner, bar: Option<&ProgressBar>) {
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

/// Amounts that are done, and the speed.
fn amounts(done: Counts, goal: Goal, seconds: f64) -> String {
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
