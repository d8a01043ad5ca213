//! A private object store for a test: a real server with its own data and ports, gone with the test; and a way to it that breaks.

mod proxy;
mod request;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use proxy::{Fault, StoreProxy};
use request::{between, escape, escape_path, request, send};

/// A server that is not up by then has failed.
const PATIENCE: Duration = Duration::from_secs(25);
const PORTS: [&str; 8] = [
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
];
const FLAGS: [&str; 8] = [
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-volume.max=200",
    "-master.volumeSizeLimitMB=32",
];
const ACCESS_KEY: &str = "backupkey";
const SECRET_KEY: &str = "backupsecret";
const REGION: &str = "us-east-1";
const IDENTITIES: &str = r#"{"identities":[{"name":"backup","credentials":[{"accessKey":"backupkey","secretKey":"backupsecret"}],"actions":["Admin","Read","List","Tagging","Write"]}]}"#;

/// A running server; dropping it stops it and removes its data.
pub struct ObjectStore {
    /// Its port on 127.0.0.1.
    pub port: u16,
    server: Mutex<Child>,
    _folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// One server at a time: it takes many ports.
static ALONE: Mutex<()> = Mutex::new(());

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}

impl ObjectStore {
    /// A server, or `None` (and a line that says so) where SeaweedFS is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let program = crate::need::need("weed", program())?;
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Under load, its parts may miss each other for good.
        let mut started = (0..4).filter_map(|_| Self::try_start(&program));
        let (port, server, folder) = started.next().unwrap();
        Some(ObjectStore {
            port,
            server: Mutex::new(server),
            _folder: folder,
            _alone: alone,
        })
    }

    fn try_start(program: &Path) -> Option<(u16, Child, TempDir)> {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("s3.json");
        fs::write(&config, IDENTITIES).unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let ports = free_ports(PORTS.len());
        let flags = PORTS.iter().zip(&ports);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut server = Command::new(program)
            .arg("server")
            .arg(format!("-dir={}", data.display()))
            .arg(format!("-s3.config={}", config.display()))
            .args(FLAGS)
            .args(flags.map(|(name, port)| format!("-{name}={port}")))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // The server listens before its parts know each other.
            let connects = || TcpStream::connect(("127.0.0.1", ports[0])).is_ok();
            let made = || matches!(request(ports[0], "PUT", "/ready", b"").0, 200 | 409);
            let stores = || request(ports[0], "PUT", "/ready/object", b"x").0 == 200;
            if connects() && made() && stores() {
                return Some((ports[0], server, folder));
            }
            if server.try_wait().unwrap().is_some() {
                return None;
            }
            thread::sleep(Duration::from_millis(200));
        }
        stop(&mut server);
        None
    }

    /// A new bucket.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn bucket(&self, name: &str) {
        let (status, answer) = self.request("PUT", &format!("/{name}"), b"");
        assert_eq!(status, 200, "{answer}");
    }

    /// A new bucket that keeps versions, and locks none.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn versioned_bucket(&self, name: &str) {
        self.bucket(name);
        let rule = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let (status, answer) = self.request("PUT", &format!("/{name}?versioning="), rule);
        assert_eq!(status, 200, "{answer}");
    }

    /// A new bucket that keeps every version for a day, whoever wants it away.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn locked_bucket(&self, name: &str) {
        let headers = [("x-amz-bucket-object-lock-enabled", "true")];
        let (status, answer) = self.request_with("PUT", &format!("/{name}"), b"", &headers);
        assert_eq!(status, 200, "{answer}");
        let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
            <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        let place = format!("/{name}?object-lock=");
        let (status, answer) = self.request("PUT", &place, rule.as_bytes());
        assert_eq!(status, 200, "{answer}");
    }

    /// Every object below a prefix of a bucket, in the order of the keys.
    ///
    /// # Panics
    /// When the store does not say.
    #[must_use]
    pub fn list(&self, bucket: &str, prefix: &str) -> Vec<Listed> {
        let place = format!("/{bucket}?list-type=2&prefix={}", escape(prefix));
        let (status, answer) = self.request("GET", &place, b"");
        assert_eq!(status, 200, "{answer}");
        let contents = answer.split("<Contents>").skip(1);
        let mut listed: Vec<Listed> = contents
            .map(|content| Listed {
                key: between(content, "<Key>", "</Key>").to_owned(),
                size: between(content, "<Size>", "</Size>").parse().unwrap(),
            })
            .collect();
        listed.sort();
        listed
    }

    /// How many versions of objects and marks of deletions there are below a prefix of a bucket.
    ///
    /// # Panics
    /// When the store does not say.
    #[must_use]
    pub fn versions(&self, bucket: &str, prefix: &str) -> usize {
        let place = format!("/{bucket}?versions=&prefix={}", escape(prefix));
        let (status, answer) = self.request("GET", &place, b"");
        assert_eq!(status, 200, "{answer}");
        answer.matches("<VersionId>").count()
    }

    /// How many uploads were begun in a bucket and not ended.
    ///
    /// # Panics
    /// When the store does not say.
    #[must_use]
    pub fn uploads(&self, bucket: &str) -> usize {
        let (status, answer) = self.request("GET", &format!("/{bucket}?uploads="), b"");
        assert_eq!(status, 200, "{answer}");
        answer.matches("<UploadId>").count()
    }

    /// The content of an object.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, bucket: &str, key: &str) -> Vec<u8> {
        let (status, answer) = send(
            self.port,
            "GET",
            &format!("/{bucket}/{}", escape_path(key)),
            b"",
            &[],
        );
        assert_eq!(status, 200, "{key}");
        answer
    }

    /// Puts an object, whether or not there is one.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let (status, answer) =
            self.request("PUT", &format!("/{bucket}/{}", escape_path(key)), bytes);
        assert_eq!(status, 200, "{key}: {answer}");
    }

    /// Deletes an object; where versions are kept, that hides it.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn delete(&self, bucket: &str, key: &str) {
        let (status, answer) =
            self.request("DELETE", &format!("/{bucket}/{}", escape_path(key)), b"");
        assert!(status == 204 || status == 200, "{key}: {answer}");
    }

    /// Sets what a client needs, by way of `port`.
    pub fn reach<'c>(&self, command: &'c mut Command, port: u16) -> &'c mut Command {
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{port}"))
    }

    /// Makes a request; returns status and answer as text.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn request(&self, method: &str, place: &str, body: &[u8]) -> (u16, String) {
        self.request_with(method, place, body, &[])
    }

    fn request_with(
        &self,
        method: &str,
        place: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let (status, answer) = send(self.port, method, place, body, headers);
        (status, String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        stop(&mut self.server.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn stop(server: &mut Child) {
    let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    let started = Instant::now();
    while server.try_wait().is_ok_and(|ended| ended.is_none()) {
        if started.elapsed() > Duration::from_secs(10) {
            let _ = server.kill();
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// `make setup` puts it into the folder of tools.
fn program() -> Option<PathBuf> {
    let given = std::env::var_os("WEED").map(PathBuf::from);
    let tool = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.build/tools/weed"));
    given.into_iter().chain([tool]).find(|path| path.is_file())
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect()
}
