//! How the code is built: which crate may know what, and no modules that import each other in a circle.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The sources of a crate, such as `producer/engine`.
fn sources(krate: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(krate)
        .join("src")
}

/// Path of a module, such as `["platform", "sqlite"]`, and its text without comments, texts and tests.
type Modules = BTreeMap<Vec<String>, String>;

fn modules(folder: &Path, path: &[String], found: &mut Modules) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        let stem = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut inner = path.to_vec();
        if stem != "mod" && stem != "lib" {
            inner.push(stem);
        }
        if entry.is_dir() {
            modules(&entry, &inner, found);
        } else {
            found.insert(inner, code(&fs::read_to_string(&entry).unwrap()));
        }
    }
}

fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\n").next().unwrap();
    let lines = text.lines().map(|line| {
        let line = line.split("//").next().unwrap();
        // Every other part is within quotation marks.
        line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// All paths of a tree of imports, `a::{b, c::{d}}`.
fn paths(tree: &str) -> Vec<String> {
    let Some((start, rest)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut from, mut all) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                all.extend(paths(&format!("{start}{}", &inner[from..at])));
                from = at + 1;
            }
            _ => {}
        }
    }
    all
}

/// The modules that a module names.
fn imports(path: &[String], text: &str, modules: &Modules) -> BTreeSet<Vec<String>> {
    let mut named: Vec<String> = Vec::new();
    for part in text.split("use ").skip(1) {
        let tree = part.split(';').next().unwrap_or_default();
        let tree = tree.split_whitespace().collect::<Vec<_>>().join(" ");
        named.extend(paths(&tree.replace(' ', "")));
    }
    for part in text.split("crate::").skip(1) {
        let end = part.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        named.push(format!("crate::{}", &part[..end.unwrap_or(part.len())]));
    }
    let mut found = BTreeSet::new();
    for name in named {
        let mut parts: Vec<String> = name.split("::").map(ToOwned::to_owned).collect();
        let mut full = match parts[0].as_str() {
            "crate" => Vec::new(),
            _ => path.to_vec(),
        };
        while parts.first().is_some_and(|part| part == "super") {
            parts.remove(0);
            full.pop();
        }
        parts.retain(|part| part != "crate" && part != "self");
        full.extend(parts);
        while !full.is_empty() && !modules.contains_key(&full) {
            full.pop();
        }
        found.insert(full);
    }
    found
}

