//! A case of the kit: an archive, how it is opened, and what must happen.

use std::{collections::BTreeMap, fs, path::Path};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::sign;
use serde_json::json;

use crate::draft::{Draft, Files, Made};

/// The path of a file that is the archive itself.
pub const TAR: &str = "";

/// The hex SHA-256 of files by their paths.
pub type Digests = BTreeMap<String, String>;

/// See README.md.
#[derive(Clone)]
pub struct Case {
    name: &'static str,
    /// The expected behaviour, in one line.
    line: &'static str,
    made: Made,
    args: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
    exit: u8,
    says: Vec<&'static str>,
    /// All that must be said, line by line; empty where it is not fixed.
    exactly: Vec<&'static str>,
    /// Texts that must not be printed.
    never: Vec<&'static str>,
    /// Who forged it, and what he held.
    forger: Option<&'static str>,
    /// The expected output; `None`: nothing, not even a folder.
    out: Option<Digests>,
    /// Two files that are one on a disk that takes `A` and `a` for the same, or two spellings of an accent.
    one_on_disk: Option<[String; 2]>,
    /// Path and target of links among the files.
    links: Vec<(&'static str, &'static str)>,
}

impl Case {
    /// A case in which everything comes out and nothing is wrong, opened with Alice's key.
    pub fn good(name: &'static str, line: &'static str, draft: &Draft) -> Self {
        let made = draft.make();
        Case {
            name,
            line,
            out: Some(digests(&made.content)),
            made,
            args: vec!["--private-key".into(), "{keys}/alice.pem".into()],
            env: Vec::new(),
            exit: 0,
            says: Vec::new(),
            exactly: Vec::new(),
            never: Vec::new(),
            forger: None,
            one_on_disk: None,
            links: Vec::new(),
        }
    }

    /// A case with these files, of which these must come out, opened with Alice's key.
    #[allow(dead_code)]
    pub fn made(name: &'static str, line: &'static str, files: Files, out: Files) -> Self {
        let draft = Draft {
            lock: crate::draft::Lock::None,
            content: Files::new(),
            ..Draft::new()
        };
        let mut case = Case::good(name, line, &draft);
        case.made = Made {
            files,
            content: out,
            key: None,
        };
        case.out = Some(digests(&case.made.content));
        case
    }

    /// Files of these digests come out.
    #[allow(dead_code)]
    pub fn comes_out(mut self, files: Digests) -> Self {
        self.out = Some(files);
        self
    }

    /// The stored files are changed.
    #[allow(dead_code)]
    pub fn change(mut self, change: impl FnOnce(&mut Files)) -> Self {
        change(&mut self.made.files);
        self
    }

    /// The stored files are changed; exit code 4, and `says` must be said.
    pub fn damaged(self, change: impl FnOnce(&mut Made), says: &[&'static str]) -> Self {
        let mut case = Case { exit: 4, ..self };
        change(&mut case.made);
        case.says.extend(says);
        case
    }

    /// These files must not come out.
    pub fn without(mut self, paths: &[&str]) -> Self {
        let out = self.out.as_mut().unwrap();
        for path in paths {
            assert!(
                out.remove(*path).is_some(),
                "{}: {path} would not have come out",
                self.name
            );
        }
        self
    }

    /// No file of a user comes out, or only under names that say that something is wrong with them.
    #[allow(dead_code)]
    pub fn without_user(mut self, user: &str, salvaged: bool) -> Self {
        let folder = format!("users/{user}/");
        let out = self.out.as_mut().unwrap();
        let mut of_user = out.extract_if(.., |path, _| path.starts_with(&folder));
        let of_user: Vec<_> = of_user.by_ref().collect();
        assert!(!of_user.is_empty(), "{}: {user}", self.name);
        for (path, digest) in of_user {
            // Of an empty file there is nothing to keep.
            if salvaged && !path.ends_with("user-manifest.json") && digest != sha256_hex(b"") {
                out.insert(path + ".salvaged", digest);
            }
        }
        self
    }

    /// A file comes out with other content than was put in, or under another name.
    pub fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.out
            .as_mut()
            .unwrap()
            .insert(path.to_owned(), sha256_hex(bytes));
        self
    }

