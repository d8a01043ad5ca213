//! The stores of a platform, one after the other: the database as of one instant, what servers beside it give, then the files.

use std::{
    fs::{self, File},
    path::Path,
};

use decryptor_wasm::{
    layout::is_safe_name,
    raw::{
        RAW_CONFIG_FOLDER, RAW_INFLUXDB_FOLDER, RAW_POSTGRESQL, RAW_POSTGRESQL_FOLDER, RAW_RQLITE,
        RawDatabase, RawServer,
    },
};

use super::super::capsule::StoredNames;
use super::{Dump, DumpFormat, Dumped, Options, around::Around, notes::Moments, now, tree};
use crate::{
    advice::Advice,
    archive::{ArchiveWriter, write::file::FileWriter},
    config::{Config, Engine},
    failure::Failure,
    files,
    folders::{private_folder, require_room},
    observer::Step,
    platform::raw::{self, DumpedDatabase},
    progress::Goal,
    regular,
    storage::large_folder,
    threads,
    tools::{self, INFLUXD, PG_DUMP, major},
};

/// The port at which InfluxDB takes backups, unless its configuration says otherwise.
const INFLUXDB_PORT: u16 = 8088;
/// What a folder in the clear, on this host and never beside the archive, is for.
const WAITS: &str = "what the tools write waits there";
/// What a dump in the custom format begins with.
const MAGIC: &[u8] = b"PGDMP";

/// The tools that a dump needs, which are there.
#[derive(Default)]
pub struct Tools {
    /// Version of `pg_dump`.
    pub pg_dump: Option<String>,
}

impl Tools {
    /// Finds them.
    ///
    /// # Errors
    /// When one is missing.
    pub fn find(config: &Config) -> Result<Self, Failure> {
        if config.series_engine == Engine::Influxdb {
            INFLUXD.version()?;
        }
        Ok(Tools {
            pg_dump: match raw::has_database(config) {
                true => Some(PG_DUMP.version()?),
                false => None,
            },
        })
    }
}

/// Where InfluxDB takes backups.
pub fn influxdb_backup(config: &Config, given: Option<&str>) -> String {
    let usual = || format!("{}:{INFLUXDB_PORT}", config.influxdb.host);
    given.map_or_else(usual, str::to_owned)
}

/// The writing of a dump.
pub struct Stores<'s> {
    dump: &'s Dump<'s>,
    options: &'s Options,
    config: &'s Config,
    archive: &'s mut ArchiveWriter,
    done: Dumped,
    moments: Moments,
}

impl<'s> Stores<'s> {
    /// Into `archive`.
    pub fn new(dump: &'s Dump<'s>, archive: &'s mut ArchiveWriter) -> Self {
        Stores {
            options: dump.options,
            config: dump.config,
            dump,
            archive,
            done: Dumped::default(),
            moments: Moments::default(),
        }
    }

    /// All of them; `around`: what is run around it.
    ///
    /// # Errors
    /// When one cannot be read, or the dump cannot be written.
    pub fn write(mut self, around: &mut Around<'_>) -> Result<Dumped, Failure> {
        // A core that is stopped takes its rqlite with it.
        let stops = self.options.commands.stop.is_some();
        if stops {
            self.rqlite()?;
        }
        self.moments.stopped = around.stop()?;
        let database = self.open_database()?;
        let frozen = around.freeze()?;
        self.moments.frozen = frozen.is_some().then(now);
        let users = regular::real(frozen.as_ref().unwrap_or(&self.config.users_dir));
        let previews = regular::real(&self.config.previews_dir);
        let previews = Some(previews).filter(|_| self.options.previews);
        let guess = database.as_ref().map_or(0, |database| database.bytes);
        let trees = [Some(&users), previews.as_ref()];
        let bytes = trees.iter().flatten().map(|folder| tree::bytes(folder));
        let guess = bytes.fold(guess, u64::saturating_add);
        let tally = self.archive.tally.clone();
        let shown = self
            .dump
            .observer
            .working(Step::Work, &tally, Goal::Bytes(guess));
        if let Some(database) = &database {
            self.postgresql(database)?;
        }
        if !stops {
            self.rqlite()?;
        }
        self.influxdb()?;
        drop(database);
        let begun = now();
        self.trees(&users, previews.as_deref())?;
        self.moments.files = (begun, now());
        self.configuration()?;
        drop(shown);
        around.end();
        self.done.notes = self.moments.notes(&self.done.section);
        Ok(self.done)
    }

    /// Connects to the database, where there is one, and fixes its instant.
    fn open_database(&mut self) -> Result<Option<DumpedDatabase>, Failure> {
        let Some(tool) = &self.dump.tools.pg_dump else {
            return Ok(None);
        };
        let database = DumpedDatabase::open(&self.config.postgres)?;
        let server = database.version / 10_000;
        if major(tool) < server {
            return Err(Failure::failed(format!(
                "pg_dump {tool} cannot dump a server of version {server}: put one of that version or later on the PATH"
            )));
        }
        if self.options.format == DumpFormat::Directory {
            require_room(&large_folder(), database.bytes, "the dump of the database")?;
        }
        self.done.section.postgresql = Some(RawDatabase {
            server: database.version,
            tool: tool.clone(),
            format: match self.options.format {
                DumpFormat::Custom => "custom",
                DumpFormat::Directory => "directory",
            }
            .to_owned(),
            owners: database.owners.clone(),
        });
        self.moments.database = Some(database.instant);
        Ok(Some(database))
    }

