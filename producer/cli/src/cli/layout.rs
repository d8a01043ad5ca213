//! The flags for how the files of a backup lie in its folder.

use clap::{Args, ValueEnum};
use pryv_backup_engine::{
    archive::write::ArchiveLayout, failure::Failure, operations::copy, storage::Location,
    trust::Trust,
};

use super::{
    location,
    trust::{SignerArgs, StateArgs},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    Files,
    Volumes,
}

#[derive(Debug, Args)]
pub struct LayoutArgs {
    /// Every file by itself, as Pryv's own tool reads it (default), or in a few tar files that are quickly copied (always so in an object store).
    #[arg(long, value_enum)]
    pub layout: Option<LayoutArg>,
    /// Size of a tar file, of which there are some then: bytes, or a number with K, M or G (default: 1G). It ends with the file that reaches it.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub volume_size: Option<u64>,
}

impl LayoutArgs {
    pub fn layout(&self) -> ArchiveLayout {
        let layout = match (self.layout, self.volume_size) {
            (Some(layout), _) => layout,
            (None, Some(_)) => LayoutArg::Volumes,
            (None, None) => LayoutArg::Files,
        };
        layout.of(volume_size(self.volume_size))
    }
}

#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(value_parser = location())]
    pub from: Location,
    /// Folder for the copy, or s3://BUCKET/PREFIX: new, empty, with a copy that was interrupted, which is continued, or with an older copy
    /// of the same chain, which gets the runs that it lacks.
    #[arg(value_parser = location())]
    pub to: Location,
    /// Make the folders above it too; otherwise a missing one is taken for a disk that is not mounted.
    #[arg(long)]
    pub create_parents: bool,
    /// Every file by itself, or in a few tar files that are quickly copied (default: as the backup has them).
    #[arg(long, value_enum)]
    pub layout: Option<LayoutArg>,
    /// Size of a tar file, where there are any: bytes, or a number with K, M or G (default: 1G). It ends with the file that reaches it.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub volume_size: Option<u64>,
    #[command(flatten)]
    pub signers: SignerArgs,
    #[command(flatten)]
    pub state: StateArgs,
    /// Files at once (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Progress and report as JSON objects on standard output, one a line; the report is the last.
    #[arg(long)]
    pub json: bool,
}

impl CopyArgs {
    /// As the library takes them.
    pub fn options(&self) -> Result<copy::Options, Failure> {
        Ok(copy::Options {
            from: self.from.clone(),
            to: self.to.clone(),
            create_parents: self.create_parents,
            layout: self
                .layout
                .map(|layout| layout.of(volume_size(self.volume_size))),
            volume_size: volume_size(self.volume_size),
            trust: Trust {
                signers: self.signers.signer.clone(),
                state_dir: self.state.state_dir.clone(),
                ..Trust::default()
            },
            jobs: self.jobs,
        })
    }
}

impl LayoutArg {
    fn of(self, volume_size: u64) -> ArchiveLayout {
        match self {
            LayoutArg::Files => ArchiveLayout::Files,
            LayoutArg::Volumes => ArchiveLayout::Volumes(volume_size),
        }
    }
}

fn volume_size(given: Option<u64>) -> u64 {
    given.unwrap_or(ArchiveLayout::VOLUME_SIZE)
}

/// Smaller volumes would be so many that their list becomes too long.
const LEAST: u64 = 64 * 1024;

/// Bytes: `1048576`, `1024K`, `1M`.
fn size(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        bytes if bytes >= LEAST => Ok(bytes),
        _ => Err("a volume has 64K or more".to_owned()),
    }
}

/// The same of any size but 0.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.parse().ok().filter(|number| *number > 0);
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) => Ok(bytes),
        None => Err("give a number of bytes, or one with K, M or G: 500M".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("100k", 102_400),
            ("3M", 3 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes));
        }
        for bad in ["", "G", "0", "63K", "-1", "1T", "1.5G", "99999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
