//! The flags of a backup and of a restore, as the library takes them.

use pryv_backup_engine::{
    failure::Failure,
    installation::Installation,
    opening::ArchiveOptions,
    operations::{backup, restore},
    platform::PlatformMode,
    sealing,
    secrets::{Keys, New, Secret, SecretSource},
    storage::Location,
};

use super::options::{PASSPHRASE, new_passphrase, or_variable, private_keys, texts, variable};
use super::{BackupArgs, IntegrityArg, PlatformArg};

impl BackupArgs {
    fn installation(&self) -> Installation {
        Installation {
            root: self.pryv_root.clone(),
            config: self.config.clone(),
        }
    }

    /// Whether the backup takes standard output.
    pub fn streams(&self) -> bool {
        self.output
            .as_ref()
            .is_some_and(|output| output.stream().is_some())
    }

    /// Of a backup, as the library takes them.
    pub fn options(&self) -> Result<backup::Options, Failure> {
        if let Some(what) = self.restoring.misplaced(self.incremental) {
            return Err(Failure::usage(what));
        }
        let output = self.output.clone().ok_or_else(|| {
            Failure::usage("nothing to do: give --output DIR for a backup, or see --help")
        })?;
        Ok(backup::Options {
            installation: self.installation(),
            output,
            create_parents: self.create_parents,
            user: self.user.clone(),
            core: self.core.clone(),
            layout: self.layout.layout(),
            compress: !self.no_compress,
            chunk_bytes: self.max_chunk_size * 1024 * 1024,
            sealing: self.sealing()?,
            signing: self.sign.options(),
            trust: self.restoring.expect.trust.options(),
            platform: match self.platform {
                PlatformArg::None => PlatformMode::None,
                PlatformArg::Pryv => PlatformMode::Pryv,
                PlatformArg::Full => PlatformMode::Full,
            },
            jobs: self.jobs,
            dry_run: self.dry_run,
            name_users: self.verbose,
            accept_loss: self.accept_loss.clone(),
            include_ephemeral: self.include_ephemeral,
            include_config: self.include_config,
            verify: self.verify,
            incremental: self.incremental,
        })
    }

    /// The lock that is asked for, on the command line or in the environment.
    fn sealing(&self) -> Result<sealing::Options, Failure> {
        if self.passphrase_file.len() > 1 {
            return Err(Failure::usage(
                "a backup has one passphrase: give --passphrase-file once",
            ));
        }
        let flag = self.encrypt_passphrase.as_ref();
        let given = new_passphrase(flag, self.passphrase_file.first());
        Ok(sealing::Options {
            recipients: self.recipient_pubkey.clone(),
            passphrase: given.or_else(|| variable(PASSPHRASE).map(New::From)),
            kdf: self.kdf.option(),
        })
    }

    /// Of a restore of the backup in `dir`, as the library takes them.
    pub fn restore_options(&self, dir: &Location) -> Result<restore::Options, Failure> {
        let how = &self.restoring;
        if let Some(what) = how.contradiction() {
            return Err(Failure::usage(what));
        }
        let files = self.passphrase_file.iter().cloned().map(SecretSource::File);
        // As Pryv's tool has it: what encrypts also decrypts.
        let encrypts = self.encrypt_passphrase.iter().flatten();
        let encrypts = encrypts.map(|text| SecretSource::Text(Secret::new(text.clone())));
        let given = files.chain(texts(&how.decrypt_passphrase)).chain(encrypts);
        Ok(restore::Options {
            opening: ArchiveOptions {
                dir: dir.clone(),
                keys: Keys {
                    private: private_keys(&how.private_key, &how.private_key_passphrase),
                    passphrases: or_variable(given, PASSPHRASE),
                },
                expect: how.expect.options(),
                at: how.at,
                user: None,
            },
            installation: self.installation(),
            user: self.user.clone(),
            jobs: self.jobs,
            dry_run: self.dry_run,
            overwrite: how.overwrite,
            skip_conflicts: how.skip_conflicts,
            verify_integrity: how.verify_integrity,
            integrity: match how.integrity {
                IntegrityArg::Normal => restore::Strictness::Normal,
                IntegrityArg::Strict => restore::Strictness::Strict,
            },
            delete_on_success: how.delete_on_success,
            move_on_success: how.move_on_success.clone(),
            verify_only: how.verify_only,
            remap_user: how.remap_user.clone(),
            skip_platform: how.skip_platform,
            force: how.force,
            create_users_dir: how.create_users_dir,
        })
    }
}
