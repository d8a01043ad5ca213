//! Whether the platform has the secrets of the one that was backed up: said before anything is written, and in the report.

use super::shared::hashed;
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce},
};
use base64ct::{Base64, Encoding};
use pryv_backup_tests::{
    command::{report, text},
    stage::{Platform, Stage},
};

const ONE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
const SECRETS_KEY: &str = "services__mfa__methods__totp__secretsKey";
const ALICE: &str = "alice";

/// A second factor as Pryv.io stores it.
fn sealed(key: &str) -> String {
    let key: [u8; 32] = Base64::decode_vec(key).unwrap().try_into().unwrap();
    let mut secret = b"JBSWY3DPEHPK3PXP".to_vec();
    let nonce = Nonce::<Aes256Gcm>::from([5; 12]);
    let tag = Aes256Gcm::new(&key.into())
        .encrypt_inout_detached(&nonce, &[], secret.as_mut_slice().into())
        .unwrap();
    Base64::encode_string(&[&[1], nonce.as_slice(), tag.as_slice(), &secret].concat())
}

/// The members of the report, and whether a warning came before it.
fn said(target: &Platform<'_>, archive: &std::path::Path, flags: &[&str]) -> ([String; 2], bool) {
    let done = target.restore(archive, flags);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let secrets = &report(&done)["secrets"];
    let of = |name: &str| secrets[name].as_str().unwrap().to_owned();
    let warned = text(&done).contains("set the key of the platform that was backed up first");
    ([of("secondFactors"), of("hashedNames")], warned)
}

#[test]
fn second_factors_are_tried() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let target = || stage.postgres().unwrap();
    let none = source.backup("none");
    let (secrets, warned) = said(&target().with(SECRETS_KEY, OTHER), &none, &["--dry-run"]);
    assert_eq!((secrets[0].as_str(), warned), ("notNeeded", false));
    source.sql(&format!(
        "DELETE FROM profile WHERE id = 'private';
         INSERT INTO profile (user_id, id, data)
         SELECT user_id, 'private', '{{\"mfa\":{{\"method\":\"totp\",\"totp\":{{\"secret\":\"{}\"}}}}}}'::jsonb
         FROM users_index WHERE username = '{ALICE}'",
        sealed(ONE)
    ));
    let archive = source.backup("archive");
    for (setting, value, same) in [
        (SECRETS_KEY, ONE, true),
        (SECRETS_KEY, OTHER, false),
        ("auth__adminAccessKey", "another platform's key", false),
        ("auth__adminAccessKey", "", false),
    ] {
        let target = target().with(setting, value);
        for flags in [&["--dry-run"][..], &[]] {
            let (secrets, warned) = said(&target, &archive, flags);
            let due = if same { "same" } else { "other" };
            assert_eq!((secrets[0].as_str(), warned), (due, !same), "{value}");
        }
    }
}

#[test]
fn hashed_names_are_tried() {
    let Some(stage) = Stage::new() else { return };
    let clear = stage.sqlite_fixture().backup("clear");
    let source = hashed(stage.sqlite(), ONE);
    let (secrets, _) = said(&source, &clear, &[]);
    assert_eq!(secrets[1], "notNeeded");
    let archive = source.backup("hashed");
    for (target, due) in [
        (hashed(stage.sqlite(), ONE), "same"),
        (hashed(stage.sqlite(), OTHER), "other"),
        (stage.sqlite(), "notNeeded"),
    ] {
        let (secrets, warned) = said(&target, &archive, &[]);
        assert_eq!((secrets[1].as_str(), warned), (due, due == "other"));
    }
}
