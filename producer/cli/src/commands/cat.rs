//! `cat`: one file of an archive on standard output, as plain as it gets.

use std::io::{self, BufWriter, ErrorKind, Write};

use decryptor_wasm::{Error, ErrorKind as Kind};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{open, print_json_beside, secrets::Secrets};
use crate::{
    archive::read::{Choice, Folder},
    cli::CatArgs,
    failure::Failure,
};

/// What was printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    archive_id: &'a str,
    path: &'a str,
    bytes: u64,
    /// Of what was printed.
    sha256: String,
}

/// Prints the file. Every byte is authentic, but only the exit code says that the file is complete.
pub fn run(args: &CatArgs) -> Result<u8, Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let demands = super::demands(&args.expect, &args.key)?;
    let choice = Choice {
        at: args.at,
        expect_id: args.expect.id(),
        ..Choice::new(&demands)
    };
    let archive = open(&args.dir, choice, &Secrets::new(&args.key))?;
    let mut closed = false;
    let (mut bytes, mut digest) = (0, args.json.then(Sha256::new));
    let mut print = |piece: &[u8]| {
        bytes += piece.len() as u64;
        if let Some(digest) = &mut digest {
            digest.update(piece);
        }
        match out.write_all(piece) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                closed = true;
                Err(Error::new(Kind::Failed, "closed"))
            }
            Err(e) => Err(Error::new(Kind::Failed, format!("standard output: {e}"))),
            Ok(()) => Ok(()),
        }
    };
    let plain = args.path.strip_suffix(".gz").unwrap_or(&args.path);
    let found = archive
        .files()
        .iter()
        .find(|file| file.path.strip_suffix(".gz").unwrap_or(&file.path) == plain);
    let (path, outcome) = match (archive.manifests.get(&args.path), found) {
        (Some(content), _) => (args.path.as_str(), print(content)),
        (None, Some(file)) => {
            let outcome = archive.stream(file, !args.raw, false, &mut print);
            (file.path.as_str(), outcome.map(drop))
        }
        (None, None) if args.path == "encryption.json" => {
            let envelope = Folder::new(&args.dir).read(&args.path);
            (args.path.as_str(), envelope.and_then(|bytes| print(&bytes)))
        }
        (None, None) => {
            return Err(Failure::usage(format!(
                "there is no {:?} in this archive; `pryv-backup decrypt --list` and SHA256SUMS show what there is",
                args.path
            )));
        }
    };
    match outcome {
        // Whoever reads has had enough.
        Err(_) if closed => return Ok(0),
        outcome => outcome?,
    }
    out.flush()
        .map_err(|e| Failure::failed(format!("standard output: {e}")))?;
    if let Some(digest) = digest {
        let printed = Printed {
            archive_id: &archive.id,
            path,
            bytes,
            sha256: digest
                .finalize()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
        };
        print_json_beside(&printed, true)?;
    }
    Ok(0)
}
