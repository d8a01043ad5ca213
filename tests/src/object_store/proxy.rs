//! A way to a server over HTTP that breaks.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

/// A request that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(120);

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
    /// Passes it on, and ends the connection after so many bytes of the answer.
    CutAnswer(usize),
    /// Answers with this status and this code of an error, and passes nothing on.
    Refused(u16, &'static str),
    /// Passes both on a little at a time: so many bytes in a tenth of a second.
    Slow(usize),
    /// Passes it on, and says that an object was put where there was one, as a store does that knows no conditions.
    Unconditional,
    /// Sends whoever asked to this port, and passes nothing on.
    Redirect(u16),
    /// Passes it on, and says nothing until whoever asked goes away.
    Silent,
    /// Passes nothing on, and answers without end.
    Endless,
    /// Passes it on, and makes what a listing names a hundred years older.
    Aged,
    /// Passes it on, and puts the second of two texts of the same length in the place of the first, in the body of the answer.
    Changed(&'static str, &'static str),
}

/// Chooses the fault of a request: by its number, counted from 1, and its first line.
type Choose = dyn Fn(usize, &str) -> Fault + Send + Sync;

/// A way to an object store that breaks; it lasts as long as the process.
pub struct StoreProxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    way: Arc<Way>,
}

/// What the connections of a proxy share.
struct Way {
    /// That of the store.
    port: u16,
    choose: Box<Choose>,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    broken: AtomicUsize,
    /// Connections that have not ended; one more for those to come.
    open: AtomicUsize,
    ends: AtomicBool,
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
        let way = Arc::new(Way {
            port,
            choose: Box::new(choose),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            open: AtomicUsize::new(1),
            ends: AtomicBool::new(false),
        });
        let of_connections = way.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_connections.ends.load(Ordering::SeqCst) {
                    break;
                }
                of_connections.open.fetch_add(1, Ordering::SeqCst);
                let way = of_connections.clone();
                thread::spawn(move || {
                    serve(client, &way);
                    way.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
            of_connections.open.fetch_sub(1, Ordering::SeqCst);
        });
        StoreProxy { port: own, way }
    }

    /// Leads to the store at `port`, and holds what a test chooses by its first line until the gate is opened.
    ///
    /// # Panics
    /// When there is no port to listen at.
    #[must_use]
    pub fn gated(port: u16, holds: impl Fn(&str) -> bool + Send + Sync + 'static) -> (Self, Gate) {
        let (came, comes) = mpsc::channel();
        let (closed, opens) = mpsc::channel();
        let opens = Mutex::new(opens);
        let proxy = StoreProxy::start(port, move |_, first| {
            if holds(first) {
                let _ = came.send(());
                let _ = opens.lock().unwrap_or_else(PoisonError::into_inner).recv();
            }
            Fault::None
        });
        let gate = Gate {
            comes,
            _closed: closed,
        };
        (proxy, gate)
    }

    /// Takes no more connections, and waits until those have ended whose clients are gone: what they asked for is done.
    pub fn end(&self) {
        self.way.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        while self.way.open.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.way.requests.load(Ordering::SeqCst)
    }

    /// How many bytes of answers were passed on.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.way.bytes.load(Ordering::SeqCst)
    }

    /// How many connections were ended before an answer.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.way.broken.load(Ordering::SeqCst)
    }
}

/// Holds requests; dropping it lets them go on.
pub struct Gate {
    comes: Receiver<()>,
    /// Nothing is sent; it ends with the gate.
    _closed: Sender<()>,
}

impl Gate {
    /// Waits until a request is held.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait(&self) {
        self.comes.recv_timeout(PATIENCE).unwrap();
    }
}

