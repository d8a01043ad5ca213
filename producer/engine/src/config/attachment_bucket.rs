//! How to reach the bucket of the attachments.

use super::ConfigError;
use super::layers::{Layers, Setting};
use super::postgres::Password;
use super::rqlite_address::host;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// A bucket, as `storages.engines.s3` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentBucket {
    /// `bucket`: its name.
    pub bucket: String,
    /// `endpoint`: the address of the store; none: Amazon's in the region.
    pub endpoint: Option<String>,
    /// `region`.
    pub region: String,
    /// `accessKeyId` and `secretAccessKey`, where both are set; none: what the environment has, as for any client of such stores.
    pub access_key: Option<(String, Password)>,
    /// Whether the bucket stands in the path of requests: `forcePathStyle`, and wherever its name cannot stand in a host name.
    pub in_path: bool,
    /// `keyPrefix`: what comes before the id of a user, as it is.
    pub key_prefix: String,
}

/// Pryv's own, where none is set.
const REGION: &str = "us-east-1";

impl AttachmentBucket {
    /// The address of the store.
    #[must_use]
    pub fn address(&self) -> String {
        let amazons = || {
            let region = &self.region;
            let domain = match region.starts_with("cn-") {
                true => "amazonaws.com.cn",
                false => "amazonaws.com",
            };
            format!("https://s3.{region}.{domain}")
        };
        self.endpoint.clone().unwrap_or_else(amazons)
    }

    /// Pryv's keys.
    pub(super) fn find(layers: &Layers) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("storages.engines.s3.{name}");
        let set = |name: &str| -> Result<Option<Setting>, ConfigError> {
            let found = layers.find(&key(name))?;
            Ok(found.filter(|found| !found.value.is_empty()))
        };
        let bucket = layers.text(&key("bucket"))?;
        let is_of_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.value.is_empty() || !bucket.value.chars().all(is_of_bucket) {
            return Err(bucket.error(&key("bucket"), "give the name of the bucket alone"));
        }
        let endpoint = set("endpoint")?;
        if let Some(found) = &endpoint
            && (host(&found.value).is_none() || found.value.contains('@'))
        {
            let advice =
                "use an address that begins with https:// or http://, without a user in it";
            return Err(found.error(&key("endpoint"), advice));
        }
        let prefix = set("keyPrefix")?;
        if let Some(found) = &prefix
            && !is_plain_prefix(&found.value)
        {
            let advice = "this version reads keys only that do not begin with a slash or a space, and hold no \
                          empty part, no part of dots alone and no control character";
            return Err(found.error(&key("keyPrefix"), advice));
        }
        let endpoint = endpoint.map(|found| found.value);
        let forced = set("forcePathStyle")?.is_some_and(|found| found.value == "true");
        let access_key = match (set("accessKeyId")?, set("secretAccessKey")?) {
            (Some(id), Some(secret)) => Some((id.value, Password(Zeroizing::new(secret.value)))),
            _ => None,
        };
        Ok(Self {
            in_path: forced || !fits_host(&bucket.value, endpoint.as_deref()),
            bucket: bucket.value,
            endpoint,
            region: set("region")?.map_or_else(|| REGION.to_owned(), |found| found.value),
            access_key,
            key_prefix: prefix.map_or_else(String::new, |found| found.value),
        })
    }

    /// The host of the store; none for Amazon's.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        host(self.endpoint.as_deref()?)
    }

    /// Whether it is spoken to over https.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        let endpoint = self.endpoint.as_deref();
        endpoint.is_none_or(|endpoint| !endpoint.starts_with("http://"))
    }
}

/// Whether every client finds the same keys behind it.
fn is_plain_prefix(prefix: &str) -> bool {
    let begins_well = !prefix.starts_with('/') && prefix.trim_start() == prefix;
    // The last part goes on with the id of a user.
    let (before, _) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let parts_fit = before.is_empty()
        || before
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    begins_well && parts_fit && !prefix.contains(char::is_control)
}

