//! How a backup is locked, and who signs it.

use std::path::{Path, PathBuf};

use decryptor_wasm::Kdf;

use crate::{
    archive::Sealing,
    cli::{BackupArgs, KdfArg},
    commands::{
        passphrases::New,
        public_key,
        secrets::VARIABLE,
        signing::{self, Home},
    },
    failure::Failure,
};

/// The lock that was asked for, on the command line or in the environment.
pub fn sealing(args: &BackupArgs) -> Result<Sealing, Failure> {
    if !args.recipient_pubkey.is_empty() {
        let files = args.recipient_pubkey.iter();
        return files
            .map(|path| public_key(path, args.quiet))
            .collect::<Result<_, _>>()
            .map(Sealing::Recipients);
    }
    if args.passphrase_file.len() > 1 {
        return Err(Failure::usage(
            "a backup has one passphrase: give --passphrase-file once",
        ));
    }
    let new = New {
        flag: args.encrypt_passphrase.as_ref().map(Option::as_deref),
        file: args.passphrase_file.first().map(PathBuf::as_path),
        variable: Some(VARIABLE),
        question: "Passphrase for the backup: ",
        quiet: args.quiet,
    };
    let given = new.take()?;
    let kdf = match args.kdf {
        KdfArg::Scrypt => Kdf::Scrypt,
        KdfArg::Pbkdf2 => Kdf::Pbkdf2,
    };
    match given {
        Some(passphrase) => Ok(Sealing::Passphrase { passphrase, kdf }),
        None if args.restoring.expect.trust.require_encrypted => Err(Failure::usage(
            "the backup would not be encrypted, and --require-encrypted (or PRYV_BACKUP_REQUIRE_ENCRYPTED) asks that it is: give --recipient-pubkey or a passphrase",
        )),
        None => Ok(Sealing::None),
    }
}

/// What signs the run.
pub fn home(args: &BackupArgs, output: &Path) -> Result<Home, Failure> {
    let state = &args.restoring.expect.trust.state;
    if args.dry_run {
        if let Ok(folder) = state.folder() {
            signing::refuse_inside(&folder, output)?;
        }
        return Home::none();
    }
    Home::open(state, &args.sign, output)
}
