//! Whether a server's certificate comes from whom we trust, as OpenSSL, and so libpq, sees it.

use super::certificate::{Certificate, other};
use crate::config::{Postgres, Roots, TlsMode};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use std::path::Path;

/// Authorities above a certificate, at most: nobody has longer chains.
const LONGEST: usize = 10;

type Algorithms = [&'static dyn rustls::pki_types::SignatureVerificationAlgorithm];

/// The certificates that are trusted.
#[derive(Debug)]
pub struct TrustedRoots {
    /// Their origin, for messages.
    origin: String,
    certificates: Vec<Certificate>,
}

impl TrustedRoots {
    /// Reads what the configuration trusts; `None` when nothing is to be checked.
    ///
    /// # Errors
    /// A sentence, when the certificates cannot be read, or are needed and not there.
    pub fn find(config: &Postgres) -> Result<Option<Self>, String> {
        let needed = match config.tls {
            TlsMode::Disable => return Ok(None),
            TlsMode::Prefer | TlsMode::Require => false,
            TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        };
        match &config.roots {
            Some(Roots::System) => Self::system().map(Some),
            Some(Roots::File(path)) if path.exists() => Self::read(path).map(Some),
            _ if !needed => Ok(None),
            Some(Roots::File(path)) => Err(format!(
                "sslmode wants the server's certificate checked, and there is no {}: name the certificates to trust in sslrootcert, \
                 or give sslrootcert=system with sslmode=verify-full for those that this system trusts",
                path.display()
            )),
            None => Err("sslmode wants the server's certificate checked: name the certificates to trust in sslrootcert".to_owned()),
        }
    }

    fn read(path: &Path) -> Result<Self, String> {
        let origin = format!("sslrootcert {}", path.display());
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| format!("{origin}: {e}"))?;
        Self::of(origin, &certificates)
    }

    fn system() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        Self::of("sslrootcert system".to_owned(), &found.certs)
    }

    /// Certificates that cannot be understood are left out, as long as some are left.
    fn of(origin: String, certificates: &[CertificateDer<'_>]) -> Result<Self, String> {
        let parsed = certificates
            .iter()
            .filter_map(|der| Certificate::parse(der).ok());
        let certificates: Vec<_> = parsed.collect();
        if certificates.is_empty() {
            return Err(format!(
                "{origin}: it holds no certificate that can be read"
            ));
        }
        Ok(Self {
            origin,
            certificates,
        })
    }

    /// Checks a server's certificate, which came with others.
    pub fn check(
        &self,
        der: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &Algorithms,
    ) -> Result<(), Error> {
        let server = Certificate::parse(der)?;
        server.check_time(now)?;
        server.check_purpose()?;
        let roots: Vec<_> = self
            .certificates
            .iter()
            .filter(|one| one.is_root())
            .collect();
        if roots.iter().any(|root| root.der == server.der) {
            // It is trusted itself; nobody vouches for it, and nobody has to.
            return Ok(server.check_extensions()?);
        }
        let roots: Vec<_> = roots.into_iter().filter(|root| root.may_issue(0)).collect();
        let valid: Vec<_> = roots
            .iter()
            .copied()
            .filter(|root| root.check_time(now).is_ok())
            .collect();
        if valid.is_empty() && !roots.is_empty() {
            let what = format!(
                "{}: no certificate in it is valid at this time",
                self.origin
            );
            return Err(other(what).into());
        }
        // A trusted certificate that is no root may still be a link of the chain.
        let links = self.certificates.iter().filter(|one| !one.is_root());
        if !server.is_usual() {
            let sent = others.iter().filter_map(|der| Certificate::parse(der).ok());
            let links: Vec<_> = links.cloned().chain(sent).collect();
            return Ok(unusual(server, &valid, &links, now, algorithms)?);
        }
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(
            valid
                .iter()
                .map(|root| CertificateDer::from(root.der.as_slice())),
        );
        let links: Vec<CertificateDer<'_>> = links
            .map(|link| CertificateDer::from(link.der.as_slice()))
            .chain(others.iter().cloned())
            .collect();
        let server = ParsedCertificate::try_from(der)?;
        verify_server_cert_signed_by_trust_anchor(&server, &anchors, &links, now, algorithms)
    }
}

/// The chain of a certificate that PostgreSQL's manual has people make, and the library does not know: of the first version of
/// X.509, or one that is an authority too.
fn unusual(
    server: Certificate,
    roots: &[&Certificate],
    links: &[Certificate],
    now: UnixTime,
    algorithms: &Algorithms,
) -> Result<(), CertificateError> {
    let mut below = server;
    for length in 0..LONGEST {
        below.check_time(now)?;
        below.check_extensions()?;
        let issues = |issuer: &Certificate| {
            issuer.may_issue(length) && below.is_issued_by(issuer, algorithms)
        };
        if let Some(root) = roots.iter().find(|root| issues(root)) {
            return root.check_extensions();
        }
        below = match links.iter().find(|link| issues(link)) {
            Some(link) => link.clone(),
            None => break,
        };
    }
    Err(CertificateError::UnknownIssuer)
}
