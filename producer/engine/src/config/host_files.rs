//! What a platform has on its host beside its data, and a new host needs as it is.

use super::layers::Layers;
use std::path::{Path, PathBuf};

/// Folders by their settings, and where Pryv.io looks where nothing is set.
const FOLDERS: [(&str, &str, &str); 2] = [
    ("ca", "cluster.ca.path", "/etc/pryv/ca"),
    ("letsencrypt", "letsEncrypt.tlsDir", "var-pryv/tls"),
];

/// Settings that name a key or certificate.
const CERTIFICATES: [&str; 6] = [
    "http.ssl.keyFile",
    "http.ssl.certFile",
    "http.ssl.caFile",
    "storages.engines.rqlite.tls.keyFile",
    "storages.engines.rqlite.tls.certFile",
    "storages.engines.rqlite.tls.caFile",
];

/// Paths on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFiles {
    /// The files of the configuration, the highest first.
    pub settings: Vec<PathBuf>,
    /// Folders of keys and certificates; not each need be there.
    pub folders: Vec<HostFolder>,
    /// Further keys and certificates.
    pub certificates: Vec<PathBuf>,
}

/// A folder of keys and certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFolder {
    /// What it is: `ca`, `letsencrypt`.
    pub kind: &'static str,
    /// The setting that names it.
    pub setting: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Whether that is set: then it should be there.
    pub is_set: bool,
}

impl HostFiles {
    /// Those of the platform in `root`. A setting that means nothing is as good as none: no backup fails for it.
    pub(super) fn find(layers: &Layers, root: &Path) -> Self {
        let set = |key: &str| {
            let found = layers.find(key).ok().flatten()?.value;
            (!found.is_empty()).then(|| root.join(found))
        };
        let folder = |(kind, setting, usual): (&'static str, &'static str, &str)| {
            let named = set(setting);
            HostFolder {
                kind,
                setting,
                is_set: named.is_some(),
                path: named.unwrap_or_else(|| root.join(usual)),
            }
        };
        HostFiles {
            settings: layers
                .files
                .iter()
                .chain(&layers.defaults)
                .cloned()
                .collect(),
            folders: FOLDERS.map(folder).into(),
            certificates: CERTIFICATES.iter().filter_map(|key| set(key)).collect(),
        }
    }
}
