//! A server that speaks rqlite's HTTP API (<https://rqlite.io/docs/api/>) over a SQLite file: `/db/query`,
//! `/db/execute`, `/status` and `/readyz`, a user with a password, and nodes that are not the leader.

mod http;
mod scratch;
mod sql;
mod tls;

pub use http::Request;
pub use scratch::{Scratch, post};
pub use tls::front;

use base64ct::{Base64, Encoding};
use http::Answer;
use rusqlite::{Connection, backup::Backup};
use serde_json::{Value, json};
use sql::{Command, Options};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How a node behaves; by default it is the leader, open to all.
#[derive(Clone, Default)]
pub struct Setup {
    /// The one user and the password.
    pub credentials: Option<(&'static str, &'static str)>,
    /// Another node leads: its address, and the status that sends clients there. rqlite's is 301, with `redirect` in
    /// the address; before version 7 it never forwarded requests itself.
    pub leader: Option<(String, u16)>,
    /// In an election, an empty list of results instead of status 503.
    pub silent: bool,
    /// The error of every request as a whole.
    pub failure: Option<&'static str>,
    /// Its version, unless it is 9.
    pub version: Option<&'static str>,
}

/// A running server. It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    node: Arc<Node>,
    listening: Option<JoinHandle<()>>,
}

struct Node {
    setup: Setup,
    database: Mutex<Connection>,
    requests: Mutex<Vec<Request>>,
    /// Requests left until there is a leader.
    election: AtomicUsize,
    stopped: AtomicBool,
}

impl Server {
    /// Serves the database in `file`, made when it is absent, at a free port of this machine.
    ///
    /// # Panics
    /// When the file cannot be opened or there is no port.
    #[must_use]
    pub fn start(file: &Path, setup: Setup) -> Self {
        Self::start_at(0, file, setup)
    }

    /// The same, at a port that is known.
    ///
    /// # Panics
    /// When the file cannot be opened or the port is taken.
    #[must_use]
    pub fn start_at(port: u16, file: &Path, setup: Setup) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let node = Arc::new(Node {
            setup,
            database: Mutex::new(Connection::open(file).unwrap()),
            requests: Mutex::default(),
            election: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&node);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let node = Arc::clone(&serving);
                thread::spawn(move || stream.and_then(|stream| node.serve(&stream)));
            }
        });
        Self {
            address,
            node,
            listening: Some(listening),
        }
    }

    /// Runs statements in its database, beside its interface.
    ///
    /// # Panics
    /// When one fails.
    pub fn sql(&self, statements: &str) {
        let database = self.node.database.lock().unwrap();
        database.execute_batch(statements).unwrap();
    }

    /// Its address, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address with a user and a password, written into it as they are.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    /// Leaves the cluster without a leader for the next requests.
    pub fn hold_election(&self, requests: usize) {
        self.node.election.store(requests, Ordering::SeqCst);
    }

    /// Requests that were received so far.
    ///
    /// # Panics
    /// When the server did.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.node.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.node.stopped.store(true, Ordering::SeqCst);
        // The listener waits for a connection: it gets one.
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(listening)) = (woken, self.listening.take()) {
            let _ = listening.join();
        }
    }
}

