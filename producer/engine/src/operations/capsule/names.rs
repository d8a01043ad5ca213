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
        let mut number = 1;
        if !is_safe_name(&name) {
            "file".clone_into(&mut name);
        }
        let mut path = format!("{folder}{name}");
        while !self.0.insert(caseless(&path)) {
            number = number.max(self.0.len());
            // A number in front leaves the kind of the file as it is. One that does not fit there is known by the number alone.
            let numbered = format!("{number}-{name}");
            path = match is_safe_name(&numbered) {
                true => format!("{folder}{numbered}"),
                false => format!("{folder}file-{number}"),
            };
            number += 1;
        }
        path
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
            ("a.yml", "x/1-a.yml"),
            ("A.yml", "x/2-A.yml"),
            ("a:b", "x/a_b"),
            ("..", "x/file"),
            ("con", "x/5-file"),
            (&long, &format!("x/{long}")),
            (&long, "x/file-7"),
        ] {
            assert_eq!(names.give("x/", name), due, "{name}");
        }
        assert_eq!(names.give("y/", "a.yml"), "y/a.yml");
    }

    #[test]
    fn there_are_names_for_any_number_of_files() {
        let mut names = StoredNames::default();
        let long = "n".repeat(255);
        for at in 0..3000 {
            // A dot at the end is none of Windows'.
            for name in [format!("{at}."), long.clone(), "con".to_owned()] {
                assert!(is_safe_name(&names.give("", &name)));
            }
        }
        assert_eq!(names.0.len(), 9000);
    }
}
