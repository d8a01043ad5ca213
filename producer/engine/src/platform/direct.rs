//! Servers beside the platform that are spoken to over HTTP: directly, as Pryv.io does, since a proxy for the Internet has no business
//! between the two.

use super::PlatformError;
use std::path::Path;
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// How long a server may take to accept a connection.
const CONNECTS: Duration = Duration::from_secs(20);

/// What asks such servers. Their certificates must be signed by one of the `authorities`, a PEM file, else by a public one. With
/// `longest` no question takes longer.
///
/// # Errors
/// When the file of the authorities cannot be read.
pub fn agent(
    authorities: Option<&Path>,
    longest: Option<Duration>,
) -> Result<ureq::Agent, PlatformError> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = authorities {
        tls = tls.root_certs(trusted(path)?);
    }
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECTS))
        .timeout_global(longest)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls.build())
        .build();
    Ok(config.into())
}

/// The certificates of a PEM file.
fn trusted(path: &Path) -> Result<RootCerts, PlatformError> {
    let pem = std::fs::read(path).map_err(|source| PlatformError::Io {
        path: path.to_owned(),
        source,
    })?;
    let found: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(PlatformError::Record {
            path: path.to_owned(),
            what: "holds no certificate in PEM form".to_owned(),
        });
    }
    Ok(RootCerts::new_with_certs(&found))
}
