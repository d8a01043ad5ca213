//! What is said on standard output and standard error. Whoever listened may be gone, or a disk behind it full: that must
//! neither end the work nor go unnoticed, and `println!` would panic.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::{Mutex, PoisonError},
};

static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to standard output. When it cannot be written, [`lost`] tells in the end.
pub fn answer(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(e) = out.write_fmt(text).and_then(|()| out.flush()) {
        // A reader that has seen enough, such as `head`, is no failure.
        if e.kind() != ErrorKind::BrokenPipe {
            LOST.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(e);
        }
    }
}

/// Writes to standard error, as well as it goes.
pub fn note(text: Arguments<'_>) {
    // There is nowhere left to say that it failed.
    let _ = io::stderr().lock().write_fmt(text);
}

/// What kept an answer from being written.
pub fn lost() -> Option<io::Error> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// `println!` for answers.
#[macro_export]
macro_rules! answer {
    ($($arg:tt)*) => { $crate::say::answer(format_args!("{}\n", format_args!($($arg)*))) };
}

/// `eprintln!` for notes.
#[macro_export]
macro_rules! note {
    ($($arg:tt)*) => { $crate::say::note(format_args!("{}\n", format_args!($($arg)*))) };
}
