//! Private keys that old versions of openssl encrypted (`Proc-Type: 4,ENCRYPTED` and `DEK-Info`, RFC 1421; key derivation of
//! `EVP_BytesToKey`). Only read, never written.

use aes::{Aes128, Aes192, Aes256};
use base64ct::{Base64, Encoding};
use cbc::{
    Decryptor,
    cipher::{
        Block, BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7,
    },
};
use des::TdesEde3;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Whether a PEM text is such a key.
pub fn is_legacy(pem: &str) -> bool {
    pem.contains("DEK-Info:")
}

/// The key's DER (PKCS#1).
pub fn decrypt(pem: &str, passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
    let (cipher, iv, body) = parse(pem).ok_or_else(|| {
        Error::key("the private key file is not readable PEM; it is cut or was changed")
    })?;
    let passphrase = passphrase.as_bytes();
    let plain = match cipher {
        "AES-128-CBC" => open::<Aes128>(passphrase, &iv, body),
        "AES-192-CBC" => open::<Aes192>(passphrase, &iv, body),
        "AES-256-CBC" => open::<Aes256>(passphrase, &iv, body),
        "DES-EDE3-CBC" => open::<TdesEde3>(passphrase, &iv, body),
        _ => return Err(super::private::unsupported_encryption()),
    };
    plain.ok_or_else(super::private::wrong_passphrase)
}

/// Cipher name, initialisation vector and encrypted body.
fn parse(pem: &str) -> Option<(&str, Vec<u8>, Vec<u8>)> {
    let text = pem.split_once("-----BEGIN RSA PRIVATE KEY-----")?.1;
    let text = text.split_once("-----END RSA PRIVATE KEY-----")?.0;
    let mut lines = text.lines().map(str::trim).skip_while(|l| l.is_empty());
    let mut info = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some(value) = line.strip_prefix("DEK-Info:") {
            info = value.trim().split_once(',');
        }
    }
    let (cipher, iv) = info?;
    let body: String = lines.collect();
    Some((cipher, hex(iv)?, Base64::decode_vec(&body).ok()?))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<Vec<u8>>>()?;
    let pairs = digits.chunks(2);
    pairs.map(|p| Some(p.first()? << 4 | p.get(1)?)).collect()
}

fn open<C>(passphrase: &[u8], iv: &[u8], mut body: Vec<u8>) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt + KeyInit,
{
    let key = bytes_to_key(passphrase, iv.get(..8)?, C::key_size());
    // A wrong length of the initialisation vector is refused here.
    let iv = Block::<C>::try_from(iv).ok()?;
    let key = cbc::cipher::Key::<C>::try_from(key.as_slice()).ok()?;
    let length = Decryptor::<C>::new(&key, &iv)
        .decrypt_padded::<Pkcs7>(&mut body)
        .ok()?
        .len();
    let mut plain = Zeroizing::new(body);
    plain.truncate(length);
    Some(plain)
}

/// `EVP_BytesToKey` with MD5 and one round: D1 = MD5(passphrase, salt), Dn = MD5(Dn-1, passphrase, salt), one after another.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    while key.len() < length {
        let last = key.len().saturating_sub(16);
        let block = Md5::new()
            .chain_update(&key[last..])
            .chain_update(passphrase)
            .chain_update(salt)
            .finalize();
        key.extend_from_slice(&block);
    }
    key.truncate(length);
    key
}
