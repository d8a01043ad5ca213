//! A private InfluxDB server for a test: its own data, its own ports, gone with the test.

use crate::need;
use crate::postgres::free_port;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that is not up by then has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it stops it and removes its data.
pub struct Influx {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The port at which it takes backups.
    pub backup_port: u16,
    server: Mutex<Child>,
    folder: TempDir,
    /// User and password of its admin, where it wants to know who asks.
    admin: Option<(&'static str, &'static str)>,
    agent: ureq::Agent,
    scheme: &'static str,
}

impl Influx {
    /// A server, or `None` (and a line that says so) where InfluxDB is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with("", None)
    }

    /// The same, with further lines of its configuration's part `[http]`; it asks for an admin who is made when one is given.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with(http: &str, admin: Option<(&'static str, &'static str)>) -> Option<Self> {
        let there = Command::new("influxd")
            .arg("version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        need::need("influxdb", there.ok())?;
        let folder = TempDir::new().unwrap();
        let (port, backup_port) = (free_port(), free_port());
        let at = folder.path().display();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{backup_port}\"\n[meta]\ndir = \"{at}/meta\"\n\
             [data]\ndir = \"{at}/data\"\nwal-dir = \"{at}/wal\"\nquery-log-enabled = false\n\
             [monitor]\nstore-enabled = false\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\nauth-enabled = {}\n{http}\n",
            admin.is_some()
        );
        fs::write(folder.path().join("influxdb.conf"), config).unwrap();
        let tls = ureq::tls::TlsConfig::builder()
            .disable_verification(true)
            .build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls)
            .build();
        let mut influx = Self {
            port,
            backup_port,
            server: Mutex::new(serve(folder.path())),
            folder,
            admin: None,
            agent: agent.into(),
            scheme: if http.contains("https-enabled = true") {
                "https"
            } else {
                "http"
            },
        };
        influx.wait();
        if let Some((user, password)) = admin {
            let password = password.replace('\'', "\\'");
            influx.query(&format!(
                "CREATE USER \"{user}\" WITH PASSWORD '{password}' WITH ALL PRIVILEGES"
            ));
        }
        influx.admin = admin;
        Some(influx)
    }

    fn wait(&self) {
        let started = Instant::now();
        let ping = format!("{}://127.0.0.1:{}/ping", self.scheme, self.port);
        while self.agent.get(&ping).call().is_err() {
            let ended = self.server.lock().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "InfluxDB does not start: {}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where its data are, in `data` and `wal`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The user's rows of the answer to a statement: the name of what it is of, and its cells.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn query(&self, statement: &str) -> Vec<(String, Vec<Value>)> {
        self.query_in("", statement)
    }

    /// The same in a database.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn query_in(&self, database: &str, statement: &str) -> Vec<(String, Vec<Value>)> {
        let result = self.ask(database, statement);
        assert!(result["error"].is_null(), "{statement}: {result}");
        rows(&result)
    }

    /// The server's answer to one statement.
    fn ask(&self, database: &str, statement: &str) -> Value {
        let mut request = self
            .agent
            .post(format!("{}://127.0.0.1:{}/query", self.scheme, self.port))
            .query("db", database);
        if let Some((user, password)) = self.admin {
            request = request.query("u", user).query("p", password);
        }
        let mut answer = request
            .send_form([("q", statement), ("epoch", "ns")])
            .unwrap();
        let text = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()
            .unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["error"].is_null(), "{statement}: {text}");
        answer["results"][0].clone()
    }

    /// Writes lines into a database, which is made when it is not there.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn write(&self, database: &str, lines: &str) {
        self.query(&format!("CREATE DATABASE \"{database}\""));
        let mut request = self
            .agent
            .post(format!("{}://127.0.0.1:{}/write", self.scheme, self.port))
            .query("db", database)
            .query("precision", "ns");
        if let Some((user, password)) = self.admin {
            request = request.query("u", user).query("p", password);
        }
        let mut answer = request.send(lines.as_bytes()).unwrap();
        let said = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status().as_u16(), 204, "{said}");
    }

    /// The names of its databases.
    #[must_use]
    pub fn databases(&self) -> BTreeSet<String> {
        let rows = self.query("SHOW DATABASES").into_iter();
        rows.map(|(_, row)| row[0].as_str().unwrap().to_owned())
            .collect()
    }

    /// All that a database holds, as lines: the kinds of its fields, and its points. Nothing of one that is being removed: the server goes
    /// on with what a killed process asked for.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn contents(&self, database: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let statements = [
            format!("SHOW FIELD KEYS ON \"{database}\""),
            format!("SELECT * FROM \"{database}\"../.*/"),
        ];
        for statement in statements {
            let result = self.ask("", &statement);
            match result["error"].as_str() {
                None => {}
                Some(error) if error.starts_with("database not found") => return BTreeSet::new(),
                Some(error) => panic!("{statement}: {error}"),
            }
            for (name, row) in rows(&result) {
                all.insert(format!("{name} {}", Value::from(row)));
            }
        }
        all
    }

    /// All that it holds, by database.
    #[must_use]
    pub fn all(&self) -> BTreeSet<(String, String)> {
        let all = self.databases().into_iter();
        all.flat_map(|database| {
            let contents = self.contents(&database).into_iter();
            contents.map(move |line| (database.clone(), line))
        })
        .collect()
    }

    /// All that the server has said.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Removes everything.
    pub fn clear(&self) {
        for database in self.databases() {
            self.query(&format!("DROP DATABASE \"{database}\""));
        }
    }

    /// Ends the server at once.
    ///
    /// # Panics
    /// When it does not end.
    pub fn crash(&self) {
        let mut server = self.server.lock().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Starts it again, with its data and at its port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        *self.server.lock().unwrap() = serve(self.folder.path());
        self.wait();
    }
}

impl Drop for Influx {
    fn drop(&mut self) {
        let Ok(server) = self.server.get_mut() else {
            return;
        };
        let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = server.wait();
    }
}

fn serve(folder: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    Command::new("influxd")
        .args(["run", "-config"])
        .arg(folder.join("influxdb.conf"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The rows of a result: the name of what each is of, and its cells.
fn rows(result: &Value) -> Vec<(String, Vec<Value>)> {
    let series = result["series"].as_array().into_iter().flatten();
    let of = |one: &Value| {
        let name = one["name"].as_str().unwrap_or_default().to_owned();
        let rows = one["values"].as_array().cloned().unwrap_or_default();
        let rows = rows.into_iter();
        rows.map(move |row| (name.clone(), row.as_array().unwrap().clone()))
            .collect::<Vec<_>>()
    };
    series.flat_map(of).collect()
}
