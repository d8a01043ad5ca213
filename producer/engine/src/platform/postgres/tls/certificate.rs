//! A certificate: whose it is, and whom it may vouch for (RFC 5280; where OpenSSL, and so libpq, asks for less, as OpenSSL does).

use rustls::pki_types::{SignatureVerificationAlgorithm, UnixTime};
use rustls::{CertificateError, OtherError};
use std::net::IpAddr;
use std::sync::Arc;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::{rfc4519::CN, rfc5280::ID_KP_SERVER_AUTH};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::{TbsCertificate, Version};

/// The extensions that are understood here; any other that is critical makes a certificate one that cannot be checked.
const KNOWN: [ObjectIdentifier; 4] = [
    BasicConstraints::OID,
    KeyUsage::OID,
    ExtendedKeyUsage::OID,
    SubjectAltName::OID,
];

/// A certificate, taken apart.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// As it came.
    pub der: Vec<u8>,
    /// The part of it that is signed, as it came.
    signed: Vec<u8>,
    content: x509_cert::Certificate,
}

type Algorithms<'a> = &'a [&'a dyn SignatureVerificationAlgorithm];

impl Certificate {
    /// Takes a certificate apart.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let signed = SliceReader::new(der).and_then(|mut reader| {
            reader.sequence(|inner| {
                let signed = inner.tlv_bytes()?.to_vec();
                // The signature, which is looked at below.
                inner.tlv_bytes()?;
                inner.tlv_bytes()?;
                Ok(signed)
            })
        });
        let content = x509_cert::Certificate::from_der(der);
        match (signed, content) {
            (Ok(signed), Ok(content)) => Ok(Self {
                der: der.to_vec(),
                signed,
                content,
            }),
            _ => Err(CertificateError::BadEncoding),
        }
    }

    fn body(&self) -> &TbsCertificate {
        &self.content.tbs_certificate
    }

    /// An extension and what it says. One that cannot be understood is an error.
    fn extension<'a, T: Decode<'a> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, CertificateError> {
        let found = self
            .body()
            .get::<T>()
            .map_err(|_| CertificateError::BadEncoding)?;
        Ok(found.map(|(_, value)| value))
    }

    /// Whether its subject issued it: the end of a chain.
    pub fn is_root(&self) -> bool {
        self.body().subject == self.body().issuer
    }

    /// Whether the library that checks chains takes it for a server's: it knows version 3 only, and there no authority.
    pub fn is_usual(&self) -> bool {
        self.body().version == Version::V3
            && matches!(
                self.extension::<BasicConstraints>(),
                Ok(None | Some(BasicConstraints { ca: false, .. }))
            )
    }

    /// The public key: the kind of key, and its bits.
    fn key(&self) -> Option<(Vec<u8>, &[u8])> {
        let key = &self.body().subject_public_key_info;
        Some((content(&key.algorithm)?, key.subject_public_key.raw_bytes()))
    }

    /// The public key as DER.
    pub fn key_der(&self) -> Result<Vec<u8>, CertificateError> {
        let der = self.body().subject_public_key_info.to_der();
        der.map_err(|_| CertificateError::BadEncoding)
    }

    /// Whether one of `algorithms` finds that the holder of its key signed `message`.
    pub fn verifies(&self, algorithms: Algorithms<'_>, message: &[u8], signature: &[u8]) -> bool {
        self.key().is_some_and(|(kind, bits)| {
            let mut fitting = algorithms
                .iter()
                .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == kind.as_slice());
            fitting.any(|algorithm| algorithm.verify_signature(bits, message, signature).is_ok())
        })
    }

    /// Whether `issuer` issued it.
    pub fn is_issued_by(&self, issuer: &Self, algorithms: Algorithms<'_>) -> bool {
        let Some(kind) = content(&self.content.signature_algorithm) else {
            return false;
        };
        let fitting: Vec<_> = algorithms
            .iter()
            .copied()
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == kind.as_slice())
            .collect();
        self.body().issuer == issuer.body().subject
            && self.body().signature == self.content.signature_algorithm
            && issuer.verifies(&fitting, &self.signed, self.content.signature.raw_bytes())
    }

    /// Checks that the certificate is valid at this time.
    pub fn check_time(&self, now: UnixTime) -> Result<(), CertificateError> {
        let validity = &self.body().validity;
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet);
        }
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }

    /// Whether nothing in it forbids to take it for a server's.
    pub fn check_purpose(&self) -> Result<(), CertificateError> {
        let signs = |usage: &KeyUsage| {
            usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
        };
        if self
            .extension::<KeyUsage>()?
            .is_some_and(|usage| !signs(&usage))
            || !self.is_for_servers()?
        {
            return Err(CertificateError::InvalidPurpose);
        }
        Ok(())
    }

    fn is_for_servers(&self) -> Result<bool, CertificateError> {
        let purposes = self.extension::<ExtendedKeyUsage>()?;
        Ok(purposes.is_none_or(|purposes| purposes.0.contains(&ID_KP_SERVER_AUTH)))
    }

    /// Whether all that it demands of its reader is understood here.
    pub fn check_extensions(&self) -> Result<(), CertificateError> {
        let mut all = self.body().extensions.iter().flatten();
        match all.find(|found| found.critical && !KNOWN.contains(&found.extn_id)) {
            Some(unknown) => Err(other(format!(
                "it has a critical extension that is not known here ({})",
                unknown.extn_id
            ))),
            None => Ok(()),
        }
    }

    /// Whether it may issue a certificate below which there are `below` others of authorities.
    pub fn may_issue(&self, below: usize) -> bool {
        // Roots of the first version say nothing about themselves.
        let allowed = match self.extension::<BasicConstraints>() {
            Ok(Some(limits)) => {
                limits.ca
                    && limits
                        .path_len_constraint
                        .is_none_or(|most| below <= usize::from(most))
            }
            Ok(None) => self.body().version == Version::V1 && self.is_root(),
            Err(_) => false,
        };
        let signs = self.extension::<KeyUsage>();
        allowed
            && matches!(signs, Ok(usage) if usage.is_none_or(|usage| usage.key_cert_sign()))
            && matches!(self.is_for_servers(), Ok(true))
    }

    /// Whether it names this host, by libpq's rules: the subject's common name counts where there is no other name of the kind.
    pub fn names(&self, host: &str) -> Result<bool, CertificateError> {
        let address = host.parse::<IpAddr>().ok();
        let bytes = match address {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
            None => Vec::new(),
        };
        let (mut found, mut of_the_kind) = (false, false);
        for name in self
            .extension::<SubjectAltName>()?
            .into_iter()
            .flat_map(|names| names.0)
        {
            match name {
                GeneralName::DnsName(name) => {
                    of_the_kind |= address.is_none();
                    found |= fits(name.as_str(), host);
                }
                GeneralName::IpAddress(name) => {
                    of_the_kind |= address.is_some();
                    found |= address.is_some() && name.as_bytes() == bytes;
                }
                _ => {}
            }
        }
        Ok(found || !of_the_kind && self.common_name().is_some_and(|name| fits(&name, host)))
    }

    fn common_name(&self) -> Option<String> {
        let mut parts = self.body().subject.0.iter().flat_map(|part| part.0.iter());
        let value = &parts.find(|part| part.oid == CN)?.value;
        let texts = [
            Tag::Utf8String,
            Tag::PrintableString,
            Tag::TeletexString,
            Tag::Ia5String,
        ];
        let is_text = texts.contains(&value.tag());
        is_text.then(|| String::from_utf8(value.value().to_vec()).ok())?
    }
}

