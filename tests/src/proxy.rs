//! A way to a PostgreSQL server that breaks at the worst moment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The fault at the first `COMMIT`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// It does not reach the server, and the connection ends.
    Request,
    /// The server does it, but the connection ends before the answer is back.
    Answer,
    /// As `Answer`, and nobody comes through any more.
    AnswerAndAll,
}

/// A listening proxy; it lasts as long as the process.
pub struct Proxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    broken: Arc<AtomicUsize>,
}

impl Proxy {
    /// Leads to the server at `port`.
    ///
    /// # Panics
    /// When there is no port to listen at.
    #[must_use]
    pub fn start(port: u16, what: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let broken = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let count = broken.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if closed.load(Ordering::SeqCst) {
                    drop(client);
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (count, closed) = (count.clone(), closed.clone());
                thread::spawn(move || carry(&client, &server, what, &count, &closed));
            }
        });
        Self { port: own, broken }
    }

    /// How often it broke.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

fn carry(
    client: &TcpStream,
    server: &TcpStream,
    what: Break,
    count: &AtomicUsize,
    closed: &AtomicBool,
) {
    let cut = Arc::new(AtomicBool::new(false));
    let back = {
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let cut = cut.clone();
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                if cut.load(Ordering::SeqCst) || to.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        })
    };
    let (mut from, mut to) = (client, server);
    let mut buffer = [0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let commit = buffer[..n].windows(7).any(|window| window == b"COMMIT\0");
        if commit && count.fetch_add(1, Ordering::SeqCst) == 0 {
            closed.store(what == Break::AnswerAndAll, Ordering::SeqCst);
            if what == Break::Request {
                break;
            }
            // The answer is not passed on.
            cut.store(true, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
}
