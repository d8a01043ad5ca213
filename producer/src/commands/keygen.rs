//! `keygen`: a key pair; the private half for the key holder, the public half for the machine that makes backups.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use decryptor_wasm::PrivateKey;

use super::passphrases::{New, Secret};
use crate::answer;
use crate::{archive::SystemRandom, cli::KeygenArgs, failure::Failure};

/// Makes the pair and prints the fingerprint.
pub fn run(args: &KeygenArgs) -> Result<(), Failure> {
    let public_path = public_path(&args.output);
    if let Some(existing) = [&args.output, &public_path]
        .into_iter()
        .find(|p| p.exists())
    {
        return Err(Failure::usage(format!(
            "{} exists; a key is never overwritten: give another --output",
            existing.display()
        )));
    }
    let passphrase = passphrase(args)?;
    let key = PrivateKey::generate(args.bits, &mut SystemRandom)
        .map_err(|e| Failure::usage(e.to_string()))?;
    let pem = key.to_pkcs8_pem(passphrase.as_ref().map(|p| p.as_str()), &mut SystemRandom)?;
    write_new(&args.output, pem.as_bytes(), 0o600)?;
    write_new(&public_path, key.public_key().to_pem()?.as_bytes(), 0o644)?;
    answer!(
        "private key: {} (keep it away from the platform, and keep a copy: without it no backup opens)",
        args.output.display()
    );
    answer!(
        "public key:  {} (for --recipient-pubkey)",
        public_path.display()
    );
    answer!("fingerprint: {}", key.public_key().fingerprint()?);
    Ok(())
}

fn passphrase(args: &KeygenArgs) -> Result<Option<Secret>, Failure> {
    let new = New {
        flag: args.passphrase.then_some(None),
        file: args.passphrase_file.as_deref(),
        variable: None,
        question: "Passphrase for the private key: ",
        quiet: false,
    };
    Ok(new.take()?)
}

fn public_path(private: &Path) -> PathBuf {
    let stem = private.file_stem().unwrap_or_default().to_string_lossy();
    private.with_file_name(format!("{stem}.pub.pem"))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options
        .open(path)
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
}
