//! Where records go: a writer that is given, or a file that gets its name when it is whole.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use decryptor_wasm::{Error, ErrorKind as Kind, Result};

use crate::{failure::Failure, files};

const BUFFER: usize = 1 << 16;

/// Takes what is written.
pub struct Output<'a> {
    to: BufWriter<To<'a>>,
    /// How many were written.
    bytes: u64,
    /// What the system said when it took no more.
    refused: Option<io::Error>,
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

impl<'a> Output<'a> {
    /// Begins; an existing file is not touched.
    pub fn create(
        out: Option<&Path>,
        writer: &'a mut (dyn Write + Send),
    ) -> std::result::Result<Self, Failure> {
        let to = match out {
            None => To::Writer(writer),
            Some(place) => {
                let failed = |e: io::Error| Failure::failed(format!("{}: {e}", place.display()));
                if place.exists() {
                    return Err(Failure::usage(format!(
                        "{} exists: give another --out",
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
            refused: None,
        })
    }

    /// Writes bytes.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.with(|out| out.write_all(bytes))
    }

    /// Lets `fill` write.
    pub fn with(&mut self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        fill(self).map_err(|e| Error::new(Kind::Failed, format!("cannot write the output: {e}")))
    }

    /// Whether whoever reads has gone.
    pub fn closed(&self) -> bool {
        let refused = self.refused.as_ref().map(io::Error::kind);
        refused == Some(ErrorKind::BrokenPipe)
    }

    /// All is written: how many bytes.
    pub fn finish(mut self) -> std::result::Result<u64, Failure> {
        let done = self.flush();
        if self.closed() {
            return Ok(self.bytes);
        }
        let failed = |e: io::Error| Failure::failed(format!("cannot write the output: {e}"));
        done.map_err(failed)?;
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
        let written = self.to.write(bytes).inspect_err(|e| {
            self.refused = Some(e.kind().into());
        })?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush().inspect_err(|e| {
            self.refused = Some(e.kind().into());
        })
    }
}
