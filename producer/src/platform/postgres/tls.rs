//! What an encrypted connection checks, by `sslmode` and `sslrootcert`.

use crate::config::{Postgres, TlsMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes connections encrypted.
///
/// # Errors
/// A sentence, when the certificates to trust cannot be read.
pub fn connector(config: &Postgres) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let checked = match config.tls {
        TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        TlsMode::Require => config.root_certificates.is_some(),
        TlsMode::Disable | TlsMode::Prefer => false,
    };
    let chain = if checked {
        let roots = Arc::new(roots(config.root_certificates.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        Some(verifier.build().map_err(|e| e.to_string())?)
    } else {
        None
    };
    let verifier = Verifier {
        chain,
        name: config.tls == TlsMode::VerifyFull,
        provider: provider.clone(),
    };
    let identity = identity(config)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|e| format!("sslcert and sslkey: {e}"))?,
        None => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate that says who we are, and its key.
fn identity(config: &Postgres) -> Result<Option<Identity>, String> {
    let (Some(chain), Some(key)) = (&config.certificate, &config.certificate_key) else {
        return Ok(None);
    };
    let failed = |name: &str, path: &Path, e: &dyn std::fmt::Display| {
        format!("{name} {}: {e}", path.display())
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|e| failed("sslcert", chain, &e))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| failed("sslkey", key, &e))?;
    Ok(Some((certificates, key)))
}

/// The certificates in a file, else those of the public authorities.
fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let failed = |e: &dyn std::fmt::Display| format!("sslrootcert {}: {e}", path.display());
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))? {
        let certificate = certificate.map_err(|e| failed(&e))?;
        roots.add(certificate).map_err(|e| failed(&e))?;
    }
    if roots.is_empty() {
        return Err(failed(&"it holds no certificate"));
    }
    Ok(roots)
}

/// Checks as much as the mode asks for.
#[derive(Debug)]
struct Verifier {
    /// The check of where the certificate comes from.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// Whether it must name the host.
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let checked = chain.verify_server_cert(certificate, intermediates, server, ocsp, now);
        match checked {
            // The name is checked last: all else was in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}
