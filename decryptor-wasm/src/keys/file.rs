//! Reads key files: PEM anywhere in a text, or DER.

use base64ct::{Base64, Encoding};
use rsa::pkcs8::der::{Decode, Reader, SliceReader, Tag, Tagged, asn1::AnyRef};
use zeroize::Zeroizing;

use super::text::text;
use crate::{Code, Result, limits::MAX_KEY_FILE};

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// The arc of PKCS#1 in which the identifiers of RSA keys lie.
const PKCS1_ARC: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01";

/// A key file.
pub(super) enum KeyFile {
    /// The blocks of a text, in their order.
    Pem(Vec<Block>),
    /// Anything else.
    Der(Zeroizing<Vec<u8>>),
}

/// A block of PEM.
pub(super) struct Block {
    /// The kind that its label names.
    pub label: String,
    /// The cipher of old versions of openssl (`DEK-Info`).
    pub dek_info: Option<String>,
    /// Its bytes; none where it is cut or was changed.
    pub content: Option<Zeroizing<Vec<u8>>>,
}

impl KeyFile {
    /// Takes a file apart.
    pub fn read(file: &[u8]) -> Result<Self> {
        if file.len() > MAX_KEY_FILE {
            return Err(Code::PrivateKeyTooLarge.into());
        }
        // A note beside the key may be in any character set.
        let latin = || Zeroizing::new(file.iter().copied().map(char::from).collect());
        let text = text(file).unwrap_or_else(latin);
        Ok(match text.contains(BEGIN) {
            true => KeyFile::Pem(blocks(&text)),
            false => KeyFile::Der(Zeroizing::new(file.to_vec())),
        })
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let Some((label, after)) = begun.split_once(DASHES) else {
            break;
        };
        let end = format!("-----END {label}-----");
        let (body, after) = match after.split_once(&end) {
            Some((body, after)) => (Some(body), after),
            None => (None, after),
        };
        found.push(Block {
            label: label.to_owned(),
            dek_info: body.and_then(dek_info),
            content: body.and_then(content),
        });
        rest = after;
    }
    found
}

fn dek_info(body: &str) -> Option<String> {
    let mut values = lines(body).filter_map(|line| line.trim().strip_prefix("DEK-Info:"));
    values.next().map(|value| value.trim().to_owned())
}

/// However its lines are broken. Lines with a colon are headers.
fn content(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lines = lines(body).filter(|line| !line.contains(':'));
    let mut digits = Zeroizing::new(String::with_capacity(body.len()));
    digits.extend(lines.flat_map(str::chars).filter(|c| !c.is_whitespace()));
    Base64::decode_vec(&digits).ok().map(Zeroizing::new)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n'])
}

/// The kind of a piece of DER, by its outermost elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// PKCS#8: a private key, not encrypted.
    Pkcs8,
    /// PKCS#1: an RSA private key.
    Pkcs1,
    /// PKCS#8: a private key that is encrypted.
    Encrypted,
    /// A SubjectPublicKeyInfo.
    Public,
    /// PKCS#1: an RSA public key.
    PublicPkcs1,
    /// X.509.
    Certificate,
    /// A store of keys and certificates.
    Pkcs12,
    /// None of these.
    Other,
}

impl Shape {
    /// See [`Shape`].
    pub fn of(der: &[u8]) -> Self {
        let elements = sequence(der).unwrap_or_default();
        let tags: Vec<Tag> = elements.iter().map(Tagged::tag).collect();
        match tags.as_slice() {
            [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => Shape::Pkcs8,
            [Tag::Integer, Tag::Sequence, ..] => Shape::Pkcs12,
            [Tag::Integer, Tag::Integer] => Shape::PublicPkcs1,
            [Tag::Integer, Tag::Integer, Tag::Integer, ..] => Shape::Pkcs1,
            [Tag::Sequence, Tag::OctetString] => Shape::Encrypted,
            [Tag::Sequence, Tag::BitString] => Shape::Public,
            [Tag::Sequence, Tag::Sequence, Tag::BitString] if spki(der).is_some() => {
                Shape::Certificate
            }
            _ => Shape::Other,
        }
    }
}

/// The PKCS#1 within a PKCS#8; none where the key is none of RSA.
pub(super) fn pkcs8_content(der: &[u8]) -> Option<&[u8]> {
    match sequence(der)?.as_slice() {
        [_, algorithm, key, ..] if is_rsa(algorithm) => Some(key.value()),
        _ => None,
    }
}

/// The PKCS#1 within a SubjectPublicKeyInfo; none where the key is none of RSA.
pub(super) fn spki_content(der: &[u8]) -> Option<&[u8]> {
    rsa_of(&sequence(der)?)
}

/// The same of a certificate's.
pub(super) fn certificate_content(der: &[u8]) -> Option<&[u8]> {
    rsa_of(&spki(der)?)
}

/// The SubjectPublicKeyInfo in a certificate.
fn spki(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let signed = elements(sequence(der)?.first()?.value())?;
    // The version comes first, unless it is 1; then number, algorithm, issuer, validity, subject.
    let versioned = signed.first()?.tag() != Tag::Integer;
    let info = signed.get(if versioned { 6 } else { 5 })?;
    let parts = elements(info.value())?;
    let tags: Vec<Tag> = parts.iter().map(Tagged::tag).collect();
    (tags == [Tag::Sequence, Tag::BitString]).then_some(parts)
}

fn rsa_of<'a>(info: &[AnyRef<'a>]) -> Option<&'a [u8]> {
    match info {
        // The first byte of a bit string counts the bits that are left over.
        [algorithm, key] if is_rsa(algorithm) => key.value().get(1..),
        _ => None,
    }
}

/// Whether an AlgorithmIdentifier is one of RSA, be it for whatever use.
fn is_rsa(algorithm: &AnyRef<'_>) -> bool {
    elements(algorithm.value())
        .and_then(|parts| parts.first().map(|oid| oid.value().starts_with(PKCS1_ARC)))
        .unwrap_or(false)
}

/// The elements of a SEQUENCE that is the whole of `der`.
fn sequence(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let whole = AnyRef::from_der(der).ok()?;
    (whole.tag() == Tag::Sequence).then(|| elements(whole.value()))?
}

fn elements(contents: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(contents).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(found)
}
