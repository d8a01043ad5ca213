//! Secrets of the configuration that open what is in the databases. A restored platform needs them, and no backup of records holds them.

use super::{ConfigError, layers::Layers};
use crate::second_factor::SecondFactorKey;

const SECOND_FACTORS: &str = "services.mfa.methods.totp.secretsKey";
const ADMIN: &str = "auth.adminAccessKey";

/// The key of second factors; none where no setting says it, or what is set is no key: no backup fails for that.
pub(super) fn second_factors(layers: &Layers) -> Result<Option<SecondFactorKey>, ConfigError> {
    if let Some(set) = value(layers, SECOND_FACTORS)? {
        return Ok(SecondFactorKey::parse(&set));
    }
    Ok(value(layers, ADMIN)?.map(|set| SecondFactorKey::of_admin_key(&set)))
}

/// What is set of all that a restored platform needs as it is: names of settings, and the folder of the certificate authority.
pub(super) fn kept_apart(layers: &Layers) -> Result<Vec<String>, ConfigError> {
    let mut apart = Vec::new();
    let second_factors = match value(layers, SECOND_FACTORS)? {
        Some(_) => SECOND_FACTORS,
        None => ADMIN,
    };
    for key in [
        "platform.piiHmacKey",
        second_factors,
        "letsEncrypt.atRestKey",
    ] {
        if value(layers, key)?.is_some() {
            apart.push(key.to_owned());
        }
    }
    if let Some(folder) = value(layers, "cluster.ca.path")? {
        apart.push(format!("the folder {folder} (cluster.ca.path)"));
    }
    Ok(apart)
}

fn value(layers: &Layers, key: &str) -> Result<Option<String>, ConfigError> {
    let found = layers.find(key)?.map(|found| found.value);
    Ok(found.filter(|value| !value.is_empty()))
}
