//! Secrets of the configuration that open what is in the databases. A restored platform needs them, and no records hold them.

use std::path::Path;

use super::{
    ConfigError,
    layers::{Layers, Setting},
};
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

/// Something that a restored platform needs as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptApart {
    /// The name of the setting, or the folder.
    pub name: String,
    /// The file that sets it, or the folder; of what the environment sets, that.
    pub place: String,
}

/// What is set of all that a restored platform needs as it is: settings, and the folder of the certificate authority.
pub(super) fn kept_apart(layers: &Layers, root: &Path) -> Result<Vec<KeptApart>, ConfigError> {
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
        if let Some(found) = setting(layers, key)? {
            apart.push(KeptApart {
                name: key.to_owned(),
                place: found.origin,
            });
        }
    }
    if let Some(folder) = value(layers, "cluster.ca.path")? {
        apart.push(KeptApart {
            place: root.join(&folder).display().to_string(),
            name: format!("the folder {folder} (cluster.ca.path)"),
        });
    }
    Ok(apart)
}

fn value(layers: &Layers, key: &str) -> Result<Option<String>, ConfigError> {
    Ok(setting(layers, key)?.map(|found| found.value))
}

fn setting(layers: &Layers, key: &str) -> Result<Option<Setting>, ConfigError> {
    Ok(layers.find(key)?.filter(|found| !found.value.is_empty()))
}
