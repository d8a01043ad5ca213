//! As of which moments the stores of a dump are, for whoever puts it back.

use decryptor_wasm::raw::RawSection;

use crate::text::moment;

/// When each store was read, in seconds since 1970; none where it was not.
#[derive(Default)]
pub struct Moments {
    /// The instant of the database.
    pub database: Option<f64>,
    /// The platform's own database in rqlite; before the core was stopped, if it was.
    pub rqlite: Option<f64>,
    /// From when on InfluxDB was read.
    pub influxdb: Option<f64>,
    /// When the snapshot of the users' files was there.
    pub frozen: Option<f64>,
    /// Whether the core was stopped: until there was a snapshot, or all was read.
    pub stopped: bool,
    /// From when to when files were read.
    pub files: (f64, f64),
}

impl Moments {
    /// A sentence for each store that the dump holds.
    pub fn notes(&self, section: &RawSection) -> Vec<String> {
        let has = |tree: &str| section.trees.iter().any(|known| known == tree);
        let servers = [
            self.database(),
            self.rqlite(section),
            self.influxdb(section),
        ];
        let mut notes: Vec<String> = servers.into_iter().flatten().collect();
        let previews_alone = self.frozen.is_some() || !has("users");
        if has("users") {
            notes.push(self.users());
        }
        if has("previews") && previews_alone {
            notes.push(format!(
                "previews were read {}, {}",
                self.span(),
                self.meanwhile()
            ));
        }
        let has_others = self.rqlite.is_some() || self.influxdb.is_some();
        if has_others && !self.stopped && self.frozen.is_none() {
            notes.push(
                "no two of these stores are of one instant: stop the core meanwhile, or use a backup of records, where that matters".to_owned(),
            );
        }
        notes
    }

    fn database(&self) -> Option<String> {
        let at = moment(self.database?);
        Some(format!("the database is as of one instant, {at}"))
    }

    fn rqlite(&self, section: &RawSection) -> Option<String> {
        let at = moment(self.rqlite?);
        let version = &section.rqlite.as_ref()?.version;
        let until = match self.stopped {
            true => {
                ", before the core was stopped: what the core wrote there until then is not in it"
            }
            false => "",
        };
        Some(format!(
            "the platform's own database (rqlite {version}) is as of {at}{until}"
        ))
    }

    fn influxdb(&self, section: &RawSection) -> Option<String> {
        let at = moment(self.influxdb?);
        let version = &section.influxdb.as_ref()?.version;
        let meanwhile = match self.is_still() {
            true => self.meanwhile(),
            false => "while points could come",
        };
        Some(format!(
            "series (InfluxDB {version}) were read from {at} on, {meanwhile}; if its log says \"Snapshotter busy\" since then, its backup lacks the \
             newest points: dump again"
        ))
    }

    fn users(&self) -> String {
        match (self.frozen, self.database) {
            (Some(_), Some(_)) if self.stopped => "files are those of a snapshot that was made right after the instant of the database, while the core was stopped".to_owned(),
            (Some(_), Some(_)) => "files are those of a snapshot that was made right after the instant of the database: what the core wrote between the two may be in them and not in it".to_owned(),
            (Some(at), None) => format!("files are those of a snapshot that was there at {}", moment(at)),
            (None, Some(_)) if !self.stopped => format!(
                "files were read {}, {}: what it wrote since the instant of the database may be in them and not in it",
                self.span(),
                self.meanwhile()
            ),
            (None, _) => format!("files were read {}, {}", self.span(), self.meanwhile()),
        }
    }

    fn span(&self) -> String {
        let (from, to) = self.files;
        format!("from {} to {}", moment(from), moment(to))
    }

    /// Whether the core was stopped for as long as anything was read.
    fn is_still(&self) -> bool {
        self.stopped && self.frozen.is_none()
    }

    fn meanwhile(&self) -> &'static str {
        match self.is_still() {
            true => "while the core was stopped",
            false => "while the core could write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decryptor_wasm::raw::RawServer;

    fn section() -> RawSection {
        let server = || {
            Some(RawServer {
                version: "1.2".to_owned(),
            })
        };
        RawSection {
            rqlite: server(),
            influxdb: server(),
            trees: vec!["users".to_owned(), "previews".to_owned()],
            ..RawSection::default()
        }
    }

    /// What is said of the users' files, of previews, of rqlite, of InfluxDB, and of all together.
    #[test]
    fn each_store_is_of_the_moment_that_is_said() {
        for (stopped, frozen, due) in [
            (
                false,
                false,
                [
                    "could write: what it wrote since",
                    "",
                    "",
                    "points could come",
                    "no two",
                ],
            ),
            (
                true,
                false,
                [
                    "core was stopped",
                    "",
                    "until then is not in it",
                    "core was stopped",
                    "",
                ],
            ),
            (
                false,
                true,
                [
                    "between the two",
                    "core could write",
                    "",
                    "points could come",
                    "",
                ],
            ),
            (
                true,
                true,
                [
                    "while the core was stopped",
                    "core could write",
                    "until then is not in it",
                    "points could come",
                    "",
                ],
            ),
        ] {
            let moments = Moments {
                database: Some(1.0),
                rqlite: Some(2.0),
                influxdb: Some(3.0),
                frozen: frozen.then_some(4.0),
                stopped,
                files: (5.0, 6.0),
            };
            let notes = moments.notes(&section());
            let begins = [
                "files ",
                "previews ",
                "the platform's own",
                "series ",
                "no two",
            ];
            for (begin, due) in begins.iter().zip(due) {
                let said = notes.iter().find(|note| note.starts_with(begin));
                let said = said.map_or("", String::as_str);
                assert!(said.contains(due), "{stopped} {frozen}: {said}");
                let is_due = !due.is_empty() || *begin == "the platform's own";
                assert_eq!(!said.is_empty(), is_due, "{stopped} {frozen}: {said}");
            }
            let late = notes.iter().any(|note| note.contains("until then"));
            assert_eq!(late, stopped);
        }
        let no_database = Moments {
            frozen: Some(4.0),
            ..Moments::default()
        };
        let notes = no_database.notes(&section()).join("\n");
        assert!(!notes.contains("the database"), "{notes}");
        let running = Moments::default().notes(&section()).join("\n");
        assert!(!running.contains("the database"), "{running}");
    }
}
