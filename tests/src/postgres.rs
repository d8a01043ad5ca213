//! A private PostgreSQL server for a test: its own data, its own port, gone with the test.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where Debian keeps the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// A server that is not up by then has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it stops it and removes its data.
pub struct Postgres {
    /// Its port on 127.0.0.1.
    pub port: u16,
    programs: PathBuf,
    server: Mutex<Child>,
    folder: TempDir,
    databases: AtomicUsize,
}

/// A way of starting the server.
#[derive(Default)]
pub struct Setup<'a> {
    /// Further lines of `postgresql.conf`.
    pub config: &'a str,
    /// The lines of `pg_hba.conf`; everybody on this machine is trusted when empty.
    pub access: &'a str,
}

impl Postgres {
    /// A server, or `None` (and a line that says so) where PostgreSQL 15 or later is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(&Setup::default())
    }

    /// See [`Self::start`].
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    pub fn start_with(setup: &Setup<'_>) -> Option<Self> {
        let programs = crate::need::need("postgresql", programs())?;
        let folder = TempDir::new().unwrap();
        // The server refuses to run as root; its own user has to reach the data.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = as_server(&programs.join("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        append(
            &data.join("postgresql.conf"),
            &format!(
                "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nmax_wal_size = 4GB\n{}\n",
                setup.config
            ),
        );
        if !setup.access.is_empty() {
            fs::write(data.join("pg_hba.conf"), setup.access).unwrap();
        }
        let port = free_port();
        let log = File::create(folder.path().join("log")).unwrap();
        let server = serve(&programs, folder.path(), port, log);
        let postgres = Self {
            port,
            programs,
            server: Mutex::new(server),
            folder,
            databases: AtomicUsize::new(0),
        };
        postgres.wait();
        Some(postgres)
    }

    fn wait(&self) {
        let started = Instant::now();
        // Over the socket: whoever may connect, the server answers that it is there.
        while !self
            .client("pg_isready")
            .arg("--quiet")
            .status()
            .unwrap()
            .success()
        {
            let ended = self.server.lock().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "PostgreSQL does not start: {}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A program of PostgreSQL, told where the server is.
    #[must_use]
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("PGHOST", self.folder.path())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres");
        command
    }

    /// A new empty database; returns its name.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// A new database with all that another holds, which nobody may be using; returns its name.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn copy_of(&self, database: &str) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {database}"),
        );
        name
    }

    /// Runs statements; returns the rows of the last one, columns separated by `|`.
    ///
    /// # Panics
    /// When one fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        self.feed(database, statements.as_bytes())
    }

    /// Runs a script of `psql`, for instance a dump.
    ///
    /// # Panics
    /// When it fails.
    pub fn feed(&self, database: &str, script: &[u8]) -> String {
        let mut psql = self
            .client("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--file=-", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = psql.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A script that fails early is not read to its end; psql says why.
            scope.spawn(move || {
                let _ = input.write_all(script);
            });
            let output = psql.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        })
    }

    /// Loads a gzipped dump into a new database; returns its name.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn load(&self, dump: &Path) -> String {
        let name = self.database();
        let mut script = Vec::new();
        let mut zcat = Command::new("gzip")
            .args(["--decompress", "--stdout"])
            .arg(dump)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = zcat.stdout.take().unwrap();
        output.read_to_end(&mut script).unwrap();
        assert!(zcat.wait().unwrap().success());
        self.feed(&name, &script);
        name
    }

    /// Ends the server at once, as a crash of the machine would.
    ///
    /// # Panics
    /// When it does not end.
    pub fn crash(&self) {
        self.signal("-QUIT");
        self.server.lock().unwrap().wait().unwrap();
    }

    /// Starts it again, with its data and at its port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        let log = File::options()
            .append(true)
            .open(self.folder.path().join("log"));
        let server = serve(&self.programs, self.folder.path(), self.port, log.unwrap());
        *self.server.lock().unwrap() = server;
        self.wait();
    }

    fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.folder.path().join("data/postmaster.pid"));
        if let Some(pid) = pid
            .ok()
            .and_then(|text| text.lines().next().map(str::to_owned))
        {
            let _ = Command::new("kill").args([signal, &pid]).status();
        }
    }

    /// A server that follows this one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn standby(&self) -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let copied = as_server(&self.programs.join("pg_basebackup"))
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--username=postgres", "--host=127.0.0.1", "--port"])
            .arg(self.port.to_string())
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "{}",
            String::from_utf8_lossy(&copied.stderr)
        );
        let port = free_port();
        let log = File::create(folder.path().join("log")).unwrap();
        let standby = Self {
            port,
            programs: self.programs.clone(),
            server: Mutex::new(serve(&self.programs, folder.path(), port, log)),
            folder,
            databases: AtomicUsize::new(0),
        };
        standby.wait();
        standby
    }

    /// The server's log so far.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Gives the server a certificate, and the authority that clients' certificates are to come from.
    ///
    /// # Panics
    /// When it does not take them.
    pub fn enable_tls(&self, certificate: &Path, key: &Path, authority: &Path) {
        let data = self.folder.path().join("data");
        fs::copy(authority, data.join("root.crt")).unwrap();
        fs::copy(certificate, data.join("server.crt")).unwrap();
        fs::copy(key, data.join("server.key")).unwrap();
        let owner = fs::metadata(&data).unwrap();
        std::os::unix::fs::chown(
            data.join("server.key"),
            Some(owner.uid()),
            Some(owner.gid()),
        )
        .unwrap();
        fs::set_permissions(data.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        self.sql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
        self.sql("postgres", "ALTER SYSTEM SET ssl = on");
        let loaded = "SELECT pg_conf_load_time()";
        let before = self.sql("postgres", loaded);
        self.sql("postgres", "SELECT pg_reload_conf()");
        while self.sql("postgres", loaded) == before || self.sql("postgres", "SHOW ssl") != "on" {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The folder of its Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown, sent by the id in the first line of the server's own file.
        self.signal("-INT");
        if let Ok(server) = self.server.get_mut() {
            let _ = server.wait();
        }
    }
}

/// Starts the server whose data are below `folder`.
fn serve(programs: &Path, folder: &Path, port: u16, log: File) -> Child {
    as_server(&programs.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-c", "listen_addresses=127.0.0.1", "-c"])
        .arg(format!("port={port}"))
        .arg("-c")
        .arg(format!("unix_socket_directories={}", folder.display()))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The programs of the newest version that the platform can run on.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .filter(|version| *version >= 15)?;
    let programs = Path::new(DEBIAN).join(newest.to_string()).join("bin");
    programs.join("postgres").exists().then_some(programs)
}

/// A command run as the user `postgres` when this is root, whom the server refuses.
fn as_server(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn append(path: &Path, lines: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
