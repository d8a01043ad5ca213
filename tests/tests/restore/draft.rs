//! Archives to be changed as whoever can write to them could.

use pryv_backup_tests::{folder, plain::lines, stage::Stage};
use serde_json::Value;
use std::{fs, io::Write, path::PathBuf};

/// An archive without an inventory, as Pryv's own tool makes them: whoever can write to it can change anything.
pub struct Draft {
    pub root: PathBuf,
    pub manifest: Value,
}

impl Draft {
    /// A small archive of Pryv's own tool, not compressed.
    pub fn new(stage: &Stage, name: &str) -> Self {
        let root = stage.at(name);
        folder::copy(&stage.fixtures.join("archives/small-plain"), &root);
        for (path, bytes) in folder::tree(&root) {
            if let Some(plain) = path.strip_suffix(".gz") {
                let text: String = lines(&path, &bytes)
                    .iter()
                    .map(|l| format!("{l}\n"))
                    .collect();
                fs::remove_file(root.join(&path)).unwrap();
                fs::write(root.join(plain), text).unwrap();
            }
        }
        let manifest = fs::read(root.join("manifest.json")).unwrap();
        let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest["compressed"] = false.into();
        let mut draft = Self { root, manifest };
        for user in 0..draft.users() {
            let chunks = draft.manifest["users"][user]["chunks"]
                .as_object_mut()
                .unwrap();
            for name in chunks
                .values_mut()
                .flat_map(|list| list.as_array_mut().unwrap())
            {
                *name = name.as_str().unwrap().trim_end_matches(".gz").into();
            }
        }
        draft.seal();
        draft
    }

    pub fn users(&self) -> usize {
        self.manifest["users"].as_array().unwrap().len()
    }

    pub fn id(&self, user: usize) -> String {
        self.manifest["users"][user]["userId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A file of a user.
    pub fn at(&self, user: usize, path: &str) -> PathBuf {
        self.root.join("users").join(self.id(user)).join(path)
    }

    pub fn append(&self, user: usize, path: &str, line: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.at(user, path))
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// Writes the manifests.
    pub fn seal(&self) {
        let text = serde_json::to_vec_pretty(&self.manifest).unwrap();
        fs::write(self.root.join("manifest.json"), text).unwrap();
        for user in 0..self.users() {
            let own = &self.manifest["users"][user];
            let path = self.at(user, "user-manifest.json");
            if path.parent().unwrap().is_dir() {
                fs::write(path, serde_json::to_vec_pretty(own).unwrap()).unwrap();
            }
        }
    }
}
