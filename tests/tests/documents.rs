//! The documents: what they name is there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pryv_backup_tests::command::{run, text, tool};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Path from the root, and text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for folder in ["", "docs", "npm", "web", "tests/testkit"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name();
            let path = Path::new(folder).join(name);
            if path.extension().is_some_and(|kind| kind == "md") {
                let text = fs::read_to_string(root().join(&path)).unwrap();
                all.push((path, text));
            }
        }
    }
    assert!(all.len() >= 10);
    all
}

/// The text between two marks, on one line.
fn between<'t>(text: &'t str, open: &'t str, close: char) -> impl Iterator<Item = &'t str> {
    let parts = text.split(open).skip(1);
    parts.filter_map(move |part| part.split_once(close).map(|(inner, _)| inner))
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in documents() {
        let folder = path.parent().unwrap();
        for link in between(&text, "](", ')').filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => folder.join(file),
            };
            let there = fs::read_to_string(root().join(&target));
            let there = there.unwrap_or_else(|_| panic!("{}: {link} is not there", path.display()));
            let has_anchor = there.lines().any(|line| {
                line.starts_with('#') && slug(line.trim_start_matches('#').trim()) == anchor
            });
            assert!(
                anchor.is_empty() || has_anchor,
                "{}: {link}",
                path.display()
            );
        }
    }
}

/// The name that a heading has in links.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The map of the code: each file or folder in backticks is there.
#[test]
fn files_that_are_named_are_there() {
    let tops = [
        "producer/",
        "decryptor-wasm/",
        "npm/",
        "web/",
        "tests/",
        "docs/",
        "scripts/",
        "tools/",
    ];
    // Made by the build.
    let made = ["npm/dist", "web/dist"];
    for (path, text) in documents() {
        // It may name files of previous releases.
        if path == Path::new("CHANGELOG.md") {
            continue;
        }
        for code in text.split('`').skip(1).step_by(2) {
            let is_path = tops.iter().any(|top| code.starts_with(top)) && !code.contains(' ');
            if is_path && !made.iter().any(|made| code.starts_with(made)) && !code.contains('*') {
                assert!(
                    root().join(code).exists(),
                    "{} names {code}, which is not there",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 120);
}

/// Each option that a guide names is one of the tool, and each option of a backup or restore is in the guide.
#[test]
fn options_are_those_of_the_tool() {
    let help = |words: &[&str]| text(&run(Command::new(tool()).args(words).arg("--help")));
    let overview = help(&[]);
    let (_, commands) = overview.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"decrypt"), "{overview}");
    let top = options(&overview);
    let mut known = top.clone();
    for command in commands {
        known.extend(options(&help(&[command])));
    }
    let guides = ["operating.md", "key-holder.md"].map(|name| {
        let guide = fs::read_to_string(root().join("docs").join(name)).unwrap();
        let code: Vec<&str> = guide.split('`').skip(1).step_by(2).collect();
        options(&code.join("\n"))
    });
    for option in guides.iter().flatten() {
        assert!(known.contains(option), "{option} is no option of the tool");
    }
    for option in top
        .iter()
        .filter(|option| *option != "--version" && *option != "--help")
    {
        assert!(
            guides[0].contains(option),
            "{option} is not in docs/operating.md"
        );
    }
}

/// The long options in a text.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    let long = words.filter(|word| word.starts_with("--") && word.len() > 2);
    long.map(str::to_owned).collect()
}