/// An identifier of an algorithm, without the sequence that it is wrapped in.
fn content(algorithm: &x509_cert::spki::AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    let value = x509_cert::der::asn1::AnyRef::from_der(&der).ok()?;
    Some(value.value().to_vec())
}

/// Whether a name in a certificate is that of the host; `*.` stands for one part.
fn fits(name: &str, host: &str) -> bool {
    let part = || {
        let rest = name.strip_prefix("*.").filter(|rest| !rest.is_empty())?;
        let (first, others) = host.split_once('.')?;
        Some(!first.is_empty() && rest.eq_ignore_ascii_case(others))
    };
    name.eq_ignore_ascii_case(host) || part().unwrap_or(false)
}

/// A sentence about a certificate.
pub fn other(what: String) -> CertificateError {
    CertificateError::Other(OtherError(Arc::from(
        Box::from(what) as Box<dyn std::error::Error + Send + Sync>
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_libpq_has_it() {
        for (name, host, fit) in [
            ("db.example", "DB.example", true),
            ("*.example", "db.example", true),
            ("*.example", "a.db.example", false),
            ("*.example", ".example", false),
            ("*.", "db.", false),
            ("d*.example", "db.example", false),
            ("db.example", "db.example.org", false),
        ] {
            assert_eq!(fits(name, host), fit, "{name} {host}");
        }
    }
}
