//! A server with its own data and ports, which goes with whoever started it.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::request::{ACCESS_KEY, SECRET_KEY, send};

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
/// Each bucket takes several volumes.
const FLAGS: [&str; 8] = [
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-volume.max=2000",
    "-master.volumeSizeLimitMB=32",
];
/// Runs the server, and kills it when standard input ends, however the process at the other end of it does; then its folder goes.
const UNTIL_INPUT_ENDS: &str = r#"
exec 3<&0 </dev/null
( trap '' HUP INT TERM; read -r _ <&3; kill -9 $$; rm -rf "$0" ) &
exec "$@" 3<&-
"#;

/// A running server; dropping it, or the end of this process, stops it and removes its data.
pub(super) struct Server {
    /// Its port on 127.0.0.1.
    pub port: u16,
    process: Child,
}

impl Server {
    /// Starts one, by the program at this path.
    pub(super) fn start(program: &Path) -> Self {
        // Under load, its parts may miss each other for good.
        let mut started = (0..4).filter_map(|_| Self::try_start(program));
        started.next().unwrap()
    }

    fn try_start(program: &Path) -> Option<Self> {
        let folder = TempDir::new().unwrap().keep();
        let config = folder.join("s3.json");
        fs::write(&config, identities()).unwrap();
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        let ports = free_ports(PORTS.len());
        let flags = PORTS.iter().zip(&ports);
        let log = fs::File::create(folder.join("log")).unwrap();
        let process = Command::new("sh")
            .args(["-c", UNTIL_INPUT_ENDS])
            .arg(&folder)
            .arg(program)
            .arg("server")
            .arg(format!("-dir={}", data.display()))
            .arg(format!("-s3.config={}", config.display()))
            .arg(format!(
                "-filer.localSocket={}",
                folder.join("socket").display()
            ))
            .args(FLAGS)
            .args(flags.map(|(name, port)| format!("-{name}={port}")))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let port = ports[0];
        let mut server = Server { port, process };
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // The server listens before its parts know each other.
            let put = |place: &str| send(port, "PUT", place, b"x", &[]).0;
            let connects = || TcpStream::connect(("127.0.0.1", port)).is_ok();
            let made = || matches!(put("/ready"), 200 | 409);
            let stores = || put("/ready/object") == 200;
            if connects() && made() && stores() {
                return Some(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                return None;
            }
            thread::sleep(Duration::from_millis(100));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Who may do what.
fn identities() -> String {
    let key = format!(r#"{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}"#);
    let actions = r#"["Admin","Read","List","Tagging","Write"]"#;
    format!(r#"{{"identities":[{{"name":"backup","credentials":[{key}],"actions":{actions}}}]}}"#)
}

/// The program, which `make setup` puts into the folder of tools.
pub(super) fn program() -> Option<PathBuf> {
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
