//! Writes to standard output and standard error. Whoever listened may be gone, or a disk behind it full: that must
//! neither end the work nor go unnoticed, and `println!` would panic.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use pryv_backup_engine::files;

static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to standard output. When it cannot be written, [`lost`] tells in the end.
pub fn write_answer(text: Arguments<'_>) {
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
pub fn write_note(text: Arguments<'_>) {
    // There is nowhere left to say that it failed.
    let _ = io::stderr().lock().write_fmt(text);
}

/// The error that kept an answer from being written, or keeps it from being stored.
pub fn lost() -> Option<io::Error> {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    lost.or_else(|| check().err())
}

/// Standard output may be a file too. It stays open: each way to it that is closed makes the system answer.
fn check() -> io::Result<()> {
    files::close(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// `println!` for answers.
macro_rules! answer {
    ($($arg:tt)*) => { crate::stdio::write_answer(format_args!("{}\n", format_args!($($arg)*))) };
}

/// `eprintln!` for notes.
macro_rules! note {
    ($($arg:tt)*) => { crate::stdio::write_note(format_args!("{}\n", format_args!($($arg)*))) };
}

pub(crate) use {answer, note};