/// Serves one connection: one request after the other, each to a connection of its own to the store.
fn serve(mut client: TcpStream, way: &Way) -> Option<()> {
    loop {
        let head = read_head(&mut client)?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let first = text.lines().next().unwrap_or_default().to_owned();
        let number = way.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let length = header(&text, "content-length").unwrap_or(0);
        let fault = (way.choose)(number, &first);
        if let Fault::Cut(after) = fault {
            let mut some = vec![0; after.min(length)];
            let _ = client.read_exact(&mut some);
            way.broken.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        if header_is(&text, "expect", "100-continue") {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let step = match fault {
            Fault::Slow(step) => step,
            _ => usize::MAX,
        };
        let mut body = vec![0; length];
        slowly(step, length, |range| client.read_exact(&mut body[range]))?;
        let refused = match fault {
            Fault::Status(status) => Some((status, "SlowDown")),
            Fault::Refused(status, code) => Some((status, code)),
            _ => None,
        };
        if let Some((status, code)) = refused {
            let is_head = first.starts_with("HEAD");
            client.write_all(&refusal(status, code, is_head)).ok()?;
            continue;
        }
        if let Fault::Redirect(port) = fault {
            let head = format!(
                "HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
            );
            client.write_all(head.as_bytes()).ok()?;
            continue;
        }
        if fault == Fault::Endless {
            return endless(&mut client);
        }
        let mut server = TcpStream::connect(("127.0.0.1", way.port)).ok()?;
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
            way.broken.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        if fault == Fault::Silent {
            let _ = client.read(&mut [0]);
            return None;
        }
        if fault == Fault::Unconditional && answer.starts_with(b"HTTP/1.1 412") {
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
        }
        if let Fault::CutAnswer(after) = fault {
            answer.truncate(after);
        }
        if fault == Fault::Aged {
            age(&mut answer);
        }
        if let Fault::Changed(from, to) = fault {
            change(&mut answer, from.as_bytes(), to.as_bytes());
        }
        way.bytes.fetch_add(answer.len(), Ordering::SeqCst);
        slowly(step, answer.len(), |range| client.write_all(&answer[range]))?;
        // The answer says that its connection ends.
        return None;
    }
}

fn endless(client: &mut TcpStream) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).ok()?;
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    loop {
        client.write_all(piece.as_bytes()).ok()?;
    }
}

/// Moves so many bytes, `step` of them in a tenth of a second.
fn slowly(
    step: usize,
    length: usize,
    mut piece: impl FnMut(Range<usize>) -> io::Result<()>,
) -> Option<()> {
    let mut moved = 0;
    while moved < length {
        if moved > 0 {
            thread::sleep(Duration::from_millis(100));
        }
        let end = length.min(moved.saturating_add(step));
        piece(moved..end).ok()?;
        moved = end;
    }
    Some(())
}

/// An answer that says why a request is refused; that to HEAD has no content.
fn refusal(status: u16, code: &str, is_head: bool) -> Vec<u8> {
    let why = format!("<Error><Code>{code}</Code><Message>refused</Message></Error>");
    let why = match is_head {
        true => "",
        false => &why,
    };
    let length = why.len();
    let head = format!("HTTP/1.1 {status} Fault\r\ncontent-length: {length}\r\n\r\n");
    (head + why).into_bytes()
}

/// Changes the century of the times in a listing.
fn age(answer: &mut [u8]) {
    for name in ["<LastModified>", "<Initiated>"] {
        let due = format!("{name}20").into_bytes();
        for at in 0..answer.len().saturating_sub(due.len()) {
            if answer[at..].starts_with(&due) {
                answer[at + name.len()..][..2].copy_from_slice(b"19");
            }
        }
    }
}

/// Changes the body of an answer, where the text is found first.
fn change(answer: &mut [u8], from: &[u8], to: &[u8]) {
    let place = |text: &[u8], from: &[u8]| text.windows(from.len()).position(|at| at == from);
    let Some(body) = place(answer, b"\r\n\r\n") else {
        return;
    };
    if let Some(at) = place(&answer[body..], from) {
        answer[body + at..][..to.len()].copy_from_slice(to);
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