    /// Nothing comes out.
    pub fn nothing(mut self) -> Self {
        self.out = None;
        self
    }

    /// Other arguments than Alice's key.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|a| (*a).to_owned()).collect();
        self
    }

    /// Further arguments.
    pub fn also(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|a| (*a).to_owned()));
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The same archive as another case.
    pub fn called(self, name: &'static str, line: &'static str) -> Self {
        Case { name, line, ..self }
    }

    /// Another exit code.
    pub fn exit(mut self, code: u8) -> Self {
        self.exit = code;
        self
    }

    /// Something that must be said.
    pub fn says(mut self, text: &'static str) -> Self {
        self.says.push(text);
        self
    }

    /// Something that must not be said.
    pub fn never(mut self, text: &'static str) -> Self {
        self.never.push(text);
        self
    }

    /// Somebody forged it, who held this.
    pub fn forged_by(mut self, forger: &'static str) -> Self {
        self.forger = Some(forger);
        self
    }

    /// All that must be said, in any order; `{archive}`, `{keys}` and `{id}` stand for the paths and the archive's id; see also
    /// [`named`].
    pub fn exactly(mut self, lines: &[&'static str]) -> Self {
        self.exactly.extend(lines);
        self
    }

    /// These two are one file on some disks.
    #[allow(dead_code)]
    pub fn one_on_disk(mut self, paths: [String; 2]) -> Self {
        self.one_on_disk = Some(paths);
        self
    }

    /// A symbolic link among the files.
    pub fn link(mut self, path: &'static str, target: &'static str) -> Self {
        self.links.push((path, target));
        self
    }

    /// Writes the case below `root`.
    pub fn write(&self, root: &Path) {
        let folder = root.join(self.name);
        let archive = folder.join("archive");
        let tar = self.made.files.get(TAR);
        fs::create_dir_all(if tar.is_some() { &folder } else { &archive }).unwrap();
        if let Some(tar) = tar {
            fs::write(&archive, tar).unwrap();
        }
        for (path, bytes) in self.made.files.iter().filter(|(path, _)| *path != TAR) {
            let place = archive.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
        #[cfg(unix)]
        for (path, target) in &self.links {
            std::os::unix::fs::symlink(target, archive.join(path)).unwrap();
        }
        let forger = self
            .forger
            .map_or_else(String::new, |forger| format!(" (forged by {forger})"));
        let expect = format!("exit {}: {}{forger}\n", self.exit, self.line);
        fs::write(folder.join("EXPECT"), expect).unwrap();
        let [says, exactly, never] = [&self.says, &self.exactly, &self.never].map(|all| named(all));
        let env = self
            .env
            .iter()
            .map(|(name, value)| (*name, named(&[value]).concat()));
        let case = json!({
            "line": self.line, "args": named(&self.args), "env": env.collect::<std::collections::BTreeMap<_, _>>(),
            "exit": self.exit, "says": says, "exactly": exactly, "never": never, "forger": self.forger, "out": self.out,
            "oneOnDisk": self.one_on_disk,
        });
        fs::write(
            folder.join("case.json"),
            serde_json::to_vec_pretty(&case).unwrap(),
        )
        .unwrap();
    }
}

fn digests(files: &Files) -> Digests {
    let digest = |(path, bytes): (&String, &Vec<u8>)| (path.clone(), sha256_hex(bytes));
    files.iter().map(digest).collect()
}

/// Texts with the public keys for which `{signer}` and `{mallory}` stand: those of the host that makes the archives of the kit, and of
/// somebody who forges some.
fn named(texts: &[impl AsRef<str>]) -> Vec<String> {
    let keys = [("{signer}", sign::host()), ("{mallory}", sign::mallory())];
    let one = |text: &str| {
        keys.iter().fold(text.to_owned(), |text, (name, key)| {
            text.replace(name, key.signer().as_str())
        })
    };
    texts.iter().map(|text| one(text.as_ref())).collect()
}
