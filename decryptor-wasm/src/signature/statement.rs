//! The statement that the signature of a run makes: the trusted comment of its minisign file.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{BackupType, Code, Error, Field, Manifest, Result, hex};

/// The first word of the comment.
const VERSION: &str = "pryv-backup-run-v1";

/// The trusted comment of a run's signature, field by field in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Hex SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// The id of run 1; of run 1 its own.
    pub base: String,
    /// The id of the run before; none for run 1.
    pub parent: Option<String>,
    /// Counted from 1.
    pub run: u32,
    /// Whether it is a full run or an increment.
    pub kind: BackupType,
    /// When the run was made, in milliseconds since 1970.
    pub created: i64,
    /// The platform that it is of: 32 hex digits that mean something to the host alone.
    pub source: String,
    /// The number of losses that the run names.
    pub losses: u64,
    /// Hex digest of all its files; see [`super::FilesDigest`].
    pub files: String,
    /// The core of the platform that it is of, where one is named.
    pub core: Option<String>,
}

impl Statement {
    /// The statement to sign for `manifest`, stored as `stored`, with files of that digest.
    ///
    /// # Errors
    /// When the manifest lacks what every signed one has.
    pub fn of(manifest: &Manifest, stored: &[u8], files: &str) -> Result<Self> {
        let lacks = |what: &str| {
            Error::of(Code::StatementLacks)
                .at("manifest.json")
                .with(Field::Found, what)
        };
        let id = hex(&Sha256::digest(stored));
        let link = manifest.chain.as_ref();
        Ok(Statement {
            base: link.map_or_else(|| id.clone(), |link| link.base.clone()),
            parent: link.map(|link| link.parent.clone()),
            run: link.map_or(1, |link| link.run),
            kind: manifest.backup_type,
            created: manifest.created_at.ok_or_else(|| lacks("createdAt"))?,
            source: manifest.source.clone().ok_or_else(|| lacks("source"))?,
            losses: manifest.loss_count.ok_or_else(|| lacks("lossCount"))?,
            files: files.to_owned(),
            core: manifest.core.clone(),
            id,
        })
    }

    /// Reads a trusted comment; none when it is not exactly one.
    pub fn parse(comment: &str) -> Option<Self> {
        let mut words = comment.split(' ');
        if words.next()? != VERSION {
            return None;
        }
        let value = |word: &str, name: &str| {
            let value = word.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.to_owned())
        };
        let mut field = |name: &str| value(words.next()?, name);
        let (id, base, parent) = (field("id")?, field("base")?, field("parent")?);
        let mut statement = Statement {
            id,
            base,
            parent: (parent != "-").then_some(parent),
            run: field("run")?.parse().ok()?,
            kind: field("kind")?.into(),
            created: field("created")?.parse().ok()?,
            source: field("source")?,
            losses: field("losses")?.parse().ok()?,
            files: field("files")?,
            core: None,
        };
        statement.core = words.next().and_then(|word| value(word, "core"));
        let digests = [&statement.id, &statement.base, &statement.files];
        let sound = digests
            .into_iter()
            .chain(&statement.parent)
            .all(|digest| is_hex(digest, 64))
            && is_hex(&statement.source, 32)
            && statement.core.as_deref().is_none_or(is_core_name);
        // One spelling only: numbers without signs and zeros in front, nothing behind.
        (sound && statement.to_string() == comment).then_some(statement)
    }

    /// The first field in which two statements differ.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let fields = [
            ("id", self.id == other.id),
            ("base", self.base == other.base),
            ("parent", self.parent == other.parent),
            ("run", self.run == other.run),
            ("kind", self.kind == other.kind),
            ("time", self.created == other.created),
            ("source", self.source == other.source),
            ("number of losses", self.losses == other.losses),
            ("digest of its files", self.files == other.files),
            ("core", self.core == other.core),
        ];
        let differs = fields.into_iter().find(|(_, same)| !same);
        differs.map(|(name, _)| name)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{VERSION} id={} base={} parent={} run={} kind={} created={} source={} losses={} files={}",
            self.id,
            self.base,
            self.parent.as_deref().unwrap_or("-"),
            self.run,
            self.kind.name(),
            self.created,
            self.source,
            self.losses,
            self.files
        )?;
        match &self.core {
            Some(core) => write!(f, " core={core}"),
            None => Ok(()),
        }
    }
}

/// Whether a text can name a core: 1 to 63 letters, digits, `.`, `_` and `-`.
pub fn is_core_name(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=63).contains(&text.len()) && text.bytes().all(sound)
}

fn is_hex(text: &str, length: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_one_spelling() {
        let [id, base, files] = ["a", "b", "c"].map(|digit| digit.repeat(64));
        let source = "0".repeat(32);
        for parent in ["-", &base] {
            let comment = format!(
                "pryv-backup-run-v1 id={id} base={base} parent={parent} run=2 kind=incremental created=1700000000000 source={source} losses=0 files={files}"
            );
            let statement = Statement::parse(&comment).unwrap();
            assert_eq!(statement.to_string(), comment);
            assert_eq!(statement.parent.is_none(), parent == "-");
            for (of, by) in [
                ("run=2", "run=02"),
                ("run=2", "run=+2"),
                ("kind=incremental", "kind=Full"),
                ("-v1", "-v2"),
                ("losses=0", "losses=-0"),
                (" run=2", "  run=2"),
                ("id=a", "id=A"),
                ("source=0", "source=00"),
                (" losses=0", ""),
            ] {
                let other = comment.replacen(of, by, 1);
                assert_ne!(other, comment);
                assert_eq!(Statement::parse(&other), None, "{other}");
            }
            assert_eq!(statement.core, None);
            let of_core = Statement::parse(&format!("{comment} core=eu-1")).unwrap();
            assert_eq!(of_core.core.as_deref(), Some("eu-1"));
            assert_eq!(of_core.to_string(), format!("{comment} core=eu-1"));
            assert_eq!(of_core.difference(&statement), Some("core"));
            for more in [
                " more=1",
                " core=",
                " core",
                " core=a/b",
                " core=é",
                " core=a core=b",
                " core=a ",
                "  core=a",
            ] {
                assert_eq!(
                    Statement::parse(&format!("{comment}{more}")),
                    None,
                    "{more}"
                );
            }
            assert!(!is_core_name(&"a".repeat(64)) && is_core_name(&"a".repeat(63)));
        }
    }
}
