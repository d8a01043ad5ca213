//! Checks of an encrypted connection, by `sslmode` and `sslrootcert`: as libpq does, so that who connects with `psql` connects here.

mod certificate;
mod identity;
mod trust;

use crate::config::{Postgres, TlsMode};
use certificate::{Certificate, other};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;
use trust::TrustedRoots;

/// Makes connections encrypted.
///
/// # Errors
/// A sentence, when certificates or the key cannot be read.
pub fn connector(config: &Postgres) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        trust: TrustedRoots::find(config)?,
        host: (config.tls == TlsMode::VerifyFull).then(|| config.host.clone()),
        provider: provider.clone(),
    };
    let identity = identity::find(config, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(MakeRustlsConnect::new(match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    }))
}

/// Checks as much as the mode asks for. The library's own verifier knows neither certificates of the first version of X.509 nor ones
/// that are trusted themselves nor the common name, which are what PostgreSQL's manual has people make.
#[derive(Debug)]
struct Verifier {
    /// Whom the certificate must come from.
    trust: Option<TrustedRoots>,
    /// Whom it must name.
    host: Option<String>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            let algorithms = self.provider.signature_verification_algorithms.all;
            trust.check(certificate, others, now, algorithms)?;
        }
        if let Some(host) = &self.host
            && !Certificate::parse(certificate)?.names(host)?
        {
            return Err(other(format!("it does not name {host}")).into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = self.provider.signature_verification_algorithms.mapping;
        let of_scheme = known.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let algorithms = of_scheme.map_or(&[][..], |(_, algorithms)| *algorithms);
        match Certificate::parse(certificate)?.verifies(algorithms, message, signature.signature())
        {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        let key = SubjectPublicKeyInfoDer::from(Certificate::parse(certificate)?.key_der()?);
        verify_tls13_signature_with_raw_key(message, &key, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}