/// Groups of which each member leads to each other.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            for to in edges.get(at).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|from| (from, reach(from))).collect();
    let mut groups = BTreeSet::new();
    for (from, to) in &reached {
        let back = |one: &&String| reached.get(one).is_some_and(|of| of.contains(*from));
        let group: BTreeSet<String> = to.iter().filter(back).cloned().collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

#[test]
fn imports_are_read_as_they_are_written() {
    let all = paths("crate::{a,b::{self,c},d::e}");
    assert_eq!(
        all,
        ["crate::a", "crate::b::self", "crate::b::c", "crate::d::e"]
    );
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")];
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges {
        graph
            .entry(from.to_owned())
            .or_default()
            .insert(to.to_owned());
    }
    let found = circles(&graph);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn no_modules_of_a_crate_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for (krate, least) in [
        ("decryptor-wasm", 70),
        ("producer/engine", 150),
        ("producer/cli", 20),
    ] {
        let mut all = Modules::new();
        modules(&sources(krate), &[], &mut all);
        assert!(all.len() > least, "{krate}: {}", all.len());
        for (folder, edges) in imports_by_folder(&all) {
            for circle in circles(&edges) {
                let members: Vec<&str> = circle.iter().map(String::as_str).collect();
                found.push(format!(
                    "{krate} {}: {}",
                    folder.join("::"),
                    members.join(" ")
                ));
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

/// For each folder: which of its modules imports which, by what lies in them.
fn imports_by_folder(all: &Modules) -> BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> {
    let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (path, text) in all {
        for other in imports(path, text, all) {
            let common = path.iter().zip(&other).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (path.get(common), other.get(common)) {
                let edges = folders.entry(path[..common].to_vec()).or_default();
                edges.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    folders
}

#[test]
fn the_engine_knows_neither_the_command_line_nor_standard_output() {
    let manifest =
        fs::read_to_string(sources("producer/engine").with_file_name("Cargo.toml")).unwrap();
    for crate_name in ["clap", "indicatif", "rpassword"] {
        assert!(!manifest.contains(crate_name), "{crate_name}");
    }
    let mut all = Modules::new();
    modules(&sources("producer/engine"), &[], &mut all);
    for (path, text) in all {
        for word in ["println!", "print!", "stdout()", "stdin()", "stderr()"] {
            assert!(!text.contains(word), "{}: {word}", path.join("::"));
        }
    }
}

/// The texts between quotation marks, as they are written, with the number of their line; comments and tests left out.
fn literals(text: &str) -> Vec<(usize, String)> {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let start = &rest[at..];
        let raw = rest[..at].trim_end_matches('#');
        let length = if start.starts_with("//") {
            start.find('\n').unwrap_or(start.len())
        } else if start.starts_with("'\"'") || start.starts_with("'\\\"'") {
            start[1..].find('\'').unwrap() + 2
        } else if !start.starts_with('"') {
            1
        } else {
            let end = match raw.ends_with('r') {
                true => format!("\"{}", &rest[raw.len()..at]),
                false => "\"".to_owned(),
            };
            let escaped = |at: usize| {
                let before = start[..at].bytes().rev();
                !raw.ends_with('r') && before.take_while(|byte| *byte == b'\\').count() % 2 == 1
            };
            let mut ends = start.match_indices(&end);
            let (last, _) = ends.find(|(at, _)| *at > 0 && !escaped(*at)).unwrap();
            let line = text[..text.len() - start.len()].lines().count();
            found.push((line, start[1..last].to_owned()));
            last + end.len()
        };
        rest = &start[length..];
    }
    found
}

/// Whether a text names an option of a command line; those of Pryv's own scripts do not count.
fn names_an_option(text: &str) -> bool {
    let is_option = |word: &str| {
        let word = word.trim_start_matches(|c: char| c != '-' && !c.is_alphanumeric());
        let name = word.strip_prefix("--").unwrap_or_default();
        name.starts_with(|c: char| c.is_ascii_lowercase())
    };
    !text.contains("bin/") && text.split_whitespace().any(is_option)
}

#[test]
fn literals_are_read_as_they_are_written() {
    let text = "let a = \"x\\\" \\\n --y\"; // \"no\"\nlet b = ('\"', 'c', r#\"--z\"#);\n\n#[cfg(test)]\nmod tests {\"no\"}";
    let found = literals(text);
    assert_eq!(
        found,
        [(1, "x\\\" \\\n --y".to_owned()), (3, "--z".to_owned())]
    );
    assert!(found.iter().all(|(_, text)| names_an_option(text)));
    assert!(names_an_option("write it (--out)") && !names_an_option("-----BEGIN"));
    assert!(!names_an_option("bin/x.js --dry-run"));
}

/// The sources in which libraries name options, and why.
const NAMES_OPTIONS: [&str; 3] = [
    // The one table of advice that the tool and the script share.
    "decryptor-wasm/src/error/advice.rs",
    // The instructions that travel in an archive say how the script is called.
    "archive/write/companions.rs",
    // The programs of the databases are called with theirs.
    "engine/src/tools.rs",
];

#[test]
fn libraries_name_no_option_of_a_command_line() {
    let mut found = Vec::new();
    for krate in ["decryptor-wasm", "producer/engine"] {
        let mut all = Vec::new();
        lengths(&sources(krate), &mut all);
        assert!(all.len() > 70, "{krate}: {}", all.len());
        for (path, _) in all {
            let tests = path.file_name().is_some_and(|name| name == "tests.rs");
            if tests || NAMES_OPTIONS.iter().any(|known| path.ends_with(known)) {
                continue;
            }
            for (line, text) in literals(&fs::read_to_string(&path).unwrap()) {
                if names_an_option(&text) {
                    found.push(format!("{}:{line}: {text}", path.display()));
                }
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

/// Names that several modules define on purpose: operations have options, and reports.
const SHARED_NAMES: [&str; 2] = ["Options", "Report"];

#[test]
fn a_public_type_name_means_one_thing() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for krate in ["decryptor-wasm", "producer/engine", "producer/cli"] {
        let before = places.len();
        let mut all = Modules::new();
        modules(&sources(krate), &[], &mut all);
        // The bindings for JavaScript have the names of the types that they wrap.
        let own = all
            .iter()
            .filter(|(path, _)| path.first().is_none_or(|first| first != "wasm"));
        for (path, text) in own {
            for line in text.lines().filter_map(|line| line.strip_prefix("pub ")) {
                let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                let kind = words.next().unwrap_or_default();
                if let ("struct" | "enum" | "trait" | "type", Some(name)) = (kind, words.next()) {
                    let place = format!("{krate} {}", path.join("::"));
                    places.entry(name.to_owned()).or_default().push(place);
                }
            }
        }
        assert!(places.len() > before + 10, "{krate}: {places:?}");
    }
    places.retain(|name, places| places.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    assert!(places.is_empty(), "{places:#?}");
}

/// The sources below a folder with their numbers of lines.
fn lengths(folder: &Path, found: &mut Vec<(PathBuf, usize)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lengths(&path, found);
        } else if path
            .extension()
            .is_some_and(|end| end == "rs" || end == "js" || end == "ts")
        {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            found.push((path, lines));
        }
    }
}

#[test]
fn no_file_has_more_than_400_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in [
        "decryptor-wasm/src",
        "producer/engine/src",
        "producer/cli/src",
        "npm/src",
        "web/src",
    ] {
        lengths(&root.join(folder), &mut found);
    }
    assert!(found.len() > 300, "{}", found.len());
    found.retain(|(_, lines)| *lines > 400);
    assert_eq!(found, []);
}
