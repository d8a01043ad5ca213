//! Tells which records of earlier runs a later run replaced or removed.

use super::{ChainKey, Removed};
use crate::{
    Code, Error, Result,
    integrity::Record,
    layout::REMOVED_USERS,
    record_number::{Measurement, is_kept, numbers, of_record, points},
};

/// The changes of the increments of a chain to one collection, of one user or of none: for every record that they bring or remove, the
/// last run that does. First all changes are added, then lines of any run are asked about.
pub struct ChangeIndex {
    key: ChainKey,
    collection: String,
    pass: u64,
    passes: u64,
    /// Sorted by number, when closed.
    last: Vec<(u64, u32)>,
}

impl ChangeIndex {
    /// Numbers that are held at once: of more, the files are read in several passes.
    pub const AT_ONCE: u64 = 2_000_000;

    /// An empty index. Of `passes`, this one keeps the records whose number leaves `pass` when it is divided.
    pub fn new(key: ChainKey, collection: &str, pass: u64, passes: u64) -> Self {
        ChangeIndex {
            key,
            collection: collection.to_owned(),
            pass,
            passes: passes.max(1),
            last: Vec::new(),
        }
    }

    /// Run `run` brings this line.
    ///
    /// # Errors
    /// When it is not a line of the collection.
    pub fn brought(&mut self, run: u32, line: &[u8]) -> Result<()> {
        let (pass, passes, last) = (self.pass, self.passes, &mut self.last);
        numbers(&self.key, &self.collection, line, &mut |number| {
            if number % passes == pass {
                last.push((number, run));
            }
        })
    }

    /// Run `run` has this line of tombstones, of whatever collection.
    ///
    /// # Errors
    /// When it is none.
    pub fn removed(&mut self, run: u32, line: &[u8]) -> Result<()> {
        let record = Record::parse(line)?;
        // The numbers of the records tell whose they are.
        let collection = match is_kept(&self.collection) {
            true => REMOVED_USERS,
            false => self.collection.as_str(),
        };
        if record.string("collection").as_deref() == Some(collection) {
            let removed = Removed {
                collection: self.collection.clone(),
                ids: serde_json::from_slice(record.get("ids").unwrap_or("[]").as_bytes())
                    .map_err(|e| Error::of(Code::TombstoneUnreadable).because(&e))?,
            };
            // A tombstone may be of a whole measurement, whose points have numbers of their own.
            let all = self.collection == "series";
            let numbers = removed.numbers()?.into_iter();
            let mine = numbers.filter(|number| all || number % self.passes == self.pass);
            self.last.extend(mine.map(|number| (number, run)));
        }
        Ok(())
    }

    /// Ends the adding; from now on the index can be asked.
    pub fn close(&mut self) {
        self.last
            .sort_unstable_by_key(|(number, run)| (*number, std::cmp::Reverse(*run)));
        self.last.dedup_by_key(|(number, _)| *number);
        self.last.shrink_to_fit();
    }

    /// Appends the line of run `run` with a newline, unless a later run replaces or removes it; of a series, the points that none does.
    ///
    /// # Errors
    /// When it is not a line of the collection.
    pub fn keep(&self, run: u32, line: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let record = Record::parse(line)?;
        if self.collection == "series" {
            return self.keep_points(run, line, &record, out);
        }
        let number = of_record(&self.key, &self.collection, &record, line);
        if self.mine(number) && self.is_current(run, number) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        Ok(())
    }

    fn keep_points(
        &self,
        run: u32,
        line: &[u8],
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let measurement = Measurement::of(record);
        if !self.is_current(run, measurement.number(&self.key)) {
            return Ok(());
        }
        let all = points(record)?;
        let mut kept = Vec::with_capacity(all.len());
        for point in &all {
            let number = measurement.point(&self.key, point)?;
            if self.mine(number) && self.is_current(run, number) {
                kept.push(point.get());
            }
        }
        if kept.len() == all.len() && (!all.is_empty() || self.pass == 0) {
            out.extend_from_slice(line);
            out.push(b'\n');
        } else if !kept.is_empty() {
            let others = record.members().filter(|(name, _)| *name != "points");
            out.push(b'{');
            for (name, value) in others {
                let name = serde_json::to_string(name)
                    .map_err(|e| Error::of(Code::Damaged).because(&e))?;
                out.extend_from_slice(format!("{name}:{value},").as_bytes());
            }
            out.extend_from_slice(b"\"points\":[");
            for point in kept {
                out.extend_from_slice(point.as_bytes());
                out.push(b',');
            }
            // Instead of the last comma.
            out.pop();
            out.extend_from_slice(b"]}\n");
        }
        Ok(())
    }

    fn mine(&self, number: u64) -> bool {
        number % self.passes == self.pass
    }

