//! The sources of the configuration, one over the other, as Pryv.io stacks them.

use super::ConfigError;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The name of the last source.
const DEFAULTS: &str = "Pryv's defaults";

/// The variables of libpq that are understood, where the file of passwords is looked for, and the usual one that names the
/// authorities whose certificates are trusted.
const VARIABLES: [&str; 12] = [
    "HOME",
    "PGDATABASE",
    "SSL_CERT_FILE",
    "PGHOST",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGUSER",
];

/// The sources, highest first, each with the name that errors give it.
pub struct Layers {
    sources: Vec<(String, Value)>,
    /// Whether anything but Pryv's defaults was found.
    pub found: bool,
    /// The files of the operator that were read.
    pub files: Vec<PathBuf>,
    /// The file of Pryv's release with its defaults, where there is one.
    pub defaults: Option<PathBuf>,
    /// The variables that libpq knows.
    libpq: HashMap<String, String>,
}

/// A setting and where it comes from.
pub struct Setting {
    /// Its value as text.
    pub value: String,
    /// The file that sets it, or what else does.
    pub origin: String,
}

impl Setting {
    /// A value that another setting holds.
    pub fn of(value: &str, key: &str) -> Self {
        Self {
            value: value.to_owned(),
            origin: key.to_owned(),
        }
    }

    /// Whether nobody has set it.
    pub fn is_default(&self) -> bool {
        self.origin == DEFAULTS
    }

    /// Whether it may be an address, in which there may be a password.
    pub fn is_address(&self) -> bool {
        self.value.contains("://") || self.value.contains(['@', '='])
    }

    /// An error about this setting. A value that may hold a password is not shown.
    pub fn error(&self, key: &str, advice: &str) -> ConfigError {
        let secret = |text: &str| {
            ["password", "url", "Key"]
                .iter()
                .any(|end| text.ends_with(end))
        };
        ConfigError::Value {
            key: key.into(),
            value: if secret(key) || secret(&self.origin) || self.is_address() {
                "(not shown)".to_owned()
            } else {
                format!("{:?}", self.value)
            },
            origin: self.origin.clone(),
            advice: advice.into(),
        }
    }
}

impl Layers {
    /// Reads all sources.
    pub fn load(
        root: &Path,
        config_file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let folder = root.join("config");
        let (mut variables, mut node_env, mut named) = (Value::Object(Map::new()), None, None);
        let mut libpq = HashMap::new();
        for (name, text) in env {
            match name.as_str() {
                "NODE_ENV" => node_env = Some(text),
                "config" => named = Some(text),
                known if VARIABLES.contains(&known) && !text.is_empty() => {
                    libpq.insert(name, text);
                }
                // An undefined value is as good as none.
                _ if name.contains("__") && text != "undefined" => {
                    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                    insert(&mut variables, &name, value);
                }
                _ => {}
            }
        }
        let mut layers = Vec::new();
        let mut files = Vec::new();
        if node_env.as_deref() != Some("test") {
            let path = folder.join("override-config.yml");
            let found = optional(&path)?;
            files.extend(found.is_some().then_some(path));
            layers.extend(found);
        }
        layers.push(("the environment".to_owned(), variables));
        let (path, found) = match (config_file, named, node_env) {
            (Some(path), _, _) => (path.to_owned(), Some(required(path)?)),
            (None, Some(path), _) => (root.join(&path), Some(required(&root.join(path))?)),
            (None, None, Some(name)) => {
                let path = folder.join(format!("{name}-config.yml"));
                let found = optional(&path)?;
                (path, found)
            }
            (None, None, None) => (PathBuf::new(), None),
        };
        files.extend(found.is_some().then_some(path));
        layers.extend(found);
        let of_release = folder.join("default-config.yml");
        let defaults = optional(&of_release)?;
        let by_variables = layers
            .iter()
            .any(|(_, source)| source.get("storages").is_some());
        let found = by_variables || layers.len() > 1 || defaults.is_some();
        let of_release = defaults.is_some().then_some(of_release);
        layers.push((
            "Pryv's default paths".to_owned(),
            json!({"storages": {"engines": {
                "sqlite": {"path": "var-pryv/users"}, "filesystem": {"previewsDirPath": "var-pryv/previews"},
            }}}),
        ));
        layers.extend(defaults);
        layers.push((DEFAULTS.to_owned(), json!({"storages": {
            "base": {"engine": "postgresql"}, "platform": {"engine": "rqlite"}, "series": {"engine": "postgresql"},
            "file": {"engine": "filesystem"}, "audit": {"engine": "sqlite"},
            "engines": {
                "influxdb": {"host": "127.0.0.1", "port": 8086},
                "rqlite": {"url": "http://localhost:4001"},
                "postgresql": {"host": "127.0.0.1", "port": 5432, "database": "pryv-node", "user": "pryv", "password": ""},
            },
        }})));
        Ok(Self {
            sources: layers,
            found,
            files,
            defaults: of_release,
            libpq,
        })
    }

