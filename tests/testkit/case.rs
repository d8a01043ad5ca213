//! A case of the kit: an archive, how it is opened, and what must happen.

use std::{fs, path::Path};

use pryv_backup::archive::sha256_hex;
use serde_json::json;

use crate::draft::{Draft, Files, Made};

/// See README.md.
#[derive(Clone)]
pub struct Case {
    name: &'static str,
    /// What must happen, in one line.
    line: &'static str,
    made: Made,
    args: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
    exit: u8,
    says: Vec<&'static str>,
    /// All that must be said, line by line; empty where it is not fixed.
    exactly: Vec<&'static str>,
    /// What must come out; `None`: nothing, not even a folder.
    out: Option<Files>,
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
            out: Some(made.content.clone()),
            made,
            args: vec!["--private-key".into(), "{keys}/alice.pem".into()],
            env: Vec::new(),
            exit: 0,
            says: Vec::new(),
            exactly: Vec::new(),
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
            content: out.clone(),
            key: None,
        };
        case.out = Some(out);
        case
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

    /// A file comes out with other content than was put in, or under another name.
    pub fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.out
            .as_mut()
            .unwrap()
            .insert(path.to_owned(), bytes.to_vec());
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

    /// All that must be said, in any order; `{archive}`, `{keys}` and `{id}` stand for the paths and the archive's id.
    pub fn exactly(mut self, lines: &[&'static str]) -> Self {
        self.exactly.extend(lines);
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
        fs::create_dir_all(&archive).unwrap();
        for (path, bytes) in &self.made.files {
            let place = archive.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
        #[cfg(unix)]
        for (path, target) in &self.links {
            std::os::unix::fs::symlink(target, archive.join(path)).unwrap();
        }
        fs::write(
            folder.join("EXPECT"),
            format!("exit {}: {}\n", self.exit, self.line),
        )
        .unwrap();
        let out = self.out.as_ref().map(|files| {
            files
                .iter()
                .map(|(p, b)| (p.clone(), json!(sha256_hex(b))))
                .collect::<serde_json::Map<_, _>>()
        });
        let case = json!({
            "line": self.line, "args": self.args, "env": self.env.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
            "exit": self.exit, "says": self.says, "exactly": self.exactly, "out": out,
        });
        fs::write(
            folder.join("case.json"),
            serde_json::to_vec_pretty(&case).unwrap(),
        )
        .unwrap();
    }
}
