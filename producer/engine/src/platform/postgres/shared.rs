//! Records that all users share: aliases, sessions and password resets.

use super::connection::literal;
use super::copy::Row;
use super::shape::Shape;
use super::{Snapshot, unknown};
use crate::platform::{
    Collection, ExportError, IndexSink, PlatformError, PlatformLoss, Scope, Shared, index,
};

/// Hands over the rows of a query on a table, of `N` texts each, as of the snapshot. One that is not UTF-8 is a loss.
pub fn rows<const N: usize>(
    snapshot: &Snapshot,
    table: &str,
    query: &str,
    sink: &mut dyn IndexSink,
    mut take: impl FnMut([&str; N], &mut dyn IndexSink) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut copy = snapshot.connection.copy(query)?;
    let mut row = Row::default();
    while copy.next(&mut row)? {
        let texts: [_; N] =
            std::array::from_fn(|i| String::from_utf8_lossy(row.get(i).unwrap_or_default()));
        let is_text = |i: usize| std::str::from_utf8(row.get(i).unwrap_or_default()).is_ok();
        if (0..N).all(is_text) {
            take(std::array::from_fn(|i| texts[i].as_ref()), sink)?;
        } else {
            sink.loss(PlatformLoss {
                user_id: None,
                collection: Some("platform".to_owned()),
                path: Some(table.to_owned()),
                what: format!("row {:?}: its text is not UTF-8; it was left out", texts[0]),
            });
        }
    }
    Ok(())
}

/// Hands over the audit trails of users who are no more; `strangers` is the condition for these.
pub fn kept_audit(
    snapshot: &Snapshot,
    strangers: &str,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    let connection = &snapshot.connection;
    let shape = Shape::new(Collection::Audit, snapshot.tables.columns("audit_events"));
    let (mut row, mut line) = (Row::default(), Vec::new());
    for user_id in unknown::audited(connection, strangers)? {
        let mut copy = connection.copy(&format!(
            "SELECT {} FROM audit_events WHERE user_id = {} ORDER BY eventid COLLATE \"C\"",
            shape.select("user_id"),
            literal(&user_id)
        ))?;
        while copy.next(&mut row)? {
            line.clear();
            let mut lose = |what: &str| {
                sink.loss(PlatformLoss {
                    user_id: Some(user_id.clone()),
                    collection: Some(Collection::Audit.name().to_owned()),
                    path: None,
                    what: format!("record {:?}: {what}", shape.id(&row)),
                });
            };
            match shape.write(&row, &mut line) {
                Ok(lost) => {
                    lost.iter().for_each(|what| lose(what));
                    sink.kept_audit(&user_id, &line)
                        .map_err(ExportError::Sink)?;
                }
                Err(what) => lose(&format!("{what}; it was left out")),
            }
        }
    }
    Ok(())
}

/// Hands over the other names of the users in scope.
pub fn aliases(
    snapshot: &Snapshot,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    if !exists(snapshot, "alias_index")? {
        let place = &snapshot.connection.address;
        let known = index::absent(Shared::Aliases, place, "alias_index", sink);
        if !known && unknown::migration(&snapshot.connection)? >= unknown::WITH_ALIASES {
            sink.loss(PlatformLoss {
                user_id: None,
                collection: Some("platform".to_owned()),
                path: Some(place.clone()),
                what: "there is no table alias_index, although the migration that makes it was run: the other names of users are not in the \
                       backup; put it back"
                    .to_owned(),
            });
        }
        return Ok(());
    }
    let query = "SELECT alias, user_id FROM alias_index ORDER BY alias COLLATE \"C\"";
    rows(
        snapshot,
        "alias_index",
        query,
        sink,
        |[alias, user_id], sink| index::alias(alias, user_id, scope, sink),
    )
}

/// Hands over the sessions and password resets of the users in scope.
pub fn ephemeral(
    snapshot: &Snapshot,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    let place = &snapshot.connection.address;
    index::ephemeral(
        place,
        sink,
        |table| exists(snapshot, table),
        |expiring, sink| {
            let index::Expiring {
                table,
                column,
                take,
                ..
            } = expiring;
            // In milliseconds, as the other engine stores it; forever is as far as dates of JavaScript reach.
            let query = format!(
                "SELECT id, {column}::text, CASE expires WHEN 'infinity' THEN '8640000000000000' WHEN '-infinity' THEN '0' \
                ELSE round(extract(epoch FROM expires) * 1000)::bigint::text END FROM {table} \
             WHERE {column} IS NOT NULL AND expires IS NOT NULL ORDER BY id COLLATE \"C\""
            );
            rows(snapshot, table, &query, sink, |[id, of, expires], sink| {
                take(id, of, expires, scope, sink)
            })?;
            if scope.only.is_some() || !scope.sealed {
                return Ok(());
            }
            let query =
                format!("SELECT count(*) FROM {table} WHERE {column} IS NULL OR expires IS NULL");
            let bare = snapshot.connection.rows(&query)?.into_iter().flatten();
            if let Some(number) = bare.flatten().next().filter(|number| number != "0") {
                sink.loss(PlatformLoss {
                    user_id: None,
                    collection: Some((*table).to_owned()),
                    path: None,
                    what: format!("{number} rows without {column} or expires were left out"),
                });
            }
            Ok(())
        },
    )
}

fn exists(snapshot: &Snapshot, table: &str) -> Result<bool, PlatformError> {
    let rows = snapshot
        .connection
        .rows(&format!("SELECT to_regclass('{table}')::text"))?;
    Ok(rows.into_iter().flatten().flatten().next().is_some())
}