    /// True if no run after `run` changes the record.
    fn is_current(&self, run: u32, number: u64) -> bool {
        match self.last.binary_search_by_key(&number, |(known, _)| *known) {
            Ok(at) => self.last[at].1 <= run,
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::number;

    fn key() -> ChainKey {
        ChainKey::from_bytes([9; 16])
    }

    fn kept(index: &ChangeIndex, run: u32, line: &str) -> String {
        let mut out = Vec::new();
        index.keep(run, line.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn tombstones(collection: &str, ids: &[&[&str]]) -> Vec<u8> {
        let numbers: Vec<u64> = ids
            .iter()
            .map(|parts| number(&key(), collection, parts))
            .collect();
        serde_json::to_vec(&Removed::new(collection, &numbers)).unwrap()
    }

    #[test]
    fn the_last_run_that_speaks_of_a_record_decides() {
        for passes in 1..4 {
            let mut found = String::new();
            for pass in 0..passes {
                let mut index = ChangeIndex::new(key(), "events", pass, passes);
                index.brought(2, br#"{"id":"changed","v":2}"#).unwrap();
                index.brought(3, br#"{"id":"changed","v":3}"#).unwrap();
                index
                    .removed(2, &tombstones("events", &[&["back"], &["gone"]]))
                    .unwrap();
                index
                    .removed(3, &tombstones("streams", &[&["kept"]]))
                    .unwrap();
                index.brought(3, br#"{"id":"back"}"#).unwrap();
                index.close();
                for (run, line) in [
                    (1, r#"{"id":"kept"}"#),
                    (1, r#"{"id":"changed","v":1}"#),
                    (1, r#"{"id":"gone"}"#),
                    (1, r#"{"id":"back","old":1}"#),
                    (2, r#"{"id":"changed","v":2}"#),
                    (3, r#"{"id":"changed","v":3}"#),
                    (3, r#"{"id":"back"}"#),
                ] {
                    found += &kept(&index, run, line);
                }
            }
            let mut lines: Vec<&str> = found.lines().collect();
            lines.sort_unstable();
            assert_eq!(
                lines,
                [
                    r#"{"id":"back"}"#,
                    r#"{"id":"changed","v":3}"#,
                    r#"{"id":"kept"}"#
                ]
            );
        }
    }

    #[test]
    fn a_record_that_a_run_removes_and_brings_again_is_kept() {
        let mut index = ChangeIndex::new(key(), "audit", 0, 1);
        index.removed(2, &tombstones("audit", &[&["a"]])).unwrap();
        index.brought(2, br#"{"eventid":"a"}"#).unwrap();
        index.close();
        assert_eq!(kept(&index, 1, r#"{"eventid":"a"}"#), "");
        assert_eq!(
            kept(&index, 2, r#"{"eventid":"a"}"#),
            "{\"eventid\":\"a\"}\n"
        );
    }

    #[test]
    fn points_are_kept_one_by_one_and_go_with_their_measurement() {
        let mut index = ChangeIndex::new(key(), "series", 0, 1);
        index
            .brought(
                2,
                br#"{"measurement":"m","namespace":"n","points":[{"time":2,"value":20}]}"#,
            )
            .unwrap();
        index
            .removed(
                2,
                &tombstones("series", &[&["n", "m", "3"], &["n", "whole"]]),
            )
            .unwrap();
        index.close();
        let line = r#"{"measurement":"m","namespace":"n","points":[{"time":1},{"time":2},{"time":3},{"time":4.5}]}"#;
        assert_eq!(
            kept(&index, 1, line),
            "{\"measurement\":\"m\",\"namespace\":\"n\",\"points\":[{\"time\":1},{\"time\":4.5}]}\n"
        );
        let whole = line.replace("\"m\"", "\"whole\"");
        assert_eq!(kept(&index, 1, &whole), "");
        assert_eq!(kept(&index, 2, &whole), whole.clone() + "\n");
        let other = line.replace("\"n\"", "\"other\"");
        assert_eq!(kept(&index, 1, &other), other.clone() + "\n");
        assert_eq!(
            kept(
                &index,
                1,
                r#"{"measurement":"m","namespace":"n","points":[{"time":3}]}"#
            ),
            ""
        );
    }

    #[test]
    fn an_account_has_one_line() {
        let mut index = ChangeIndex::new(key(), "account", 0, 1);
        index.brought(2, br#"{"passwords":[1]}"#).unwrap();
        index.close();
        assert_eq!(kept(&index, 1, r#"{"passwords":[]}"#), "");
        assert_eq!(
            kept(&index, 2, r#"{"passwords":[1]}"#),
            "{\"passwords\":[1]}\n"
        );
    }
}
