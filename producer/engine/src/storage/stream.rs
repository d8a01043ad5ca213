//! A backup that comes or goes as a stream. The manifest is the last file of it, so what comes is kept as it is stored until all of it is
//! there: in a file without a name, which goes with the process, however that ends.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    Code, Error, ErrorKind, Result,
    volume::{LOOK, require_tar},
};

use crate::{limits::PIECE, threads::lock};

/// A stream, which whoever names it connects; it holds one backup.
#[derive(Clone, Default)]
pub struct Stream(Arc<Mutex<Flow>>);

#[derive(Default)]
enum Flow {
    /// Nothing, or what was taken.
    #[default]
    None,
    Comes(Box<dyn Read + Send>),
    Kept(File),
    Goes(Box<dyn Write + Send>),
}

impl Stream {
    /// What it is called where a backup comes.
    pub const INPUT: &str = "standard input";
    /// What it is called where a backup goes.
    pub const OUTPUT: &str = "standard output";

    /// A backup comes from `input`.
    pub fn read_from(&self, input: Box<dyn Read + Send>) {
        *lock(&self.0) = Flow::Comes(input);
    }

    /// A backup comes from a file, which is read in place.
    pub fn read_in(&self, file: File) {
        *lock(&self.0) = Flow::Kept(file);
    }

    /// A backup goes to `output`.
    pub fn write_to(&self, output: Box<dyn Write + Send>) {
        *lock(&self.0) = Flow::Goes(output);
    }

    /// Whether it leads anywhere.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !matches!(*lock(&self.0), Flow::None)
    }

    /// Takes what comes, all of it.
    ///
    /// # Errors
    /// When it was taken before, cannot be read, is no backup, or there is no room for it.
    pub fn keep(&self) -> Result<File> {
        match std::mem::take(&mut *lock(&self.0)) {
            Flow::Comes(mut input) => keep(&mut *input, &large_folder()),
            Flow::Kept(file) => Ok(file),
            Flow::None | Flow::Goes(_) => Err(Error::new(
                ErrorKind::Usage,
                "standard input holds one backup: give the folder of the other one",
            )),
        }
    }

    /// Takes where it goes.
    pub(crate) fn output(&self) -> Option<Box<dyn Write + Send>> {
        match std::mem::take(&mut *lock(&self.0)) {
            Flow::Goes(output) => Some(output),
            _ => None,
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stream {}

/// A folder for large files that go away: TMPDIR, or else not `/tmp`, which is often in memory.
pub fn large_folder() -> PathBuf {
    let large = Path::new("/var/tmp");
    match env::var_os("TMPDIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None if large.is_dir() => large.to_owned(),
        None => env::temp_dir(),
    }
}

fn keep(input: &mut dyn Read, folder: &Path) -> Result<File> {
    let (name, place) = (Stream::INPUT, folder.display());
    let unkept = |size: u64, e: io::Error| {
        let text = format!(
            "the backup on {name} is kept in {place} until all of it is there, which fails after {size} bytes: {e}; set TMPDIR to a \
             folder with room for it"
        );
        Error::new(ErrorKind::Failed, text)
    };
    let mut file = tempfile::tempfile_in(folder).map_err(|e| unkept(0, e))?;
    let mut piece = vec![0; PIECE];
    let mut size = 0_u64;
    loop {
        let read = match input.read(&mut piece) {
            Ok(0) if size == 0 => {
                return Err(Error::damaged(format!(
                    "{name} is empty: whatever was to send a backup sent nothing"
                )));
            }
            Ok(0) => return Ok(file),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                return Err(Error::new(
                    ErrorKind::Failed,
                    format!("{name} cannot be read: {e}"),
                ));
            }
        };
        if size == 0 && read as u64 >= LOOK {
            refuse_packed(&piece[..read])?;
        }
        file.write_all(&piece[..read])
            .map_err(|e| unkept(size, e))?;
        size += read as u64;
    }
}

/// Refuses at once what will be no backup, however long it is. Of a backup, the beginning may be damaged.
fn refuse_packed(head: &[u8]) -> Result<()> {
    match require_tar(Stream::INPUT, head, &[]) {
        Err(error) if error.code() == Code::Compressed => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_stream_is_kept_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = vec![7; 3 * PIECE + 1];
        let file = keep(&mut bytes.as_slice(), folder.path()).unwrap();
        assert_eq!(file.metadata().unwrap().len(), bytes.len() as u64);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let gone = folder.path().join("gone");
        let said = keep(&mut bytes.as_slice(), &gone).unwrap_err();
        assert!(said.to_string().contains("TMPDIR"));
        let packed = [b"\x1f\x8b".as_slice(), &bytes].concat();
        assert!(keep(&mut packed.as_slice(), folder.path()).is_err());
    }

    #[test]
    fn a_stream_is_taken_once() {
        let stream = Stream::default();
        stream.read_from(Box::new(io::repeat(0).take(1)));
        stream.keep().unwrap();
        let empty = Stream::default();
        empty.read_from(Box::new(io::empty()));
        assert!(empty.keep().is_err());
        assert!(stream.keep().is_err() && stream.output().is_none());
    }
}
