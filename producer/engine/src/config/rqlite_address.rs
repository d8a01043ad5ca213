//! Addresses of rqlite servers.

use base64ct::{Base64, Encoding};
use ureq::http::{HeaderValue, Uri};

/// Takes user and password out of an address. Percent signs are decoded; a password that holds `/` or `@` as they
/// are is understood too, since the last `@` ends it.
pub fn split(url: &str) -> (String, Option<HeaderValue>) {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let Some((user_info, host)) = rest.rsplit_once('@') else {
        return (url.to_owned(), None);
    };
    let header = format!("Basic {}", Base64::encode_string(&decoded(user_info)));
    let mut header = HeaderValue::from_str(&header).ok();
    if let Some(header) = &mut header {
        header.set_sensitive(true);
    }
    (scheme + host, header)
}

/// The host of an address `http://host:port/path`, from which user and password were taken; none when it is malformed, since then
/// what is left may be a part of the password.
pub fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let host = authority.host();
    let whole = match authority.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let well_formed =
        known && !host.is_empty() && whole == authority.as_str() && uri.query().is_none();
    well_formed.then(|| host.to_owned())
}

/// Bytes whose `%41` are decoded; other percent signs stay.
fn decoded(text: &str) -> Vec<u8> {
    let hex = |at: usize| {
        text.get(at..at + 2)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let code = hex(at + 1).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                at += 3;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    bytes
}

/// Where a redirect leads from `target`, without user and password.
pub fn follow(target: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        let (address, _) = split(location);
        let (place, _) = address.split_once('?').unwrap_or((&address, ""));
        return host(place).map(|_| address.clone());
    }
    let path = target.find("://").and_then(|at| {
        let host = at + 3;
        Some(host + target.get(host..)?.find('/')?)
    })?;
    location.starts_with('/').then(|| {
        target
            .get(..path)
            .map(|origin| format!("{origin}{location}"))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_leave_the_address() {
        for (url, address, credentials) in [
            ("http://localhost:4001", "http://localhost:4001", None),
            ("http://u:p@h:1", "http://h:1", Some("Basic dTpw")),
            (
                "https://u:%C3%A9%2@h/x",
                "https://h/x",
                Some("Basic dTrDqSUy"),
            ),
            ("http://u:a/b@c@h", "http://h", Some("Basic dTphL2JAYw==")),
            ("u:p@h", "h", Some("Basic dTpw")),
        ] {
            let (found, header) = split(url);
            assert_eq!(found, address);
            assert_eq!(
                header.as_ref().and_then(|h| h.to_str().ok()),
                credentials,
                "{url}"
            );
        }
    }

    #[test]
    fn what_may_be_a_password_is_no_host() {
        for (url, found) in [
            ("http://localhost:4001", Some("localhost")),
            ("https://[::1]:4001/x", Some("[::1]")),
            ("http://h", Some("h")),
            ("http://user:secret", None),
            ("http://user:secret:4001", None),
            ("http://u:p%40h:4001", None),
            ("http:/h", None),
            ("h:4001", None),
            ("http://h?password=secret", None),
            ("postgres://h", None),
            ("", None),
        ] {
            assert_eq!(host(url).as_deref(), found, "{url}");
        }
    }

    #[test]
    fn a_redirect_leads_to_an_address() {
        for (location, target) in [
            ("https://n2:4001/db/query", Some("https://n2:4001/db/query")),
            ("http://u:p@n2/q", Some("http://n2/q")),
            ("/db/query?x", Some("http://n1:4001/db/query?x")),
            ("n2:4002", None),
            ("http://u:secret", None),
        ] {
            assert_eq!(
                follow("http://n1:4001/db/query", location).as_deref(),
                target
            );
        }
    }
}
