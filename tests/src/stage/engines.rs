//! Platforms of any mix of engines.

use super::{CORE, Platform, Stage};
use crate::rqlite::{Scratch, Setup};

/// The engines of a platform, by Pryv.io's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engines {
    /// Streams, accesses, profiles, webhooks, events, accounts.
    pub base: &'static str,
    /// High-frequency series.
    pub series: &'static str,
    /// The audit trail.
    pub audit: &'static str,
    /// Attachments.
    pub files: &'static str,
    /// The platform's own database.
    pub platform: &'static str,
}

impl std::fmt::Display for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            base,
            series,
            audit,
            files,
            platform,
        } = self;
        write!(f, "{base}, {series}, {audit}, {files}, {platform}")
    }
}

/// SQLite with the audit trail and the attachments in a database beside it.
pub const BESIDE: Engines = Engines {
    base: "sqlite",
    series: "sqlite",
    audit: "postgresql",
    files: "postgresql",
    platform: "rqlite",
};

impl Stage {
    /// A platform of these engines without anybody, started once. Where its series or files are on another server, the caller says where. `None`
    /// where PostgreSQL is not installed.
    #[must_use]
    pub fn mixed(&self, engines: Engines) -> Option<Platform<'_>> {
        let mut platform = self.postgres_like(1)?;
        if engines.platform == "rqlite" {
            platform = platform.with_rqlite();
        }
        for (kind, engine) in [
            ("base", engines.base),
            ("series", engines.series),
            ("audit", engines.audit),
            ("file", engines.files),
            ("platform", engines.platform),
        ] {
            platform = platform.with(&format!("storages__{kind}__engine"), engine);
        }
        Some(platform)
    }
}

impl Platform<'_> {
    /// The same with a platform's own database in rqlite, as it is of a platform that was started once.
    pub(super) fn with_rqlite(self) -> Self {
        let rqlite = Scratch::new(Setup::default());
        rqlite.fill([("core-info/single", CORE)]);
        let mut platform = self.with("storages__engines__rqlite__url", &rqlite.url);
        platform.rqlite = Some(rqlite);
        platform
    }
}