/// Whether a bucket may stand before the host of a store. A certificate is for one level of names only.
fn fits_host(bucket: &str, endpoint: Option<&str>) -> bool {
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let in_clear = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let fits = bucket
        .chars()
        .all(|c| is_lower(c) || (in_clear && c == '.'));
    let host = endpoint.and_then(host);
    let address = host.as_deref().map(|host| host.trim_matches(['[', ']']));
    let is_number = address.is_some_and(|host| host.parse::<IpAddr>().is_ok());
    fits && !is_number
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn load(root: &std::path::Path, env: &[(&str, &str)]) -> Result<Config, super::ConfigError> {
        let env = env.iter().map(|(name, value)| {
            (
                format!("storages__engines__s3__{name}"),
                (*value).to_owned(),
            )
        });
        let engine = ("storages__file__engine".to_owned(), "s3".to_owned());
        Config::load(root, None, env.chain([engine]))
    }

    #[test]
    fn the_address_is_amazons_unless_another_is_set() {
        let dir = tempfile::tempdir().unwrap();
        for (name, value, due) in [
            ("keyPrefix", "", "https://s3.us-east-1.amazonaws.com"),
            (
                "region",
                "cn-north-1",
                "https://s3.cn-north-1.amazonaws.com.cn",
            ),
            ("endpoint", "https://store.example", "https://store.example"),
        ] {
            let config = load(dir.path(), &[("bucket", "b"), (name, value)]).unwrap();
            assert_eq!(config.attachment_bucket.unwrap().address(), due);
        }
    }

    #[test]
    fn the_bucket_of_attachments_is_as_pryv_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let with = |env: &[(&str, &str)]| load(dir.path(), env);
        let bucket = |env: &[(&str, &str)]| with(env).unwrap().attachment_bucket.unwrap();
        let usual = bucket(&[("bucket", "b")]);
        let known = (
            &*usual.region,
            &*usual.key_prefix,
            usual.endpoint,
            usual.access_key,
        );
        assert_eq!(known, ("us-east-1", "", None, None));
        assert!(!usual.in_path);
        // One half of a key is none.
        assert_eq!(
            bucket(&[("bucket", "b"), ("accessKeyId", "i")]).access_key,
            None
        );
        let key = [
            ("bucket", "b"),
            ("accessKeyId", "i"),
            ("secretAccessKey", "hidden"),
        ];
        let (id, secret) = bucket(&key).access_key.unwrap();
        assert_eq!((&*id, secret.reveal()), ("i", "hidden"));
        assert!(!format!("{:?}", with(&key)).contains("hidden"));
        for (name, endpoint, in_path) in [
            ("b", "http://127.0.0.1:9000", true),
            ("b", "https://[::1]:9000", true),
            ("b", "https://store.example", false),
            ("b.c", "https://store.example", true),
            ("b.c", "http://store.example", false),
            ("B_c", "http://store.example", true),
        ] {
            let found = bucket(&[("bucket", name), ("endpoint", endpoint)]);
            assert_eq!(found.in_path, in_path, "{name} {endpoint}");
        }
        assert!(bucket(&[("bucket", "b"), ("forcePathStyle", "true")]).in_path);
        for (name, value) in [
            ("bucket", ""),
            ("bucket", "a/b"),
            ("endpoint", "store.example"),
            ("endpoint", "https://u:hidden@store.example"),
            ("keyPrefix", "/a/"),
            ("keyPrefix", "a//"),
            ("keyPrefix", "a/../"),
            ("keyPrefix", " a"),
            ("keyPrefix", "a\nb"),
        ] {
            let error = with(&[("bucket", "b"), (name, value)])
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && !error.contains("hidden"), "{error}");
        }
        for prefix in ["a/", "a", "a/b/c-", ".a/..b/"] {
            assert_eq!(
                bucket(&[("bucket", "b"), ("keyPrefix", prefix)]).key_prefix,
                prefix
            );
        }
        let warnings = |endpoint| {
            let found = with(&[("bucket", "b"), ("endpoint", endpoint)]).unwrap();
            found.warnings(false)
        };
        assert!(
            warnings("http://10.0.0.1:9000")[0].starts_with("all attachments go over a network")
        );
        assert!(warnings("http://127.0.0.1:9000").is_empty());
        assert!(warnings("https://10.0.0.1:9000").is_empty());
    }
}
