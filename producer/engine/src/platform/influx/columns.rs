//! Fields and tags of measurements.

use super::{Influx, identifier};
use crate::platform::PlatformError;
use crate::platform::json;
use std::collections::BTreeMap;

/// Kind of a value, in the order in which one of several is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Float,
    Integer,
    Boolean,
    Text,
    /// What Pryv's own restore made of texts.
    Tag,
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "float" => Self::Float,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "string" => Self::Text,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Text => "string",
            Self::Tag => "tag",
        }
    }
}

/// A measurement and its columns: for each name the kinds that its values have. Parts of a database, each of some days, may hold a field
/// in kinds of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Measurement {
    pub name: String,
    pub columns: Vec<NamedColumn>,
}

/// See [`Measurement`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NamedColumn {
    pub name: String,
    /// In order.
    pub kinds: Vec<Kind>,
    /// The name as a key in JSON, without quotation marks.
    pub key: String,
}

impl Measurement {
    /// Whether points of the same time may be several.
    pub fn has_tags(&self) -> bool {
        let mut kinds = self.columns.iter().flat_map(|column| &column.kinds);
        kinds.any(|kind| *kind == Kind::Tag)
    }

    /// What to select: one cell for each kind of each column.
    pub fn selection(&self) -> String {
        let cells = self.columns.iter().flat_map(|column| {
            let name = identifier(&column.name);
            let kinds = column.kinds.iter();
            kinds.map(move |kind| format!("{name}::{}", kind.name()))
        });
        cells.collect::<Vec<_>>().join(", ")
    }
}

impl Influx {
    /// The measurements that have points of the default retention policy, by name.
    pub(super) fn measurements(&self, database: &str) -> Result<Vec<Measurement>, PlatformError> {
        type Columns = BTreeMap<String, Vec<Kind>>;
        let mut all: BTreeMap<String, Columns> = BTreeMap::new();
        let on = identifier(database);
        for row in self.rows(&format!("SHOW FIELD KEYS ON {on}"))? {
            let mut cells = row.cells.into_iter();
            let (field, kind) = (cells.next().unwrap_or_default(), cells.next());
            let kind = kind.unwrap_or_default();
            let known = Kind::parse(&kind).ok_or_else(|| {
                self.error(format!(
                    "field {field:?} of {:?} in {database} is of the kind {kind}, which this version does not know",
                    row.name
                ))
            })?;
            let columns = all.entry(row.name).or_default();
            columns.entry(field).or_default().push(known);
        }
        for row in self.rows(&format!("SHOW TAG KEYS ON {on}"))? {
            if let (Some(columns), Some(tag)) =
                (all.get_mut(&row.name), row.cells.into_iter().next())
            {
                columns.entry(tag).or_default().push(Kind::Tag);
            }
        }
        let measurement = |(name, columns): (String, Columns)| Measurement {
            name,
            columns: columns.into_iter().map(column).collect(),
        };
        Ok(all.into_iter().map(measurement).collect())
    }
}

fn column((name, mut kinds): (String, Vec<Kind>)) -> NamedColumn {
    kinds.sort_unstable();
    kinds.dedup();
    let quoted = json::quote(&name);
    NamedColumn {
        key: quoted[1..quoted.len() - 1].to_owned(),
        name,
        kinds,
    }
}
