//! Private keys that old versions of openssl encrypted (`Proc-Type: 4,ENCRYPTED` and `DEK-Info`, RFC 1421; key derivation of
//! `EVP_BytesToKey`). Only read, never written.

use aes::{Aes128, Aes192, Aes256};
use cbc::{
    Decryptor,
    cipher::{
        Block, BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7,
    },
};
use des::TdesEde3;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::{Code, Result};

/// The key's DER (PKCS#1): `dek_info` names cipher and initialisation vector, `body` is what was encrypted.
pub fn decrypt(dek_info: &str, body: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
    let parts = dek_info.split_once(',');
    let (cipher, iv) = parts
        .and_then(|(cipher, iv)| Some((cipher, hex(iv)?)))
        .ok_or(Code::PrivateKeyCut)?;
    let (passphrase, body) = (passphrase.as_bytes(), body.to_vec());
    let plain = match cipher {
        "AES-128-CBC" => open::<Aes128>(passphrase, &iv, body),
        "AES-192-CBC" => open::<Aes192>(passphrase, &iv, body),
        "AES-256-CBC" => open::<Aes256>(passphrase, &iv, body),
        "DES-EDE3-CBC" => open::<TdesEde3>(passphrase, &iv, body),
        _ => return Err(Code::PrivateKeyForm.into()),
    };
    plain.ok_or_else(|| Code::PrivateKeyPassphrase.into())
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
