//! Names in an archive for files of a host: every system can write them, and no two of them are one anywhere.

use std::collections::BTreeSet;

use decryptor_wasm::layout::{caseless, is_safe_name};

/// Names that were given.
#[derive(Default)]
pub struct StoredNames(BTreeSet<String>);

impl StoredNames {
    /// The path for a file or folder of that name; `folder` ends with a slash, or is empty.
    pub fn give(&mut self, folder: &str, name: &str) -> String {
        let usual = |c: char| match c.is_control() || "\\/:*?\"<>|".contains(c) {
            true => '_',
            false => c,
        };
        let mut name: String = name.chars().map(usual).collect();
        if !is_safe_name(&name) {
            "file".clone_into(&mut name);
        }
        loop {
            let path = format!("{folder}{name}");
            if self.0.insert(caseless(&path)) {
                return path;
            }
            name.insert_str(0, "other-");
            if !is_safe_name(&name) {
                "file".clone_into(&mut name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        let mut names = StoredNames::default();
        let long = "n".repeat(255);
        for (name, due) in [
            ("a.yml", "x/a.yml"),
            ("a.yml", "x/other-a.yml"),
            ("A.yml", "x/other-A.yml-"),
            ("a:b", "x/a_b"),
            ("..", "x/file"),
            ("con", "x/other-file"),
            (&long, &format!("x/{long}")),
            (&long, "x/other-other-file"),
        ] {
            let given = names.give("x/", name);
            match due.strip_suffix('-') {
                // Two are taken already but for upper and lower case.
                Some(_) => assert_eq!(given, "x/other-other-A.yml"),
                None => assert_eq!(given, due, "{name}"),
            }
        }
        assert_eq!(names.give("y/", "a.yml"), "y/a.yml");
    }
}
