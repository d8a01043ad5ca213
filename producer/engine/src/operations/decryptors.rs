//! The script and the page that travel in encrypted archives: what they are known by, and copies of them from a place that is trusted.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    archive::write::{PAGE, SCRIPT, page_sha256, script_sha256},
    failure::Failure,
};

/// The list of those that were released, as it was when this program was built.
const RELEASED: &str = include_str!("../../../../decryptors.txt");

/// A script or page that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The version of pryv-backup that it came with.
    pub version: String,
    /// Hex SHA-256 of its bytes.
    pub sha256: String,
    /// `decrypt-backup.mjs` or `decrypt-backup.html`.
    pub file: String,
    /// Whether this program writes it into archives.
    pub own: bool,
}

/// Those of this program, then those of releases, as they are listed.
#[must_use]
pub fn known() -> Vec<Known> {
    let own = [(SCRIPT.0, script_sha256()), (PAGE.0, page_sha256())].map(|(file, sha256)| Known {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256,
        file: file.to_owned(),
        own: true,
    });
    let listed = RELEASED.lines().filter_map(released);
    let others: Vec<Known> = listed
        .filter(|known| own.iter().all(|own| own.sha256 != known.sha256))
        .collect();
    own.into_iter().chain(others).collect()
}

/// A line of the list: version, SHA-256, file, compiler.
fn released(line: &str) -> Option<Known> {
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    Some(Known {
        version: words.next().filter(|word| !word.starts_with('#'))?,
        sha256: words.next()?,
        file: words.next()?,
        own: false,
    })
}

/// Writes script and page into a folder, which is made if it is not there; no file is replaced. Returns their paths.
///
/// # Errors
/// When the system refuses, or a file of one of the names is there.
pub fn write(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |path: &Path, e: io::Error| {
        let path = path.display();
        Failure::failed(match e.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{path} is there already and is left as it is: choose another folder")
            }
            _ => format!("{path}: {e}"),
        })
    };
    fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    let mut written = Vec::new();
    for (name, text) in [SCRIPT, PAGE] {
        let path = folder.join(name);
        let put = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&path).map_err(|e| e.error)?;
            Ok(())
        };
        put().map_err(|e| failed(&path, e))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_list_are_read() {
        let known = released("1.2.0  00ff  decrypt-backup.mjs  rustc-1.95.0").unwrap();
        assert_eq!(
            (
                known.version.as_str(),
                known.sha256.as_str(),
                known.file.as_str()
            ),
            ("1.2.0", "00ff", "decrypt-backup.mjs")
        );
        assert_eq!(released("# version  SHA-256  file  compiler"), None);
        assert_eq!(released(""), None);
    }

    #[test]
    fn the_list_of_releases_is_sound() {
        for known in RELEASED.lines().filter_map(released) {
            assert_eq!(known.sha256.len(), 64, "{known:?}");
            assert!(
                [SCRIPT.0, PAGE.0].contains(&known.file.as_str()),
                "{known:?}"
            );
        }
    }
}
