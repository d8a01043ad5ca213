//! Where records go: a writer that is given, or a file that gets its name when it is whole.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{failure::Failure, files};

const BUFFER: usize = 1 << 16;

/// Takes what is written.
pub struct Output<'a> {
    to: BufWriter<To<'a>>,
    /// How many were written.
    bytes: u64,
}

enum To<'a> {
    Writer(&'a mut (dyn Write + Send)),
    File {
        /// None when it is whole and closed.
        file: Option<File>,
        aside: PathBuf,
        place: PathBuf,
    },
}

fn opened(file: &mut Option<File>) -> io::Result<&mut File> {
    file.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
}

impl Write for To<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            To::Writer(out) => out.write(bytes),
            To::File { file, .. } => opened(file)?.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            To::Writer(out) => out.flush(),
            To::File { file, .. } => opened(file)?.flush(),
        }
    }
}

impl Drop for To<'_> {
    fn drop(&mut self) {
        if let To::File { aside, .. } = self {
            // Once it has its name, there is nothing left to remove.
            let _ = fs::remove_file(aside);
        }
    }
}

/// The failure when the system refuses to take what is written.
pub fn refused(error: io::Error) -> Failure {
    Failure::failed(format!("cannot write the output: {error}"))
}

impl<'a> Output<'a> {
    /// Begins; an existing file is not touched.
    pub fn create(out: Option<&Path>, writer: &'a mut (dyn Write + Send)) -> Result<Self, Failure> {
        let to = match out {
            None => To::Writer(writer),
            Some(place) => {
                let failed = |e: io::Error| Failure::failed(format!("{}: {e}", place.display()));
                if place.exists() {
                    return Err(Failure::usage(format!(
                        "{} exists: give another file",
                        place.display()
                    )));
                }
                let mut aside = place.as_os_str().to_owned();
                aside.push(".partial");
                let aside = PathBuf::from(aside);
                let mut options = File::options();
                options.write(true).create(true).truncate(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                To::File {
                    file: Some(options.open(&aside).map_err(failed)?),
                    aside,
                    place: place.to_owned(),
                }
            }
        };
        Ok(Output {
            to: BufWriter::with_capacity(BUFFER, to),
            bytes: 0,
        })
    }

    /// All is written: how many bytes.
    pub fn finish(mut self) -> Result<u64, Failure> {
        match self.flush() {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(self.bytes),
            done => done.map_err(refused)?,
        }
        if let To::File { file, aside, place } = self.to.get_mut() {
            let failed =
                |e: io::Error| Failure::failed(format!("cannot write {}: {e}", place.display()));
            file.take().map_or(Ok(()), files::store).map_err(failed)?;
            fs::rename(aside, &place).map_err(failed)?;
        }
        Ok(self.bytes)
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
