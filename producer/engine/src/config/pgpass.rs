//! Passwords in the file that libpq reads (PostgreSQL documentation, "The Password File").

use super::Password;
use super::layers::Layers;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where the server's own tools look for its socket: upstream, and as Debian builds them.
const SOCKETS: [&str; 2] = ["/tmp", "/var/run/postgresql"];

/// The password of the first line that fits.
///
/// # Errors
/// Why the file is there and not read.
pub fn find(
    layers: &Layers,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> Result<Option<Password>, String> {
    let path = match layers.variable("PGPASSFILE") {
        Some(found) => PathBuf::from(found.value),
        None => match layers.home() {
            Some(home) => home.join(".pgpass"),
            None => return Ok(None),
        },
    };
    let because = |why: &str| Err(format!("the file of passwords {} {why}", path.display()));
    let file = match std::fs::metadata(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            // Whoever has one says with HOME where it is; services are often started without.
            return because(
                "is not there (PGPASSFILE names another one; HOME is where it is looked for)",
            );
        }
        Err(e) => return because(&format!("cannot be read: {e}")),
    };
    if !file.is_file() {
        return because("is not read, because it is no ordinary file");
    }
    if open_to_others(&file) {
        return because("is not read, because others may read it: chmod 600");
    }
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(e) => return because(&format!("cannot be read: {e}")),
    };
    let host = match SOCKETS.contains(&host) {
        true => "localhost",
        false => host,
    };
    let wanted = [host, &port.to_string(), database, user];
    match text.lines().find_map(|line| matching(line, wanted)) {
        Some(password) => Ok(Some(Password(password))),
        None => because(&format!("has no line for {host}:{port}:{database}:{user}")),
    }
}

#[cfg(unix)]
fn open_to_others(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &Metadata) -> bool {
    false
}

/// The password of a line `host:port:database:user:password`, if it is for what is wanted.
fn matching(line: &str, wanted: [&str; 4]) -> Option<Zeroizing<String>> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest);
        if *field != "*" && *field != wanted {
            return None;
        }
        rest = after?;
    }
    Some(field(rest).0)
}

/// The text up to the next colon, without its backslashes, and what follows the colon.
fn field(text: &str) -> (Zeroizing<String>, Option<&str>) {
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ':' => return (value, Some(&text[at + 1..])),
            '\\' => value.push(characters.next().map_or('\\', |(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_libpq_reads_them() {
        let wanted = ["db", "5432", "pryv", "alice"];
        let found = |line: &str| matching(line, wanted).map(|password| password.to_string());
        assert_eq!(found("db:5432:pryv:alice:secret"), Some("secret".into()));
        assert_eq!(found("*:*:*:*:a\\:b\\\\c"), Some("a:b\\c".into()));
        assert_eq!(found("db:*:other:alice:secret"), None);
        assert_eq!(found("#db:5432:pryv:alice:secret"), None);
        assert_eq!(found("db:5432:pryv:alice"), None);
        assert_eq!(
            matching("\\:\\::1:d:u:p", ["::", "1", "d", "u"]).map(|p| p.to_string()),
            Some("p".into())
        );
    }
}
