//! Records that all users share: aliases, sessions and password resets.

use super::file::SqliteFile;
use crate::platform::json;
use crate::platform::{ExportError, IndexSink, PlatformError, PlatformLoss, Scope, Shared, index};
use rusqlite::Row;
use rusqlite::types::ValueRef;

/// Rows of two texts.
pub fn pairs(file: &SqliteFile, sql: &str) -> Result<Vec<[String; 2]>, PlatformError> {
    let failed = |e| file.error(e);
    let mut statement = file.connection.prepare(sql).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?]));
    rows.map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

/// Hands over the other names of the users in scope, from the index of users.
pub fn aliases(
    file: &SqliteFile,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    if !file.has_table("alias4id")? {
        index::absent(Shared::Aliases, &file.path.display(), "alias4id", sink);
        return Ok(());
    }
    let all = pairs(file, "SELECT alias, userId FROM alias4id ORDER BY alias")?;
    all.iter()
        .try_for_each(|[alias, user_id]| index::alias(alias, user_id, scope, sink))
}

/// Hands over the sessions and password resets of the users in scope.
pub fn ephemeral(
    file: &SqliteFile,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    let place = file.path.display();
    index::ephemeral(
        &place,
        sink,
        |table| file.has_table(table),
        |expiring, sink| {
            let index::Expiring {
                table,
                column,
                take,
                ..
            } = expiring;
            let failed = |e| file.error(e);
            let sql = format!("SELECT id, {column}, expires FROM {table} ORDER BY id");
            let mut statement = file.connection.prepare(&sql).map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                match entry(row, column) {
                    Ok([id, of, expires]) => take(&id, &of, &expires, scope, sink)?,
                    // Of one user, or without a place for it, nothing of it is told.
                    Err(_) if scope.only.is_some() || !scope.sealed => {}
                    Err(what) => sink.loss(PlatformLoss {
                        user_id: None,
                        collection: Some((*table).to_owned()),
                        path: Some(place.to_string()),
                        what: format!("an entry of {table}: {what}; it was left out"),
                    }),
                }
            }
            Ok(())
        },
    )
}

/// A session or a password reset: its id, what it is of, and when it ends.
fn entry(row: &Row<'_>, column: &str) -> Result<[String; 3], String> {
    let cell = |at| row.get_ref(at).map_err(|e| e.to_string());
    let text = |at, name: &str| {
        let text = json::text(cell(at)?).map_err(|what| format!("{name}: {what}"))?;
        text.map(|text| text.into_owned())
            .ok_or(format!("it has no {name}"))
    };
    let expires = match cell(2)? {
        ValueRef::Integer(time) => time.to_string(),
        ValueRef::Real(time) => json::double(time).map_err(|what| format!("expires: {what}"))?,
        _ => return Err("expires is no number".to_owned()),
    };
    Ok([text(0, "id")?, text(1, column)?, expires])
}
