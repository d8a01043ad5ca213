//! `keygen`: a key pair; the private half for the key holder, the public half for the machine that makes backups.

use std::{fs::OpenOptions, io::Write, path::Path};

use decryptor_wasm::PrivateKey;
use minisign::KeyPair;
use zeroize::Zeroizing;

use super::passphrases::{New, Secret};
use crate::answer;
use crate::{archive::SystemRandom, cli::KeygenArgs, failure::Failure, files};

/// Makes the pair and prints what tells it from others.
pub fn run(args: &KeygenArgs) -> Result<(), Failure> {
    let (usual, public) = match args.signing {
        true => ("pryv-backup-sign.key", "pub"),
        false => ("pryv-backup-key.pem", "pub.pem"),
    };
    let private = args.output.clone().unwrap_or_else(|| usual.into());
    let stem = private.file_stem().unwrap_or_default().to_string_lossy();
    let public = private.with_file_name(format!("{stem}.{public}"));
    if let Some(existing) = [&private, &public].into_iter().find(|p| p.exists()) {
        return Err(Failure::usage(format!(
            "{} exists; a key is never overwritten: give another --output",
            existing.display()
        )));
    }
    let passphrase = passphrase(args)?;
    if args.signing {
        return sign(&private, &public, passphrase.as_ref());
    }
    let key = PrivateKey::generate(args.bits, &mut SystemRandom)
        .map_err(|e| Failure::usage(e.to_string()))?;
    let pem = key.to_pkcs8_pem(passphrase.as_ref().map(|p| p.as_str()), &mut SystemRandom)?;
    write_new(&private, pem.as_bytes(), 0o600)?;
    write_new(&public, key.public_key().to_pem()?.as_bytes(), 0o644)?;
    answer!(
        "private key: {} (keep it away from the platform, and keep a copy: without it no backup opens)",
        private.display()
    );
    answer!("public key:  {} (for --recipient-pubkey)", public.display());
    answer!("fingerprint: {}", key.public_key().fingerprint()?);
    Ok(())
}

/// The same of a pair to sign with.
fn sign(private: &Path, public: &Path, passphrase: Option<&Secret>) -> Result<(), Failure> {
    let pair = match passphrase {
        Some(passphrase) => KeyPair::generate_encrypted_keypair(Some(passphrase.to_string())),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let made = pair.and_then(|pair| {
        let secret = pair.sk.to_box(Some("secret key that signs backups"))?;
        Ok((secret, pair.pk.to_box()?, pair.pk.to_base64()))
    });
    let (secret, key, signer) =
        made.map_err(|e| Failure::failed(format!("no key could be made: {e}")))?;
    let secret = Zeroizing::new(secret.into_string());
    write_new(private, secret.as_bytes(), 0o600)?;
    write_new(public, key.into_string().as_bytes(), 0o644)?;
    answer!("secret key: {} (for --sign-key)", private.display());
    answer!("public key: {} (for --signer)", public.display());
    answer!("signer:     {signer}");
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

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options
        .open(path)
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    file.write_all(bytes)
        .and_then(|()| files::store(file))
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
}
