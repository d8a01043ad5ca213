//! As much of HTTP/1.1 as the server needs: one request and one answer per connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// The query's names and values, decoded; a name alone has an empty value.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As long as `content-length` says.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads one.
    ///
    /// # Errors
    /// When the connection ends early or the request is none.
    pub fn read(stream: &TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut request = Self {
            method,
            path: path.to_owned(),
            query: query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decoded(name), decoded(value)))
                .collect(),
            headers,
            body: Vec::new(),
        };
        let length = request
            .header("content-length")
            .and_then(|n| n.parse().ok());
        request.body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut request.body)?;
        Ok(request)
    }

    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// The value of a query parameter, empty when it has none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

/// A response.
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Headers besides the length.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Text with a status, as Go's servers write their errors.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        let kind = "text/plain; charset=utf-8".to_owned();
        Self {
            status,
            headers: vec![("Content-Type", kind)],
            body: format!("{text}\n").into_bytes(),
        }
    }

    /// A JSON value, with status 200.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Self {
        let kind = "application/json; charset=utf-8".to_owned();
        Self {
            status: 200,
            headers: vec![("Content-Type", kind)],
            body: value.to_string().into_bytes(),
        }
    }

    /// Bytes, with status 200.
    #[must_use]
    pub fn bytes(body: Vec<u8>) -> Self {
        let kind = "application/octet-stream".to_owned();
        Self {
            status: 200,
            headers: vec![("Content-Type", kind)],
            body,
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!(
            "Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)
    }
}

/// A part of a query: `+` is a space and `%41` an `A`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.extend(u8::from_str_radix(&digits, 16));
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The bytes of one request.
///
/// # Errors
/// When the connection ends early.
pub fn whole(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    bytes.extend(body);
    Ok(bytes)
}
