//! The flags, as the library takes them.

use std::path::PathBuf;

use decryptor_wasm::Kdf;
use pryv_backup_engine::{
    opening::ArchiveOptions,
    operations::{
        cat, consolidate, decrypt, diff, extract, keygen, prune, rekey, verify,
        verify::sample::SampleSize,
    },
    sealing,
    secrets::{Keys, New, PrivateKeyFiles, Secret, SecretSource},
    signing,
    storage::Location,
    trust::{Expect, Trust},
};

use super::{
    CatArgs, ConsolidateArgs, DecryptArgs, DiffArgs, ExpectArgs, ExtractArgs, FormatArg, KdfArg,
    KeyArgs, KeygenArgs, LookArgs, OpenArgs, PrivateKeyArgs, PruneArgs, RekeyArgs, SignArgs,
    TrustArgs, VerifyArgs,
};

/// The variable that may hold the password of a signing key.
const PASSWORD: &str = "PRYV_BACKUP_SIGN_KEY_PASSWORD";

/// The variable with the passphrase of a backup.
pub(super) const PASSPHRASE: &str = "PRYV_BACKUP_PASSPHRASE";
const KEY_PASSPHRASE: &str = "PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE";

/// A variable that is set, as the place of a passphrase.
pub(super) fn variable(name: &'static str) -> Option<SecretSource> {
    std::env::var_os(name).map(|_| SecretSource::Variable(name))
}

pub(super) fn texts(passphrases: &[String]) -> impl Iterator<Item = SecretSource> {
    let text = |text: &String| SecretSource::Text(Secret::new(text.clone()));
    passphrases.iter().map(text)
}

/// The sources that are given, or else the variable, if that is set.
pub(super) fn or_variable(
    given: impl Iterator<Item = SecretSource>,
    name: &'static str,
) -> Vec<SecretSource> {
    let mut given: Vec<SecretSource> = given.collect();
    if given.is_empty() {
        given.extend(variable(name));
    }
    given
}

impl PrivateKeyArgs {
    /// As the library takes them.
    pub fn options(&self) -> PrivateKeyFiles {
        private_keys(&self.private_key, &self.private_key_passphrase)
    }
}

pub(super) fn private_keys(files: &[PathBuf], passphrases: &[String]) -> PrivateKeyFiles {
    PrivateKeyFiles {
        files: files.to_vec(),
        passphrases: or_variable(texts(passphrases), KEY_PASSPHRASE),
    }
}

impl KeyArgs {
    /// As the library takes them.
    pub fn options(&self) -> Keys {
        let files = self.passphrase_file.iter().cloned().map(SecretSource::File);
        Keys {
            private: self.private.options(),
            passphrases: or_variable(files.chain(texts(&self.passphrase)), PASSPHRASE),
        }
    }
}

impl ExpectArgs {
    /// As the library takes them.
    pub fn options(&self) -> Expect {
        Expect {
            id: self.expect_id.clone(),
            max_age: self.max_age,
            trust: self.trust.options(),
        }
    }
}

impl OpenArgs {
    /// As the library takes them, of the backup in `dir`.
    pub(super) fn options(&self, dir: &Location, user: Option<&String>) -> ArchiveOptions {
        opening(dir, &self.key, &self.expect, self.at, user)
    }
}

fn opening(
    dir: &Location,
    key: &KeyArgs,
    expect: &ExpectArgs,
    at: Option<u32>,
    user: Option<&String>,
) -> ArchiveOptions {
    ArchiveOptions {
        dir: dir.clone(),
        keys: key.options(),
        expect: expect.options(),
        at,
        user: user.cloned(),
    }
}

/// A new passphrase: a flag that may be without a value, or a file.
pub(super) fn new_passphrase(flag: Option<&Option<String>>, file: Option<&PathBuf>) -> Option<New> {
    match (flag, file) {
        (Some(None), _) => Some(New::Asked),
        (Some(Some(text)), _) => Some(New::From(SecretSource::Text(Secret::new(text.clone())))),
        (None, file) => file.map(|file| New::From(SecretSource::File(file.clone()))),
    }
}

impl KdfArg {
    /// As the library takes it.
    pub fn option(self) -> Kdf {
        match self {
            KdfArg::Scrypt => Kdf::Scrypt,
            KdfArg::Pbkdf2 => Kdf::Pbkdf2,
        }
    }
}

impl KeygenArgs {
    /// As the library takes them.
    pub fn options(&self) -> keygen::Options {
        let asked = self.passphrase.then_some(&None);
        keygen::Options {
            output: self.output.clone(),
            signing: self.signing,
            bits: self.bits,
            passphrase: new_passphrase(asked, self.passphrase_file.as_ref()),
        }
    }
}

