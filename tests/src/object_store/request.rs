//! Signed requests to an object store.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub(super) const ACCESS_KEY: &str = "backupkey";
pub(super) const SECRET_KEY: &str = "backupsecret";
pub(super) const REGION: &str = "us-east-1";

/// The text of an answer.
pub(super) fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

/// Makes a request; returns status and answer, status 0 where there is no answer.
pub(super) fn send(
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

pub(super) fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
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

pub(super) fn escape(text: &str) -> String {
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

pub(super) fn escape_path(text: &str) -> String {
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
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
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
