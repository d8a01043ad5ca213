//! The flags of the commands that check, search and keep archives.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use pryv_backup_engine::{operations::verify::sample, storage::Location};

use super::{
    ConfinedArgs, ExpectArgs, KdfArg, KeyArgs, LayoutArgs, OpenArgs, PrivateKeyArgs, SignArgs,
    TrustArgs, archive_id, location, moment::moment, passphrase, trust::age,
};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(default_value = ".", value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Replace files that are damaged or missing by those of this copy of the backup, a folder or s3://BUCKET/PREFIX, whose digests fit, and
    /// nothing else; then check all.
    #[arg(long, value_name = "COPY", value_parser = location(), conflicts_with = "at")]
    pub repair_from: Option<Location>,
    /// Read this part of the files only, each time another one: ten samples of 10% read all. The state folder remembers which.
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with_all = ["at", "repair_from", "sample_bytes"])]
    pub sample: Option<u32>,
    /// The same with so many bytes: a number, or one with K, M or G.
    #[arg(long, value_name = "SIZE", value_parser = super::layout::bytes, conflicts_with_all = ["at", "repair_from"])]
    pub sample_bytes: Option<u64>,
    /// Files at once (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Print progress and report as JSON objects on standard output, one a line; the report comes last.
    #[arg(long)]
    pub json: bool,
    /// Print only what is wrong.
    #[arg(long, short = 'q')]
    pub quiet: bool,
    #[command(flatten)]
    pub confined: ConfinedArgs,
}

#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Only this user (user id or username); needed if there are several users.
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Collection: events, streams, accesses, profile, webhooks, account, audit, series; or platform/keys and the like.
    #[arg(long, short = 'c', default_value = "events")]
    pub collection: String,
    /// Records from this moment on: a year, a date, date and time (UTC unless it says otherwise), or @seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub since: Option<f64>,
    /// Records before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub until: Option<f64>,
    /// Records in this stream or one below it.
    #[arg(long, value_name = "ID")]
    pub stream: Option<String>,
    /// Records of this type; `mass/*` takes all types that begin so.
    #[arg(long, value_name = "TYPE")]
    pub r#type: Option<String>,
    /// Format of the output.
    #[arg(long, short = 'f', value_enum, default_value_t = FormatArg::Jsonl)]
    pub format: FormatArg,
    /// New file for the records (default: standard output).
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Say what was written, as one JSON object on standard output (without --out, on standard error).
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub confined: ConfinedArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    Jsonl,
    Csv,
    Parquet,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["add_recipient", "remove_recipient"]))]
pub struct RekeyArgs {
    /// Folder of the backup, or s3://BUCKET/PREFIX in a bucket that keeps no versions.
    #[arg(value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub key: PrivateKeyArgs,
    #[command(flatten)]
    pub expect: ExpectArgs,
    /// Let the holder of this public key (PEM) open it; may be given several times.
    #[arg(long, value_name = "PEM")]
    pub add_recipient: Vec<PathBuf>,
    /// Take the recipient with this fingerprint off the list; may be given several times.
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    pub remove_recipient: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ConsolidateArgs {
    /// Folder or tar file of the backup, `-` for standard input, or s3://BUCKET/PREFIX.
    #[arg(value_parser = location())]
    pub dir: Location,
    /// Folder for the new archive, or s3://BUCKET/PREFIX; new or empty.
    #[arg(long, value_name = "NEW", value_parser = location())]
    pub into: Location,
    /// Make the folders above it too; otherwise a missing one is taken for a disk that is not mounted.
    #[arg(long)]
    pub create_parents: bool,
    #[command(flatten)]
    pub layout: LayoutArgs,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Encrypt to the holder of this public key (PEM), and no longer to those who can open it now; may be given several times.
    #[arg(long, value_name = "PEM", conflicts_with_all = ["encrypt_passphrase", "encrypt_passphrase_file"])]
    pub recipient_pubkey: Vec<PathBuf>,
    /// Encrypt with a new passphrase: asked for when none is given here.
    #[arg(
        long,
        value_name = "PASSPHRASE",
        value_parser = passphrase,
        conflicts_with = "encrypt_passphrase_file"
    )]
    pub encrypt_passphrase: Option<Option<String>>,
    /// Encrypt with the new passphrase in this file.
    #[arg(long, value_name = "FILE")]
    pub encrypt_passphrase_file: Option<PathBuf>,
    /// Function that makes a key of a new passphrase.
    #[arg(long, value_enum, default_value_t = KdfArg::Scrypt)]
    pub kdf: KdfArg,
    #[command(flatten)]
    pub sign: SignArgs,
    /// Users at once (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Print progress and report as JSON objects on standard output, one a line; the report comes last.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Folder in which backups lie, each in a folder of its own; or s3://BUCKET/PREFIX below which they lie.
    #[arg(value_parser = location())]
    pub dir: Location,
    #[command(flatten)]
    pub keep: KeepArgs,
    #[command(flatten)]
    pub key: KeyArgs,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Say what would be removed, remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Files that are verified at once (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Rules for what is kept; days, weeks and months are those of UTC.
#[derive(Debug, Args)]
pub struct KeepArgs {
    /// Keep the last N backups.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_last: u32,
    /// Keep all backups that are not older than this: 30d, 12h, 2w.
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub keep_within: Option<i64>,
    /// Keep the last backup of each of the last N days that have one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_daily: u32,
    /// The same for weeks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_weekly: u32,
    /// The same for months.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_monthly: u32,
}

fn fingerprint(text: &str) -> Result<String, String> {
    archive_id(text).map_err(|_| {
        "a fingerprint has 64 hex digits; `pryv-backup list` shows those of an archive".to_owned()
    })
}

/// `10%` or `0.5%`, in hundredths of a percent.
fn percent(text: &str) -> Result<u32, String> {
    let wrong = || "give a share of 0.01% to 100%: 10%".to_owned();
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(wrong());
    }
    let hundredths = format!("{whole}{part:0<2}").parse().ok();
    hundredths
        .filter(|hundredths| (1..=sample::WHOLE).contains(hundredths))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read() {
        for (text, share) in [("10%", 1000), ("0.5%", 50), ("0.01%", 1), ("100%", 10_000)] {
            assert_eq!(percent(text), Ok(share));
        }
        for bad in [
            "10", "%", "0%", "101%", "1.005%", "-1%", "1e1%", ".5%", "+1%",
        ] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }
}
