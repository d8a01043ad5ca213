//! Places of archives: folders, and prefixes of object stores, with the flags for how a store is reached.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};
use pryv_backup_engine::{
    failure::Failure,
    storage::{Location, StoreOptions},
};

use super::{Cli, Command};
use crate::stdio;

/// Reads a place: a folder of any name, or `s3://BUCKET/PREFIX`.
pub fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(|text: OsString| match text.into_string() {
        Ok(text) => text.parse::<Location>(),
        // No address is of bytes that are no text.
        Err(path) => Ok(PathBuf::from(path).into()),
    })
}

/// Reads a folder of any name; an address of an object store is none.
pub fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text: OsString| match text.to_str() {
        Some(known) if known.starts_with("s3://") => {
            Err("only a folder can be given here, no object store".to_owned())
        }
        _ => Ok(PathBuf::from(text)),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AddressingArg {
    Path,
    Host,
}

/// How the object store of an `s3://` address is reached. Credentials are those of `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, of
/// a profile, or of the machine's role.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "With s3://")]
pub struct StoreArgs {
    /// Address of the store (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon S3).
    #[arg(long, global = true, hide_short_help = true, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Region of the bucket (default: AWS_REGION or AWS_DEFAULT_REGION).
    #[arg(long, global = true, hide_short_help = true, value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Where the name of the bucket stands in an address (default: in the path where --s3-endpoint is given, else in the host name).
    #[arg(long, global = true, hide_short_help = true, value_enum)]
    pub s3_addressing: Option<AddressingArg>,
    /// Certificates (PEM) that are trusted instead of the system's (default: AWS_CA_BUNDLE).
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub s3_ca: Option<PathBuf>,
    /// Bytes that are sent in a second at most: a number, or one with K, M or G.
    #[arg(long, global = true, hide_short_help = true, value_name = "SIZE", value_parser = super::layout::bytes)]
    pub limit_upload: Option<u64>,
    /// Read what the bucket held at this moment, whatever was overwritten or deleted there after it; the bucket has to keep versions.
    #[arg(long, global = true, hide_short_help = true, value_name = "TIME", value_parser = super::moment::moment)]
    pub as_of: Option<f64>,
    /// Nobody else writes to that prefix: needed where the store knows no conditional writes.
    #[arg(long, global = true, hide_short_help = true)]
    pub single_writer: bool,
}

impl StoreArgs {
    /// As the library takes them.
    fn options(&self) -> StoreOptions {
        StoreOptions {
            access_key: None,
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            path_style: self.s3_addressing.map(|style| style == AddressingArg::Path),
            ca: self.s3_ca.clone(),
            as_of: self.as_of.map(|seconds| (seconds * 1000.0) as i64),
            upload_limit: self.limit_upload,
            single_writer: self.single_writer,
        }
    }
}

impl Cli {
    /// Puts the flags for object stores into the places that were given, and standard input and output into those called `-`.
    ///
    /// # Errors
    /// When either is a terminal.
    pub fn reach(&mut self) -> Result<(), Failure> {
        let options = self.store.options();
        let places: Vec<Option<&mut Location>> = match &mut self.command {
            None => {
                if let Some(stream) = self.backup.output.as_ref().and_then(Location::stream) {
                    stdio::send(stream)?;
                }
                vec![self.backup.output.as_mut(), self.backup.restore.as_mut()]
            }
            Some(Command::Decrypt(args)) => vec![Some(&mut args.dir)],
            Some(Command::Verify(args)) => vec![Some(&mut args.dir), args.repair_from.as_mut()],
            Some(Command::List(args) | Command::Stats(args)) => vec![Some(&mut args.dir)],
            Some(Command::Cat(args)) => vec![Some(&mut args.dir)],
            Some(Command::Extract(args)) => vec![Some(&mut args.dir)],
            Some(Command::Diff(args)) => vec![Some(&mut args.old), Some(&mut args.new)],
            Some(Command::Copy(args)) => vec![Some(&mut args.from), Some(&mut args.to)],
            Some(Command::Fleet(args)) => vec![Some(&mut args.dir)],
            Some(Command::Capsule(args)) => vec![Some(&mut args.dir)],
            Some(Command::Consolidate(args)) => {
                let into = Some(&mut args.into).filter(|into| into.stream().is_none());
                vec![Some(&mut args.dir), into]
            }
            // Nothing is read of a stream that cannot be changed.
            Some(Command::Prune(args)) => {
                vec![Some(&mut args.dir).filter(|dir| dir.stream().is_none())]
            }
            Some(Command::Rekey(args)) => {
                vec![Some(&mut args.dir).filter(|dir| dir.stream().is_none())]
            }
            Some(Command::Raw(args)) => {
                if let Some(stream) = args.output.stream() {
                    stdio::send(stream)?;
                }
                vec![Some(&mut args.output)]
            }
            Some(Command::RawRestore(args)) => vec![Some(&mut args.dir)],
            Some(Command::Keygen(_) | Command::Decryptors(_) | Command::Sample { .. }) => {
                Vec::new()
            }
        };
        let mut received = false;
        for place in places.into_iter().flatten() {
            place.reach(&options);
            if let Some(stream) = place.stream().filter(|stream| !stream.is_connected())
                && !std::mem::replace(&mut received, true)
            {
                stdio::receive(stream)?;
            }
        }
        Ok(())
    }
}
