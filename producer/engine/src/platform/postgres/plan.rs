//! What a merge reads: of which users, in which order, by which queries.

use super::connection::{Connection, Server, literal};
use super::shape::Shape;
use super::since::Since;
use super::tables::Tables;
use super::{DatabaseEngines, LARGE};
use crate::platform::unknown::ExportNotes;
use crate::platform::{Collection, PlatformError, User};
use std::collections::{HashMap, HashSet};

/// Parts into which a table of many users is cut at most: the server reads all of it for each.
const PARTS: usize = 4;
/// Bytes of a page.
pub const PAGE: u64 = 8192;
/// A table below this size is sorted in no time.
pub const SMALL: u64 = 2000 * PAGE;

/// The records to read.
pub struct MergePlan<'p> {
    /// The server to read from.
    pub server: &'p Server,
    /// The snapshot that fixes the instant.
    pub snapshot: &'p str,
    /// The columns.
    pub tables: &'p Tables,
    /// Engines whose records are in the database.
    pub engines: DatabaseEngines,
    /// The users, unless they are all.
    pub chosen: Option<Vec<&'p str>>,
    /// Notes of the export.
    pub seen: &'p ExportNotes,
    /// Whether the database has a table of aliases.
    pub aliases: bool,
    /// Whether there are names that several users bore.
    pub shared_names: bool,
    /// The transactions after which everything is read; earlier rows are known.
    pub since: Option<Since>,
    /// Users whose rows of a table are read otherwise.
    pub large: HashMap<&'static str, Vec<&'p str>>,
    /// Tables that hold nothing of others.
    pub exhausted: HashSet<&'static str>,
    /// The users before whom a large table is cut, so that its parts are sorted at the same time and while those before them are read.
    pub cuts: HashMap<&'static str, Vec<&'p str>>,
}

impl MergePlan<'_> {
    /// The condition on a table, whose column `column` says whose a row is.
    pub fn filter(&self, table: &str, column: &str) -> String {
        if self.exhausted.contains(table) {
            return " WHERE false".to_owned();
        }
        let list = |ids: &[&str]| {
            ids.iter()
                .map(|id| literal(id))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut conditions = Vec::new();
        if let Some(ids) = &self.chosen {
            conditions.push(format!("{column} = ANY(ARRAY[{}])", list(ids)));
        }
        if let Some(ids) = self.large.get(table).filter(|ids| !ids.is_empty()) {
            conditions.push(format!("{column} <> ALL(ARRAY[{}])", list(ids)));
        }
        match conditions.as_slice() {
            [] => String::new(),
            all => format!(" WHERE {}", all.join(" AND ")),
        }
    }

    /// The same, behind other conditions.
    pub fn further(&self, table: &str, column: &str) -> String {
        self.filter(table, column).replacen(" WHERE ", " AND ", 1)
    }

    /// Expressions to select from a table; `owner` is that of the row's user.
    pub fn select(&self, shape: &Shape, owner: &str) -> String {
        match (&self.since, shape.collection) {
            (Some(since), Collection::Events) => shape.select_if(owner, &since.event()),
            (Some(since), Collection::Audit) => shape.select_if(owner, &since.written("", "xmin")),
            _ => shape.select(owner),
        }
    }

    /// Queries that give the rows of a table one after the other.
    pub fn records(&self, table: &str, shape: &Shape) -> Vec<String> {
        let has = |name: &str| self.tables.columns(table).iter().any(|c| c.name == name);
        let then = match table {
            // Mostly parents before their children, for readers that take streams in order; a stream that was moved keeps its old path.
            "streams" if has("path") => ", path",
            // Versions before what they are versions of: Pryv's own tool puts an attachment to the last event that lists it.
            "events" if has("head_id") => ", head_id IS NULL",
            _ => "",
        };
        let filter = self.filter(table, "user_id");
        let query = |part: &str| {
            let joint = match filter.is_empty() {
                true => " WHERE ",
                false => " AND ",
            };
            format!(
                "SELECT {} FROM {table}{filter}{}{part} ORDER BY user_id COLLATE \"C\"{then}",
                self.select(shape, "user_id"),
                if part.is_empty() { "" } else { joint },
            )
        };
        let cuts = self.cuts.get(table).into_iter().flatten();
        let cuts: Vec<String> = cuts.map(|id| literal(id)).collect();
        let mut parts = vec![String::new(); cuts.len() + 1];
        for (i, cut) in cuts.iter().enumerate() {
            let joint = if parts[i].is_empty() { "" } else { " AND " };
            parts[i].push_str(&format!("{joint}user_id COLLATE \"C\" < {cut}"));
            parts[i + 1].push_str(&format!("user_id COLLATE \"C\" >= {cut}"));
        }
        parts.iter().map(|part| query(part)).collect()
    }
}

impl<'p> MergePlan<'p> {
    /// Cuts large tables into as many parts as threads can work on, with at most so many connections; `users` are ordered by id.
    pub fn cut(
        &mut self,
        connection: &Connection,
        users: &[&'p User],
        jobs: usize,
        connections: usize,
    ) -> Result<(), PlatformError> {
        let mut left = connections;
        for (table, _) in self.engines.of(&LARGE) {
            let parts = jobs.min(PARTS).min(left + 1).min(users.len());
            if self.chosen.is_some()
                || self.exhausted.contains(table)
                || parts < 2
                || size(connection, table)? < SMALL
            {
                continue;
            }
            let at = |part: usize| users[part * users.len() / parts].user_id.as_str();
            self.cuts.insert(table, (1..parts).map(at).collect());
            left -= parts - 1;
        }
        Ok(())
    }
}

/// Bytes of a table; none where it is not there.
pub fn size(connection: &Connection, table: &str) -> Result<u64, PlatformError> {
    let size = format!("SELECT pg_relation_size(to_regclass({}))", literal(table));
    let text = connection
        .rows(&size)?
        .into_iter()
        .flatten()
        .flatten()
        .next();
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
