//! Puts advice in words: the one table of advice that names options and commands.

use std::borrow::Cow;

use pryv_backup_engine::advice::{Advice, Sentence};

/// The advice as it goes on where its sentence ends.
pub fn words(advice: &Advice) -> Cow<'static, str> {
    Cow::Borrowed(match advice {
        Advice::Core(error) => return error.advice().unwrap_or_default().into(),
        Advice::SingleWriter => "; pass --single-writer if nobody else writes there",
        Advice::StateDir => "; give --state-dir DIR, a folder that this host keeps",
        Advice::OtherStateDir => ", or give --state-dir DIR",
        Advice::MakeSigningKey => "; `pryv-backup keygen --signing` makes one",
        Advice::SigningKeyPassword => {
            ": give --sign-key-password-file FILE or set PRYV_BACKUP_SIGN_KEY_PASSWORD"
        }
        Advice::SignWithKeptKey => {
            "; give --sign-key FILE, or --state-dir DIR of a host that makes backups"
        }
        Advice::Signer => ": give --signer KEY (the report of a backup prints it)",
        Advice::SignerOrNewFolder => {
            ": give --signer KEY if you know who signed it, or a new folder as --output"
        }
        Advice::NewPassphrase => ": use PRYV_BACKUP_PASSPHRASE or --passphrase-file",
        Advice::Encrypt => {
            " (--require-encrypted or PRYV_BACKUP_REQUIRE_ENCRYPTED): give --recipient-pubkey or a passphrase"
        }
        Advice::EncryptOrNewFolder => {
            ": give --recipient-pubkey or a passphrase, or a new folder as --output"
        }
        Advice::AllowOrRefusePlaintext => {
            ": --allow-plaintext excludes --require-encrypted and PRYV_BACKUP_REQUIRE_ENCRYPTED"
        }
        Advice::RecipientsOfCopy => {
            ": give --recipient-pubkey PEM for each who is to open the copy, or the private keys of all who can now"
        }
        Advice::CopyWithOtherLock => {
            ": `pryv-backup consolidate DIR --into NEW` makes a copy with another passphrase, or to recipients"
        }
        Advice::EncryptedCopy => {
            ": `pryv-backup consolidate DIR --into NEW --recipient-pubkey PEM` makes an encrypted copy"
        }
        Advice::Config => "; --config FILE names another",
        Advice::BackUpWithoutIndex => {
            ", or pass --platform none to leave the platform's own database out"
        }
        Advice::RestoreWithoutIndex => {
            ", or pass --skip-platform to leave the platform's own database out"
        }
        Advice::CreateParents => " Make it, or give --create-parents",
        Advice::CreateUsersDir => ", or pass --create-users-dir if the platform is new",
        Advice::Overwrite => "; pass --overwrite to replace it",
        Advice::RestoreOnceMore => ": pass --overwrite to restore it once more and be told",
        Advice::SkipConflicts => "; pass --skip-conflicts",
        Advice::SkipOrRename { all_named } => skip_or_rename(*all_named),
        Advice::Rename => "; pass --remap-user OLD=NEW",
        Advice::RestoreBesideCore => "; or pass --force, and restart it afterwards",
        Advice::OneUser => ": give --user (`pryv-backup list` shows them)",
        Advice::ListStreams => {
            "; `pryv-backup extract --collection streams` shows those of the user"
        }
        Advice::ListFiles => "; `pryv-backup decrypt --list` and SHA256SUMS show what there is",
        Advice::NameCore => ": give --core NAME",
        Advice::Key => ": give --private-key or --passphrase-file",
        Advice::ConfigOfTokens => ": give --pryv-root DIR or --config FILE of a core",
        Advice::AcceptChange => "; if that is right, give --accept-change NAME once",
        Advice::KeepRules => {
            ": give --keep-last, --keep-within, --keep-daily, --keep-weekly or --keep-monthly"
        }
        Advice::WriteIntoFolder => ", or give --force to write into it",
        Advice::RunRqlite => "; rqlited has to run meanwhile, also where the core is stopped",
        Advice::NameRecipients => ": give --recipient-pubkey or a passphrase",
        Advice::TakeCapsule => ": a backup with --include-config takes one along",
        Advice::RestoreRaw => ": `pryv-backup raw-restore DIR` puts it back",
        Advice::KnownMaker => {
            ": give --signer KEY or --expect-id ID as the report of the dump prints them, or --accept-unsigned"
        }
        Advice::RestoreRecords => ": `pryv-backup --restore DIR` restores it",
        Advice::InfluxdbAddress => {
            "; --influxdb-backup HOST:PORT says where (bind-address in its configuration)"
        }
        _ => "",
    })
}

fn skip_or_rename(all_named: bool) -> &'static str {
    match all_named {
        true => "; pass --skip-conflicts to restore the others, or --remap-user OLD=NEW",
        false => {
            " (--dry-run names them all); pass --skip-conflicts to restore the others, or --remap-user OLD=NEW"
        }
    }
}

/// The whole sentence.
pub fn say(sentence: &Sentence) -> String {
    let mut sentence = sentence.clone();
    put_in_words(&mut sentence);
    sentence.text
}

/// Makes a sentence whole, for an outcome that becomes JSON.
pub fn put_in_words(sentence: &mut Sentence) {
    sentence.put_in_words(|advice| words(advice).into_owned());
}
