//! Writes to standard output and standard error. Whoever listened may be gone, or a disk behind it full: that must
//! neither end the work nor go unnoticed, and `println!` would panic.

use std::{
    fmt::Arguments,
    fs::File,
    io::{self, ErrorKind, IsTerminal, Seek, Write},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use pryv_backup_engine::{failure::Failure, files, storage::Stream};

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

/// Lets a backup come from standard input. A file that nobody has begun to read is read in place.
pub fn receive(stream: &Stream) -> Result<(), Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(Failure::usage(
            "standard input is a terminal: pipe a backup into it, or give its folder",
        ));
    }
    let own = input.as_fd().try_clone_to_owned();
    let mut own = File::from(own.map_err(|e| unusable(Stream::INPUT, &e))?);
    let is_file = own.metadata().is_ok_and(|about| about.is_file());
    match is_file && own.stream_position().is_ok_and(|at| at == 0) {
        true => stream.read_in(own),
        false => stream.read_from(Box::new(own)),
    }
    Ok(())
}

/// Lets a backup go to standard output, on which nothing else is written then.
pub fn send(stream: &Stream) -> Result<(), Failure> {
    let output = io::stdout();
    if output.is_terminal() {
        return Err(Failure::usage(
            "standard output is a terminal: send the backup into a pipe or a file, or give a folder",
        ));
    }
    let own = output.as_fd().try_clone_to_owned();
    let own = own.map_err(|e| unusable(Stream::OUTPUT, &e))?;
    stream.write_to(Box::new(File::from(own)));
    Ok(())
}

fn unusable(name: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{name}: {error}"))
}

/// A line of an answer. What comes from an archive or a platform may hold the ends of lines, and sequences that steer the terminal: these
/// are shown, not sent.
macro_rules! answer {
    ($($arg:tt)*) => { crate::stdio::write_answer(format_args!("{}\n", crate::stdio::printable(&format!($($arg)*)))) };
}

/// The same on standard error.
macro_rules! note {
    ($($arg:tt)*) => { crate::stdio::write_note(format_args!("{}\n", crate::stdio::printable(&format!($($arg)*)))) };
}

pub(crate) use pryv_backup_engine::text::printable;
pub(crate) use {answer, note};