    /// A variable that libpq knows.
    pub fn variable(&self, name: &str) -> Option<Setting> {
        self.libpq.get(name).map(|value| Setting {
            value: value.clone(),
            origin: "the environment".to_owned(),
        })
    }

    /// The folder of whoever runs this, where libpq looks for its files.
    pub fn home(&self) -> Option<PathBuf> {
        match self.libpq.get("HOME") {
            Some(home) => Some(home.into()),
            None => std::env::home_dir(),
        }
    }

    /// A setting by its dotted key: the highest source that has one wins, and a null there hides all others.
    pub fn find(&self, key: &str) -> Result<Option<Setting>, ConfigError> {
        'sources: for (origin, source) in &self.sources {
            let mut value = source;
            for part in key.split('.') {
                match value {
                    Value::Object(members) => match members.get(part) {
                        Some(member) => value = member,
                        None => continue 'sources,
                    },
                    // An empty file is no source; any other scalar hides what is below it.
                    Value::Null if std::ptr::eq(value, source) => continue 'sources,
                    _ => return Ok(None),
                }
            }
            let text = match value {
                Value::Null => return Ok(None),
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Object(_) | Value::Array(_) => {
                    let found = Setting {
                        value: value.to_string(),
                        origin: origin.clone(),
                    };
                    return Err(found.error(key, "text is expected"));
                }
            };
            return Ok(Some(Setting {
                value: text,
                origin: origin.clone(),
            }));
        }
        Ok(None)
    }

    /// A list by its dotted key, from the highest source that has one there.
    pub fn list(&self, key: &str) -> Vec<Value> {
        let path = format!("/{}", key.replace('.', "/"));
        let found = self
            .sources
            .iter()
            .find_map(|(_, source)| source.pointer(&path)?.as_array());
        found.cloned().unwrap_or_default()
    }

    /// A setting that must be there.
    pub fn text(&self, key: &str) -> Result<Setting, ConfigError> {
        self.find(key)?.ok_or_else(|| ConfigError::Value {
            key: key.to_owned(),
            value: "null".to_owned(),
            origin: "the configuration".to_owned(),
            advice: "give it a value".to_owned(),
        })
    }
}

/// Puts a value at `a__b__c`, replacing what is in the way.
fn insert(root: &mut Value, name: &str, value: Value) {
    let mut place = root;
    for part in name.split("__") {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}

fn optional(path: &Path) -> Result<Option<(String, Value)>, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text).map(Some),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(path, &e)),
    }
}

fn required(path: &Path) -> Result<(String, Value), ConfigError> {
    let text = fs::read_to_string(path).map_err(|e| failed(path, &e))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<(String, Value), ConfigError> {
    let value = match path.extension().and_then(|e| e.to_str()) {
        Some("js" | "cjs" | "mjs") => {
            return Err(failed(
                path,
                &"a program cannot be read as configuration, write its values as YAML",
            ));
        }
        Some("yml" | "yaml")
            if text
                .lines()
                .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) =>
        {
            Value::Null
        }
        Some("yml" | "yaml") => {
            serde_saphyr::from_str(text).map_err(|e| failed(path, &first_line(&e.to_string())))?
        }
        _ => serde_json::from_str(text).map_err(|e| failed(path, &e))?,
    };
    Ok((path.display().to_string(), value))
}

/// The first line of an error, unless it quotes what may be an address with a password; the rest quotes the file.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.contains("://") || line.contains('@') {
        true => "it is not valid YAML".to_owned(),
        false => line.to_owned(),
    }
}

fn failed(path: &Path, what: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::File {
        path: path.to_owned(),
        what: what.to_string(),
    }
}
