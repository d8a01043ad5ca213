//! `cat`: one file of an archive on standard output, as plain as it gets.

use std::io::{self, BufWriter, ErrorKind, Write};

use decryptor_wasm::{Error, ErrorKind as Kind};

use super::open;
use crate::{
    archive::read::{Choice, Folder},
    cli::CatArgs,
    failure::Failure,
};

/// Prints the file. Every byte is authentic, but only the exit code says that the file is complete.
pub fn run(args: &CatArgs) -> Result<u8, Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let choice = Choice {
        at: args.at,
        ..Choice::default()
    };
    let archive = open(&args.dir, choice, &args.key)?;
    let mut closed = false;
    let mut print = |bytes: &[u8]| match out.write_all(bytes) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => {
            closed = true;
            Err(Error::new(Kind::Failed, "closed"))
        }
        Err(e) => Err(Error::new(Kind::Failed, format!("standard output: {e}"))),
        Ok(()) => Ok(()),
    };
    let plain = args.path.strip_suffix(".gz").unwrap_or(&args.path);
    let found = archive
        .files()
        .iter()
        .find(|file| file.path.strip_suffix(".gz").unwrap_or(&file.path) == plain);
    let outcome = match (archive.manifests.get(&args.path), found) {
        (Some(content), _) => print(content),
        (None, Some(file)) => archive.stream(file, !args.raw, false, &mut print).map(drop),
        (None, None) if args.path == "encryption.json" => Folder::new(&args.dir)
            .read(&args.path)
            .and_then(|bytes| print(&bytes)),
        (None, None) => {
            return Err(Failure::usage(format!(
                "there is no {:?} in this archive; `pryv-backup decrypt --list` and SHA256SUMS show what there is",
                args.path
            )));
        }
    };
    match outcome {
        // Whoever reads has had enough.
        Err(_) if closed => Ok(0),
        Err(error) => Err(error.into()),
        Ok(()) => {
            out.flush()
                .map_err(|e| Failure::failed(format!("standard output: {e}")))?;
            Ok(0)
        }
    }
}
