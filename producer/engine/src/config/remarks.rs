//! Remarks about a configuration, for whoever runs a backup or a restore.

use super::rqlite_address as address;
use super::{Config, Engine};
use crate::advice::{Advice, Sentence};
use std::net::IpAddr;
use std::path::Path;

impl Config {
    /// Which defaults are used, where nothing was found in `root` or elsewhere that says where the platform is.
    #[must_use]
    pub fn defaults(&self, root: &Path) -> Option<Sentence> {
        let engines = format!(
            "PostgreSQL at {} as user {}, series and all records there, audit trail and users' files in {}, the platform's own database in rqlite at {}",
            self.postgres.address(),
            self.postgres.user,
            self.users_dir.display(),
            address::split(&self.rqlite_url).0,
        );
        (!self.found).then(|| {
            let text = format!(
                "no configuration of Pryv.io was found ({}, NODE_ENV, variables such as storages__base__engine): \
                 its defaults are used: {engines}",
                root.join("config").display()
            );
            Sentence::new(text, Advice::Config)
        })
    }

    /// Connections that go over a network without protection. `with_index`: the platform's own database is read or written too.
    #[must_use]
    pub fn warnings(&self, with_index: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        let postgres = &self.postgres;
        let engines = [
            self.base_engine,
            self.audit_engine,
            self.series_engine,
            self.file_engine,
        ];
        if engines.contains(&Engine::Postgresql)
            && postgres.password.is_some()
            && !is_here(&postgres.host)
            && !postgres.is_verified()
        {
            warnings.push(format!(
                "the password for PostgreSQL at {} goes over a network, and nothing proves to which server: \
                 set storages.engines.postgresql.sslmode to verify-full, and sslrootcert",
                postgres.address()
            ));
        }
        let influxdb = &self.influxdb;
        if self.series_engine == Engine::Influxdb && !influxdb.tls && !is_here(&influxdb.host) {
            let what = match influxdb.named {
                true => "the password and all points",
                false => "all points",
            };
            warnings.push(format!(
                "{what} of series go over a network in the clear (InfluxDB at {}): set storages.engines.influxdb.tls to true, where the \
                 server has a certificate",
                influxdb.address()
            ));
        }
        let store = self.attachment_bucket.as_ref();
        let host = store.filter(|store| !store.is_protected());
        if let Some(host) = host
            .and_then(|store| store.host())
            .filter(|host| !is_here(host))
        {
            warnings.push(format!(
                "all attachments go over a network in the clear (S3 at {host}): set storages.engines.s3.endpoint to an address that \
                 begins with https://"
            ));
        }
        let rqlite = with_index && self.platform_engine == Engine::Rqlite;
        let (url, credentials) = address::split(&self.rqlite_url);
        let host = address::host(&url).filter(|_| rqlite && url.starts_with("http://"));
        if let Some(host) = host.filter(|host| !is_here(host)) {
            let what = match credentials {
                Some(_) => "the password and all entries",
                None => "all entries",
            };
            warnings.push(format!(
                "{what} of the platform's own database go over a network in the clear (rqlite at {host}): \
                 set storages.engines.rqlite.url to an address that begins with https://"
            ));
        }
        warnings
    }
}

/// Whether a host is this machine, by its name: what goes there crosses no network.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
