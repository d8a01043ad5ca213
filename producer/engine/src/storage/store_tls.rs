//! Whom an object store has to be, for its connections to be trusted.

use std::{env, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::StoreOptions;

/// The certificates that are trusted.
pub(super) fn tls(options: &StoreOptions) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let bundle = env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    match options.ca.clone().or_else(|| bundle.map(PathBuf::from)) {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(&path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = read.map_err(|e| format!("{}: {e}", path.display()))?;
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(format!(
                    "{}: it holds no certificate that can be read",
                    path.display()
                ));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
