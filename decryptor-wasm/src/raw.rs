//! Raw dumps: archives of what the tools of the databases write and of the platform's files as they lie there, instead of records. Each
//! file of a dump is below `raw/`; no user is named, so that Pryv's own tool restores nobody of it, and says so.

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result, layout::is_safe_path, object::objects, open::OpenedArchive};

/// `backupType` of a raw dump.
pub const RAW: &str = "raw";
/// Path, without extension, of the list of what lies in the trees: a [`RawEntry`] a line, what a folder holds before the folder.
pub const RAW_LIST: &str = "raw/files";
/// The dump of `pg_dump`, in its custom format.
pub const RAW_POSTGRESQL: &str = "raw/postgresql.dump";
/// Folder of the dump in the directory format.
pub const RAW_POSTGRESQL_FOLDER: &str = "raw/postgresql/";
/// The database of rqlite, as a SQLite file.
pub const RAW_RQLITE: &str = "raw/rqlite.sqlite";
/// Folder of what `influxd backup` writes.
pub const RAW_INFLUXDB_FOLDER: &str = "raw/influxdb/";
/// Folder of the configuration files.
pub const RAW_CONFIG_FOLDER: &str = "raw/config/";

/// `manifest.raw`: which stores a dump is of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default)]
pub struct RawSection {
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<RawDatabase>,
    /// The platform's own database, where it is in rqlite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rqlite: Option<RawServer>,
    /// The series, where they are in InfluxDB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<RawServer>,
    /// Folders below `raw/` that hold files of the platform: `users`, `previews`.
    pub trees: Vec<String>,
}

/// `manifest.raw.postgresql`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct RawDatabase {
    /// The server's version as a number: 150006.
    pub server: u32,
    /// The version of `pg_dump`: `15.6`.
    pub tool: String,
    /// `custom`, or `directory`.
    pub format: String,
    /// The roles that own something in the database.
    pub owners: Vec<String>,
}

/// `manifest.raw.rqlite` and `manifest.raw.influxdb`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default)]
pub struct RawServer {
    /// The server's version, as it tells it.
    pub version: String,
}

/// A file or folder of the platform, as it lay there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct RawEntry {
    /// From `raw/` on: `users/…`.
    pub path: String,
    /// Whether it is a folder.
    #[serde(default, skip_serializing_if = "is_false")]
    pub folder: bool,
    /// The permissions, as a number: 0o640 is 416.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was changed last: seconds since 1970.
    pub mtime: i64,
    /// And nanoseconds.
    pub nsec: u32,
}

objects!(RawSection, RawDatabase, RawServer, RawEntry);

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Deserialize)]
struct Said {
    #[serde(default, rename = "backupType")]
    backup_type: String,
    raw: Option<RawSection>,
}

impl RawEntry {
    /// Reads a line of the list.
    ///
    /// # Errors
    /// When it is none, or of a path that lies in no tree of the dump.
    pub fn parse(line: &[u8], trees: &[String]) -> Result<Self> {
        let wrong = |what: &str| Error::damaged(what).at(RAW_LIST);
        let entry: RawEntry = serde_json::from_slice(line)
            .map_err(|e| Error::of(Code::Damaged).at(RAW_LIST).because(&e))?;
        let tree = entry.path.split('/').next().unwrap_or_default();
        if !trees.iter().any(|known| known == tree) || !is_safe_path(&entry.stored()) {
            return Err(wrong("lists a path that may not be written"));
        }
        if entry.nsec >= 1_000_000_000 {
            return Err(wrong("lists a time that is none"));
        }
        Ok(entry)
    }

    /// The path in the archive.
    pub fn stored(&self) -> String {
        format!("{RAW}/{}", self.path)
    }
}

impl OpenedArchive {
    /// What a raw dump says of itself; none for any other archive.
    ///
    /// # Errors
    /// When it is a raw dump that says nothing, or what nobody can use.
    pub fn raw(&self) -> Result<Option<RawSection>> {
        if self.chain.is_some() {
            return Ok(None);
        }
        let unreadable = |e: &serde_json::Error| {
            let error = Error::of(Code::ManifestUnreadable).at("manifest.json");
            error.because(e)
        };
        let said: Said =
            serde_json::from_slice(self.manifest_rest()).map_err(|e| unreadable(&e))?;
        if said.backup_type != RAW {
            return Ok(None);
        }
        let section = said.raw.unwrap_or_default();
        let known = |tree: &String| matches!(tree.as_str(), "users" | "previews");
        match section.trees.iter().all(known) {
            true => Ok(Some(section)),
            false => Err(Error::damaged("names folders that no raw dump has").at("manifest.json")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_in_their_trees() {
        let trees = ["users".to_owned()];
        let line = |path: &str| {
            format!(r#"{{"path":{path:?},"mode":416,"uid":0,"gid":0,"mtime":-1,"nsec":5}}"#)
        };
        let read = |path: &str| RawEntry::parse(line(path).as_bytes(), &trees);
        let entry = read("users/a/b").unwrap();
        assert_eq!(entry.stored(), "raw/users/a/b");
        assert_eq!(serde_json::to_string(&entry).unwrap(), line("users/a/b"));
        for bad in [
            "previews/x",
            "users/../x",
            "/etc/x",
            "users//x",
            "",
            "users/a:b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(RawEntry::parse(b"[]", &trees).is_err());
    }
}
