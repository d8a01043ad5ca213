//! Passwords in the file that libpq reads (PostgreSQL documentation, "The Password File").

use super::Secret;
use super::layers::Layers;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The password of the first line that fits. A file that is not there, or that others may read, counts as none.
pub fn find(layers: &Layers, host: &str, port: u16, database: &str, user: &str) -> Option<Secret> {
    let path = match layers.variable("PGPASSFILE") {
        Some(found) => PathBuf::from(found.value),
        None => Path::new(&layers.variable("HOME")?.value).join(".pgpass"),
    };
    if !private(&path) {
        return None;
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).ok()?);
    // A server on this machine's socket is written as localhost.
    let host = if host.starts_with('/') {
        "localhost"
    } else {
        host
    };
    let wanted = [host, &port.to_string(), database, user];
    let line = text.lines().find_map(|line| matching(line, wanted))?;
    Some(Secret(line))
}

#[cfg(unix)]
fn private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn private(path: &Path) -> bool {
    path.is_file()
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
