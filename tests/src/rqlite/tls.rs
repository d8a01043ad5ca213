//! TLS in front of the server: it is terminated here, and what came in is passed on.

use super::http::whole;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// Listens at a free port of this machine, with a certificate and its key as PEM files, until the test ends. Returns the port.
///
/// # Panics
/// When the files are none, or there is no port.
#[must_use]
pub fn front(certificate: &Path, key: &Path, server: &str) -> u16 {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let certificates = CertificateDer::pem_file_iter(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = server.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not trust the certificate goes away.
            let Ok(request) = whole(&mut stream) else {
                continue;
            };
            let mut behind = TcpStream::connect(&server).unwrap();
            behind.write_all(&request).unwrap();
            let mut answer = Vec::new();
            behind.read_to_end(&mut answer).unwrap();
            let _ = stream.write_all(&answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}
