//! The certificate that says who we are, and its key.

use super::certificate::Certificate;
use crate::config::Postgres;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Reads the certificate that the configuration names, if there is one. As libpq does: without a certificate the server decides.
///
/// # Errors
/// A sentence, when certificate or key cannot be used.
pub fn find(
    config: &Postgres,
    provider: &CryptoProvider,
) -> Result<Option<Arc<SingleCertAndKey>>, String> {
    let Some(path) = config.certificate.as_deref().filter(|path| path.exists()) else {
        return Ok(None);
    };
    let failed = |what: &dyn std::fmt::Display| format!("sslcert {}: {what}", path.display());
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| failed(&e))?;
    let first = chain
        .first()
        .ok_or_else(|| failed(&"it holds no certificate"))?;
    let first = Certificate::parse(first).map_err(|e| failed(&e))?;
    let Some(key_path) = &config.certificate_key else {
        return Err(failed(&"its private key is not named: give sslkey"));
    };
    let failed = |what: &dyn std::fmt::Display| format!("sslkey {}: {what}", key_path.display());
    let key = provider
        .key_provider
        .load_private_key(read_key(key_path)?)
        .map_err(|e| failed(&e))?;
    let of_the_key = key.public_key().map(|of_the_key| of_the_key.to_vec());
    if of_the_key.is_some() && of_the_key != first.key_der().ok() {
        return Err(failed(&format!("it is not the key of {}", path.display())));
    }
    Ok(Some(Arc::new(SingleCertAndKey::from(CertifiedKey::new(
        chain, key,
    )))))
}

/// A private key as PEM or DER, in a file that is for its owner alone.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let failed = |what: &dyn std::fmt::Display| format!("sslkey {}: {what}", path.display());
    let file = std::fs::metadata(path).map_err(|e| failed(&e))?;
    if !file.is_file() {
        return Err(failed(&"it is no ordinary file"));
    }
    if open_to_others(&file) {
        return Err(failed(&"others may read it: chmod 600"));
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(|e| failed(&e))?);
    PrivateKeyDer::from_pem_slice(&bytes)
        .or_else(|_| PrivateKeyDer::try_from(bytes.as_slice()).map(|key| key.clone_key()))
        .map_err(|_| failed(&"it holds no private key, or one that is encrypted (which is not read here: decrypt it with `openssl pkey`)"))
}

/// A key that root keeps may be shared with a group.
#[cfg(unix)]
fn open_to_others(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let others = if file.uid() == 0 { 0o037 } else { 0o077 };
    file.mode() & others != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &Metadata) -> bool {
    false
}