impl Node {
    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let request = Request::read(stream)?;
        self.requests.lock().unwrap().push(request.clone());
        self.answer(&request).write(stream)
    }

    fn answer(&self, request: &Request) -> Answer {
        if !self.lets_in(request) {
            let mut answer = Answer::text(401, "");
            let realm = "Basic realm=\"rqlite\"".to_owned();
            answer.headers.push(("WWW-Authenticate", realm));
            return answer;
        }
        let electing = self.election.load(Ordering::SeqCst) > 0;
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "POST", "/db/query") | ("POST", "/db/execute") => {
                self.database(request, electing)
            }
            ("GET", "/readyz") if electing => {
                Answer::text(503, "[+]node ok\n[+]leader does not exist")
            }
            ("GET", "/readyz") => Answer::text(200, "[+]node ok\n[+]leader ok\n[+]store ok"),
            ("GET", "/status") => {
                let auth = match self.setup.credentials {
                    Some(_) => "enabled",
                    None => "disabled",
                };
                Answer::json(&json!({
                    "build": { "version": self.setup.version.unwrap_or("v9.4.5") },
                    "http": { "auth": auth },
                    "store": { "ready": !electing, "db_conf": { "fk_constraints": false } },
                }))
            }
            ("GET", "/db/backup") => Answer::bytes(self.copy()),
            ("POST", "/db/load") => self.load(&request.body),
            (_, "/db/query" | "/db/execute" | "/readyz" | "/status") => Answer::text(405, ""),
            _ => Answer::text(404, "404 page not found"),
        }
    }

    /// The database as a file.
    fn copy(&self) -> Vec<u8> {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("copy");
        let mut target = Connection::open(&file).unwrap();
        let database = self.database.lock().unwrap();
        let backup = Backup::new(&database, &mut target).unwrap();
        backup
            .run_to_completion(1000, Duration::ZERO, None)
            .unwrap();
        drop(backup);
        drop(target);
        fs::read(file).unwrap()
    }

    /// Replaces the database by a file.
    fn load(&self, bytes: &[u8]) -> Answer {
        if !bytes.starts_with(b"SQLite format 3\0") {
            return Answer::text(400, "invalid SQLite data");
        }
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("copy");
        fs::write(&file, bytes).unwrap();
        let source = Connection::open(&file).unwrap();
        let mut database = self.database.lock().unwrap();
        let backup = Backup::new(&source, &mut database).unwrap();
        backup
            .run_to_completion(1000, Duration::ZERO, None)
            .unwrap();
        Answer::json(&json!({ "results": [] }))
    }

    fn lets_in(&self, request: &Request) -> bool {
        self.setup.credentials.is_none_or(|(user, password)| {
            let wanted = Base64::encode_string(format!("{user}:{password}").as_bytes());
            let given = request.header("authorization").unwrap_or_default();
            given.strip_prefix("Basic ") == Some(&wanted)
        })
    }

    fn database(&self, request: &Request, electing: bool) -> Answer {
        let level = request.parameter("level").unwrap_or("weak");
        if !["none", "weak", "linearizable", "strong", "auto"].contains(&level) {
            return Answer::text(400, "invalid level");
        }
        // A read of level `none` asks no leader.
        let local = level == "none" && request.path == "/db/query";
        if !local {
            if electing {
                self.election.fetch_sub(1, Ordering::SeqCst);
            }
            if electing && self.setup.silent {
                return Answer::json(&json!({ "results": [] }));
            }
            if electing {
                return Answer::text(503, "leader not found");
            }
            if let Some((leader, status)) = &self.setup.leader {
                return self.elsewhere(request, leader, *status);
            }
        }
        if let Some(error) = self.setup.failure {
            return Answer::json(&json!({ "results": [], "error": error }));
        }
        let commands = match request.parameter("q") {
            Some(sql) if request.method == "GET" => Ok(vec![Command::plain(sql)]),
            _ => Command::parse(&request.body),
        };
        match commands {
            Ok(commands) => Answer::json(&self.run(request, &commands)),
            Err(what) => Answer::text(400, what),
        }
    }

    fn elsewhere(&self, request: &Request, leader: &str, status: u16) -> Answer {
        let query: Vec<_> = request
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let place = format!("{leader}{}?{}", request.path, query.join("&"));
        let mut answer = Answer::text(status, "");
        answer.headers.push(("Location", place));
        answer
    }

    fn run(&self, request: &Request, commands: &[Command]) -> Value {
        let started = Instant::now();
        let options = Options {
            associative: request.parameter("associative").is_some(),
            timings: request.parameter("timings").is_some(),
            transaction: request.parameter("transaction").is_some(),
            blob_array: request.parameter("blob_array").is_some(),
        };
        let database = self.database.lock().unwrap();
        let results = if request.path == "/db/query" {
            sql::query(&database, commands, options)
        } else {
            sql::execute(&database, commands, options)
        };
        let mut answer = json!({ "results": results });
        if options.timings {
            answer["time"] = started.elapsed().as_secs_f64().into();
        }
        answer
    }
}