impl DecryptArgs {
    /// As the library takes them.
    pub fn options(&self) -> decrypt::Options {
        decrypt::Options {
            opening: opening(
                &self.dir,
                &self.key,
                &self.expect,
                self.at,
                self.user.as_ref(),
            ),
            out: self.out.clone(),
            create_parents: self.create_parents,
            force: self.force,
            gunzip: self.gunzip,
            strict: self.strict,
            salvage: self.salvage,
            jobs: self.jobs,
        }
    }
}

impl LookArgs {
    /// As the library takes them.
    pub fn options(&self) -> ArchiveOptions {
        self.open.options(&self.dir, self.user.as_ref())
    }
}

impl CatArgs {
    /// As the library takes them.
    pub fn options(&self) -> cat::Options {
        cat::Options {
            opening: self.open.options(&self.dir, None),
            path: self.path.clone(),
            raw: self.raw,
        }
    }
}

impl DiffArgs {
    /// As the library takes them.
    pub fn options(&self) -> diff::Options {
        diff::Options {
            old: self.old.clone(),
            new: self.new.clone(),
            keys: self.key.options(),
            expect: Expect {
                id: self.expect_id.clone(),
                max_age: self.max_age,
                trust: self.trust.options(),
            },
            expect_old_id: self.expect_old_id.clone(),
            user: self.user.clone(),
        }
    }
}

impl SignArgs {
    /// As the library takes them.
    pub fn options(&self) -> signing::Options {
        let file = self
            .sign_key_password_file
            .iter()
            .cloned()
            .map(SecretSource::File);
        signing::Options {
            key: self.sign_key.clone(),
            password: file.chain(variable(PASSWORD)).next(),
            command: self.sign_command.clone().zip(self.sign_command_key.clone()),
        }
    }
}

impl TrustArgs {
    /// As the library takes them.
    pub fn options(&self) -> Trust {
        Trust {
            signers: self.signers.signer.clone(),
            source: self.expect_source.clone(),
            accept_unsigned: self.accept_unsigned,
            allow_plaintext: self.allow_plaintext,
            require_encrypted: self.require_encrypted,
            state_dir: self.state.state_dir.clone(),
        }
    }
}

impl VerifyArgs {
    /// As the library takes them.
    pub fn options(&self) -> verify::Options {
        verify::Options {
            opening: self.open.options(&self.dir, None),
            repair_from: self.repair_from.clone(),
            sample: self
                .sample
                .map(SampleSize::Part)
                .or(self.sample_bytes.map(SampleSize::Bytes)),
            jobs: self.jobs,
        }
    }
}

impl ExtractArgs {
    /// As the library takes them.
    pub fn options(&self) -> extract::Options {
        extract::Options {
            opening: self.open.options(&self.dir, self.user.as_ref()),
            collection: self.collection.clone(),
            since: self.since,
            until: self.until,
            stream: self.stream.clone(),
            kind: self.r#type.clone(),
            format: match self.format {
                FormatArg::Jsonl => extract::Format::Jsonl,
                FormatArg::Csv => extract::Format::Csv,
                FormatArg::Parquet => extract::Format::Parquet,
            },
            out: self.out.clone(),
        }
    }
}

impl RekeyArgs {
    /// As the library takes them.
    pub fn options(&self) -> rekey::Options {
        rekey::Options {
            dir: self.dir.clone(),
            keys: self.key.options(),
            expect: self.expect.options(),
            add: self.add_recipient.clone(),
            remove: self.remove_recipient.clone(),
        }
    }
}

impl ConsolidateArgs {
    /// As the library takes them.
    pub fn options(&self) -> consolidate::Options {
        let file = self.encrypt_passphrase_file.as_ref();
        consolidate::Options {
            opening: self.open.options(&self.dir, None),
            into: self.into.clone(),
            create_parents: self.create_parents,
            layout: self.layout.layout(),
            sealing: sealing::Options {
                recipients: self.recipient_pubkey.clone(),
                passphrase: new_passphrase(self.encrypt_passphrase.as_ref(), file),
                kdf: self.kdf.option(),
            },
            signing: self.sign.options(),
            jobs: self.jobs,
        }
    }
}

impl PruneArgs {
    /// As the library takes them.
    pub fn options(&self) -> prune::Options {
        prune::Options {
            dir: self.dir.clone(),
            keep: prune::Keep {
                last: self.keep.keep_last,
                within: self.keep.keep_within,
                daily: self.keep.keep_daily,
                weekly: self.keep.keep_weekly,
                monthly: self.keep.keep_monthly,
            },
            keys: self.key.options(),
            trust: self.trust.options(),
            dry_run: self.dry_run,
            jobs: self.jobs,
        }
    }
}
