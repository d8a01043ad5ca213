//! A private object store for a test: a real server with its own data and ports, gone with the test; and a way to it that breaks.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

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

/// Makes a request; returns status and answer as text; none where there is no answer.
fn request(port: u16, method: &str, place: &str, body: &[u8]) -> (u16, String) {
    let (status, answer) = send(port, method, place, body, &[]);
    (status, String::from_utf8_lossy(&answer).into_owned())
}

fn send(
    port: u16,
    method: &str,
    place: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> (u16, Vec<u8>) {
    let host = format!("127.0.0.1:{}", port);
    let signed = sign(method, place, body, &host, headers);
    let mut connection = TcpStream::connect(&host).unwrap();
    let mut head = format!("{method} {place} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in &signed {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else { return (0, answer) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = &answer[end + 4..];
    let body = match head.contains("transfer-encoding: chunked") {
        true => unchunk(body),
        false => body.to_vec(),
    };
    (status.unwrap_or(0), body)
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

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let text = text.split_once(before).map_or("", |(_, rest)| rest);
    text.split_once(after).map_or("", |(found, _)| found)
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let from = end + 2;
        if size == 0 || body.len() < from + size {
            break;
        }
        whole.extend_from_slice(&body[from..from + size]);
        body = body.get(from + size + 2..).unwrap_or_default();
    }
    whole
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}

fn escape_path(text: &str) -> String {
    let parts: Vec<String> = text.split('/').map(escape).collect();
    parts.join("/")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The headers of a signed request: AWS Signature Version 4.
fn sign(
    method: &str,
    place: &str,
    body: &[u8],
    host: &str,
    more: &[(&str, &str)],
) -> Vec<(String, String)> {
    let now = Command::new("date")
        .args(["-u", "+%Y%m%dT%H%M%SZ"])
        .output()
        .unwrap();
    let now = String::from_utf8(now.stdout).unwrap().trim().to_owned();
    let day = &now[..8];
    let content = hex(&Sha256::digest(body));
    let mut headers: Vec<(String, String)> = vec![
        ("host".to_owned(), host.to_owned()),
        ("x-amz-content-sha256".to_owned(), content.clone()),
        ("x-amz-date".to_owned(), now.clone()),
    ];
    headers.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    headers.sort();
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let mut query: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    query.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = format!(
        "{method}\n{path}\n{}\n{lines}\n{names}\n{content}",
        query.join("&")
    );
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}");
    let key = mac(format!("AWS4{SECRET_KEY}").as_bytes(), day);
    let key = mac(&mac(&mac(&key, REGION), "s3"), "aws4_request");
    let signature = hex(&mac(&key, &to_sign));
    headers.retain(|(name, _)| name != "host");
    headers.push((
        "authorization".to_owned(),
        format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"),
    ));
    headers
}

/// What a [`StoreProxy`] does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Passes it on.
    None,
    /// Answers with this status, and passes nothing on.
    Status(u16),
    /// Ends the connection when so many bytes of the request's body were read.
    Cut(usize),
    /// Passes it on, and ends the connection before the answer.
    NoAnswer,
}

/// Chooses the fault of a request: by its number, counted from 1, and its first line.
pub type Choose = dyn Fn(usize, &str) -> Fault + Send + Sync;

/// A way to an object store that breaks; it lasts as long as the process.
pub struct StoreProxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    requests: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl StoreProxy {
    /// Leads to the store at `port`.
    ///
    /// # Panics
    /// When there is no port to listen at.
    #[must_use]
    pub fn start(port: u16, choose: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let (requests, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, carried) = (requests.clone(), bytes.clone());
        let choose: Arc<Choose> = Arc::new(choose);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (counted, carried) = (counted.clone(), carried.clone());
                let choose = choose.clone();
                thread::spawn(move || serve(client, port, &*choose, &counted, &carried));
            }
        });
        StoreProxy {
            port: own,
            requests,
            bytes,
        }
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// How many bytes of answers were passed on.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }
}

/// Serves one connection: one request after the other, each to a connection of its own to the store.
fn serve(
    mut client: TcpStream,
    port: u16,
    choose: &Choose,
    counted: &AtomicUsize,
    carried: &AtomicUsize,
) -> Option<()> {
    loop {
        let head = read_head(&mut client)?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let first = text.lines().next().unwrap_or_default().to_owned();
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let length = header(&text, "content-length").unwrap_or(0);
        let fault = choose(number, &first);
        if let Fault::Cut(after) = fault {
            let mut some = vec![0; after.min(length)];
            let _ = client.read_exact(&mut some);
            return None;
        }
        if header_is(&text, "expect", "100-continue") {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let mut body = vec![0; length];
        client.read_exact(&mut body).ok()?;
        if let Fault::Status(status) = fault {
            let answer = "<Error><Code>SlowDown</Code><Message>try again</Message></Error>";
            let head = format!(
                "HTTP/1.1 {status} Fault\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            client.write_all(head.as_bytes()).ok()?;
            client.write_all(answer.as_bytes()).ok()?;
            continue;
        }
        let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let mut lines: Vec<&str> = text.trim_end().lines().collect();
        lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        lines.push("connection: close");
        server
            .write_all((lines.join("\r\n") + "\r\n\r\n").as_bytes())
            .ok()?;
        server.write_all(&body).ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).ok()?;
        if fault == Fault::NoAnswer {
            return None;
        }
        carried.fetch_add(answer.len(), Ordering::SeqCst);
        client.write_all(&answer).ok()?;
        // The answer says that its connection ends.
        return None;
    }
}

fn read_head(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(head)
}

fn header(head: &str, name: &str) -> Option<usize> {
    let mut lines = head.lines();
    lines.find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().parse().ok())?
    })
}

fn header_is(head: &str, name: &str, value: &str) -> bool {
    head.lines().any(|line| {
        let parts = line.split_once(':');
        parts
            .is_some_and(|(known, found)| known.eq_ignore_ascii_case(name) && found.trim() == value)
    })
}
