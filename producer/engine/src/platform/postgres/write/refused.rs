//! Why the server did not take rows, in words for whoever restores. What it said itself may hold a value of the archive, a token
//! for instance, and is not repeated.

use tokio_postgres::error::SqlState;

use super::feed::{Refusal, Table};
use crate::platform::PlatformError;
use crate::platform::postgres::tables::{Column, Tables};
use crate::platform::write::RestoreError;

/// The error of a user whose rows the server did not take.
pub fn explain(table: Table, refusal: Refusal, tables: &Tables) -> RestoreError {
    let error = match refusal {
        Refusal::Short { sent, taken } => {
            return RestoreError::Conflict {
                what: format!(
                    "the table {} took {taken} of {sent} rows: a trigger keeps the others out; disable it for the restore \
                     (ALTER TABLE {} DISABLE TRIGGER ...), or leave it and restore elsewhere",
                    table.name(),
                    table.name()
                ),
            };
        }
        Refusal::Said(error) => error,
    };
    let Some(answer) = error.answer() else {
        return RestoreError::Platform(error);
    };
    let twice = answer.state == SqlState::UNIQUE_VIOLATION;
    if twice && table == Table::Users {
        return RestoreError::AlreadyThere {
            what: "the platform has a user of this name or id already".to_owned(),
        };
    }
    // Classes 22, 23 and 54: data that is not valid, constraints, and limits of the server.
    let code = answer.state.code();
    let what = match code.get(..2) {
        _ if twice => format!(
            "a record is there twice, or the platform has it already ({})",
            place(table, &error, tables)
        ),
        Some("22" | "23") => format!(
            "a record is not what the platform takes: {} (SQLSTATE {code})",
            place(table, &error, tables)
        ),
        Some("54") => format!(
            "a record is larger than the platform takes, or a stream lies too deep ({}, SQLSTATE {code})",
            place(table, &error, tables)
        ),
        _ => return RestoreError::Platform(error),
    };
    RestoreError::Record {
        collection: table.collection(),
        what,
    }
}

/// The place that refused it: the table, the column with its type or the constraint.
fn place(table: Table, error: &PlatformError, tables: &Tables) -> String {
    let answer = error.answer();
    let name = answer.and_then(|answer| answer.table.as_deref());
    let name = name.unwrap_or(table.name());
    if let Some(constraint) = answer.and_then(|answer| answer.constraint.as_deref()) {
        return format!("constraint {constraint} of table {name}");
    }
    let named = |column: &&Column| {
        answer.is_some_and(|answer| {
            let context = answer.context.as_deref().unwrap_or_default();
            answer.column.as_ref() == Some(&column.name) || at(context, &column.name)
        })
    };
    match tables.columns(table.name()).iter().find(named) {
        Some(column) => format!(
            "column {} of table {name}, of type {}",
            column.name, column.of
        ),
        None => format!("table {name}"),
    }
}

/// Whether a `COPY` was at this column, which is named before the value: `COPY events, line 1, column x: "value"`, in any language.
fn at(context: &str, column: &str) -> bool {
    let mut places = context.lines().filter_map(|line| line.split_once(':'));
    places.any(|(before, _)| before.split_whitespace().next_back() == Some(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_is_named_before_the_value() {
        let json = "JSON data, line 1: x\nCOPY events, line 1, column content: x";
        for (context, column, is) in [
            ("COPY events, line 1, column x: \"a: b\"", "x", true),
            ("COPY events, Zeile 7, Spalte x: \"a\"", "x", true),
            (json, "content", true),
            (json, "x", false),
            ("nothing", "x", false),
        ] {
            assert_eq!(at(context, column), is, "{context}");
        }
    }
}
