//! SIGINT, SIGTERM and SIGHUP: work that would leave something behind is ended in order; anything else just ends.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use decryptor_wasm::{Error, ErrorKind};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
};

struct Signals {
    /// The signal that came, or 0.
    came: Arc<AtomicUsize>,
    /// Whether a signal ends the process at once.
    deadly: Arc<AtomicBool>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// To be called once, at the start of the process. Until [`finish_gracefully`] a signal ends it at once, and so does a second one.
pub fn install() -> io::Result<()> {
    let signals = Signals {
        came: Arc::default(),
        deadly: Arc::new(AtomicBool::new(true)),
    };
    let hangup = hangup_counts().then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        flag::register_conditional_default(signal, signals.deadly.clone())?;
        flag::register_usize(signal, signals.came.clone(), signal as usize)?;
        flag::register(signal, signals.deadly.clone())?;
    }
    // A file that grows past the limit (`ulimit -f`) is then an error of the write, which says which file it is.
    flag::register(SIGXFSZ, Arc::default())?;
    // A second call would find the first one's signals, which are the same.
    let _ = SIGNALS.set(signals);
    Ok(())
}

/// Whether a terminal that closes is to end the process: not under `nohup`. Where the system does not say, the default holds.
fn hangup_counts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) == 0)
}

/// From here to the end of the guard a first signal is only noted, for [`check`] to report.
#[must_use]
pub fn finish_gracefully() -> Guard {
    if let Some(signals) = SIGNALS.get() {
        signals.deadly.store(false, Ordering::SeqCst);
    }
    Guard(())
}

/// See [`finish_gracefully`].
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(signals) = SIGNALS.get() {
            signals.deadly.store(true, Ordering::SeqCst);
        }
    }
}

/// An error when a signal came; called by loops between two pieces of work.
pub fn check() -> Result<(), Error> {
    match came() {
        0 => Ok(()),
        _ => Err(Error::new(ErrorKind::Failed, "interrupted")),
    }
}

/// The signal that came, or 0.
pub fn came() -> usize {
    SIGNALS
        .get()
        .map_or(0, |signals| signals.came.load(Ordering::Relaxed))
}