    fn postgresql(&mut self, database: &DumpedDatabase) -> Result<(), Failure> {
        let config = &self.config.postgres;
        if self.options.format == DumpFormat::Directory {
            let folder = private_folder(WAITS)?;
            let into = folder.path().join("dump");
            let jobs = threads::count(self.options.jobs);
            let mut command = tools::dump_into(config, &database.snapshot, &into, jobs);
            PG_DUMP.run(&mut command, &mut |_| Ok(()))?;
            return self.staged(&into, RAW_POSTGRESQL_FOLDER);
        }
        let mut command = tools::dump(config, &database.snapshot);
        let mut file = self.archive.file(RAW_POSTGRESQL)?;
        let tally = self.archive.tally.clone();
        let mut first = true;
        PG_DUMP.run(&mut command, &mut |piece| {
            if std::mem::take(&mut first) && !piece.starts_with(MAGIC) {
                return Err(Failure::failed("what pg_dump writes is no dump"));
            }
            tally.add(0, piece.len() as u64);
            Ok(file.write(piece)?)
        })?;
        if first {
            return Err(Failure::failed("pg_dump wrote nothing"));
        }
        self.end(file)
    }

    fn rqlite(&mut self) -> Result<(), Failure> {
        let Some(server) = raw::rqlite(self.config)? else {
            return Ok(());
        };
        let version = server.version()?;
        self.moments.rqlite = Some(now());
        let mut file = self.archive.file(RAW_RQLITE)?;
        server.backup::<Failure>(&mut |piece| Ok(file.write(piece)?))?;
        self.end(file)?;
        self.done.section.rqlite = Some(RawServer { version });
        Ok(())
    }

    fn influxdb(&mut self) -> Result<(), Failure> {
        let Some(server) = raw::influx(self.config)? else {
            return Ok(());
        };
        let version = server.version()?;
        require_room(&large_folder(), server.bytes()?, "the backup of InfluxDB")?;
        self.moments.influxdb = Some(now());
        let folder = private_folder(WAITS)?;
        let given = self.options.influxdb_backup.as_deref();
        let mut command = INFLUXD.command();
        command
            .args(["backup", "-portable", "-host"])
            .arg(influxdb_backup(self.config, given))
            .arg(folder.path());
        let made = INFLUXD.run(&mut command, &mut |_| Ok(()));
        made.map_err(|failure| failure.advise(Advice::InfluxdbAddress))?;
        self.staged(folder.path(), RAW_INFLUXDB_FOLDER)?;
        self.done.section.influxdb = Some(RawServer { version });
        Ok(())
    }

    /// The trees of files, and the list of what lies in them.
    fn trees(&mut self, users: &Path, previews: Option<&Path>) -> Result<(), Failure> {
        let mut trees = vec![("users", users)];
        trees.extend(previews.map(|folder| ("previews", folder)));
        // A platform that keeps nothing in files, or has no previews yet, may have no folder.
        trees.retain(|(_, folder)| folder.is_dir());
        if self.config.file_engine == Engine::S3 {
            self.lose(
                "attachments",
                "attachments are in an S3 bucket, and in no raw dump",
            );
        }
        let waiting = private_folder(WAITS)?;
        tree::write(self.archive, waiting.path(), &trees, &mut self.done)?;
        self.done.section.trees = trees.iter().map(|(name, _)| (*name).to_owned()).collect();
        Ok(())
    }

    /// The operator's configuration files. They are for whoever sets the platform up again: nothing puts them back.
    fn configuration(&mut self) -> Result<(), Failure> {
        let mut names = StoredNames::default();
        for path in &self.config.files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let stored = names.give(RAW_CONFIG_FOLDER, &name);
            let failed = |e| Failure::failed(format!("{}: {e}", path.display()));
            let file = regular::follow(path).map_err(failed)?;
            self.copy(file, &stored, path)?;
        }
        Ok(())
    }

    /// All files that a tool wrote into a folder, which are removed one by one.
    fn staged(&mut self, folder: &Path, stored: &str) -> Result<(), Failure> {
        let failed = |e| Failure::failed(format!("{}: {e}", folder.display()));
        let mut names = files::names(folder).map_err(failed)?;
        names.sort();
        if names.is_empty() {
            return Err(Failure::failed(format!("nothing was written for {stored}")));
        }
        for name in names {
            let path = folder.join(&name);
            let name = name.to_str().filter(|name| is_safe_name(name));
            let name = name.ok_or_else(|| {
                Failure::failed(format!("{}: no such file was expected", path.display()))
            })?;
            let file = regular::open(&regular::real(&path)).map_err(failed)?;
            self.copy(file, &format!("{stored}{name}"), &path)?;
            fs::remove_file(&path).map_err(failed)?;
        }
        Ok(())
    }

    fn copy(&mut self, from: File, stored: &str, path: &Path) -> Result<(), Failure> {
        let copied = tree::copied(self.archive, from, stored)?;
        let failed = |e| Failure::failed(format!("{}: {e}", path.display()));
        self.end(copied.map_err(failed)?)
    }

    fn end(&mut self, file: FileWriter) -> Result<(), Failure> {
        let entry = file.finish(None)?;
        Ok(self.archive.add_file(entry)?)
    }

    fn lose(&mut self, path: &str, what: &str) {
        self.done.lose(path.to_owned(), what.to_owned());
    }
}
