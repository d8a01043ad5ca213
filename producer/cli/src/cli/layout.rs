//! The flags for how the files of a backup lie in its folder.

use clap::{Args, ValueEnum};
use pryv_backup_engine::archive::write::Layout;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    Files,
    Volumes,
}

#[derive(Debug, Args)]
pub struct LayoutArgs {
    /// Every file by itself, as Pryv's own tool reads it, or in a few tar files that are quickly copied.
    #[arg(long, value_enum, default_value_t = LayoutArg::Files)]
    pub layout: LayoutArg,
    /// Size of a tar file of `--layout volumes`: bytes, or a number with K, M or G. It ends with the file that reaches it.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    pub volume_size: u64,
}

impl LayoutArgs {
    pub fn layout(&self) -> Layout {
        match self.layout {
            LayoutArg::Files => Layout::Files,
            LayoutArg::Volumes => Layout::Volumes(self.volume_size),
        }
    }
}

/// Bytes: `1048576`, `1024K`, `1M`.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.parse().ok().filter(|number| *number > 0);
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "give a number of bytes, or one with K, M or G: 500M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("1", 1), ("10k", 10_240), ("3M", 3 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for bad in ["", "G", "0", "-1", "1T", "1.5G", "99999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
