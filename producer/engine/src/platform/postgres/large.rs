//! Users that make up a large part of a table: read in the order of the disk, over several connections at once.

use super::bundle::Bundle;
use super::connection::{Connection, literal};
use super::copy::Row;
use super::merge::take;
use super::plan::{MergePlan, PAGE, SMALL, size};
use super::shape::Shape;
use super::tables::Column;
use super::work::{Feed, Open};
use crate::platform::{Collection, ExportError, PlatformError, User};
use crate::threads;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pages that are looked at to find out whose rows a table holds.
const SAMPLE: u64 = 2000;
/// Rows that are worth it.
const ROWS: f64 = 50_000.0;
/// Part of the table that is worth it. So there are at most eight such users, and the table is read twice at most.
const SHARE: f64 = 1.0 / 8.0;

/// The ids of the users who have a large part of a table, by a sample: a guess, on which only speed depends.
pub fn find(connection: &Connection, table: &str) -> Result<Vec<String>, PlatformError> {
    let size = size(connection, table)?;
    if size < SMALL {
        return Ok(Vec::new());
    }
    let part = (SAMPLE as f64 * PAGE as f64 / size as f64).min(1.0);
    let rows = connection.rows(&format!(
        "SELECT count(*), user_id, sum(count(*)) OVER () FROM {table} TABLESAMPLE SYSTEM ({}) \
         GROUP BY user_id ORDER BY 1 DESC LIMIT 8",
        part * 100.0
    ))?;
    let large = rows.iter().filter(|row| {
        let field = |i: usize| number(std::slice::from_ref(row), i);
        field(0) / part >= ROWS && field(0) >= field(2) * SHARE
    });
    Ok(large
        .filter_map(|row| row.get(1).cloned().flatten())
        .collect())
}

/// Whether a table holds rows of anybody else: a walk over the index, which ends at the first such row.
pub fn has_others(
    connection: &Connection,
    table: &str,
    ids: &[&str],
) -> Result<bool, PlatformError> {
    let list: Vec<String> = ids.iter().map(|id| literal(id)).collect();
    let list = list.join(", ");
    let rows = connection.rows(&format!(
        "WITH RECURSIVE walk(id) AS ((SELECT user_id FROM {table} ORDER BY user_id LIMIT 1) UNION ALL \
         SELECT (SELECT t.user_id FROM {table} t WHERE t.user_id > walk.id ORDER BY t.user_id LIMIT 1) \
         FROM walk WHERE walk.id = ANY(ARRAY[{list}])) \
         SELECT id FROM walk WHERE id <> ALL(ARRAY[{list}])"
    ))?;
    Ok(!rows.is_empty())
}

fn number(rows: &[Vec<Option<String>>], column: usize) -> f64 {
    let text = rows.first().and_then(|row| row.get(column)?.as_deref());
    text.and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// Reads what a table holds of large users, with `jobs` connections; versions of events before the events.
pub fn read<'a>(
    plan: &MergePlan<'_>,
    (table, collection): (&'static str, Collection),
    early: &HashMap<&'a str, Arc<Open<'a>>>,
    jobs: usize,
    feed: &Feed<'_, 'a>,
) -> Result<(), ExportError> {
    let head = |column: &Column| column.name == "head_id";
    if collection != Collection::Events || !plan.tables.columns(table).iter().any(head) {
        return pass(plan, (table, collection), "", early, jobs, feed);
    }
    for which in [" AND head_id IS NOT NULL", " AND head_id IS NULL"] {
        pass(plan, (table, collection), which, early, jobs, feed)?;
    }
    Ok(())
}

/// Reads the rows that meet a further condition.
fn pass<'a>(
    plan: &MergePlan<'_>,
    (table, collection): (&'static str, Collection),
    which: &str,
    early: &HashMap<&'a str, Arc<Open<'a>>>,
    jobs: usize,
    feed: &Feed<'_, 'a>,
) -> Result<(), ExportError> {
    let Some(ids) = plan.large.get(table).filter(|ids| !ids.is_empty()) else {
        return Ok(());
    };
    let leader = plan.server.connect()?;
    let pages = size(&leader, table)? / PAGE;
    let list: Vec<String> = ids.iter().map(|id| literal(id)).collect();
    let any = format!(
        "SELECT 1 FROM {table} WHERE user_id = ANY(ARRAY[{}]){which} LIMIT 1",
        list.join(", ")
    );
    if !which.is_empty() && leader.rows(&any)?.is_empty() {
        return Ok(());
    }
    drop(leader);
    let shape = Shape::new(collection, plan.tables.columns(table));
    // With one user alone, the column that says whose a row is would say the same a million times.
    let owner = if ids.len() == 1 { "NULL" } else { "user_id" };
    let query = format!(
        "SELECT {} FROM {table} WHERE user_id = ANY(ARRAY[{}]){which}",
        plan.select(&shape, owner),
        list.join(", ")
    );
    // Small enough that all connections end together, large enough that beginning costs nothing.
    let step = (pages / (jobs as u64 * 8)).max(512);
    let next = AtomicU64::new(0);
    let opened: Vec<_> = ids.iter().filter_map(|id| early.get(id)).collect();
    let users: Vec<&'a User> = opened.iter().map(|open| open.user).collect();
    let reader = || {
        let connection = plan
            .server
            .connect_to(&plan.server.runtime()?, plan.snapshot)?;
        // Nothing but the range itself, and no helpers: we are several already.
        connection.run(
            "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; \
             SET LOCAL max_parallel_workers_per_gather = 0",
        )?;
        let mut bundles: Vec<_> = opened
            .iter()
            .map(|open| Bundle::new((*open).clone(), feed))
            .collect();
        loop {
            let from = next.fetch_add(step, Ordering::Relaxed);
            if from >= pages.max(1) || feed.stopped() {
                break;
            }
            // The last range has no end: the table may have grown since it was measured.
            let end = if from + step < pages {
                format!(" AND ctid < '({},0)'", from + step)
            } else {
                String::new()
            };
            let mut copy = connection.copy(&format!("{query} AND ctid >= '({from},0)'{end}"))?;
            let mut row = Row::default();
            let mut at = 0;
            while copy.next(&mut row)? {
                // Mostly the same as before.
                if let Some(id) = row.get(0).filter(|id| users[at].user_id.as_bytes() != *id) {
                    let found = users.iter().position(|u| u.user_id.as_bytes() == id);
                    let Some(found) = found else { continue };
                    at = found;
                }
                let bundle = &mut bundles[at];
                take(plan, &shape, &mut row, bundle).map_err(|e| e.of(users[at]))?;
            }
        }
        for (user, mut bundle) in users.iter().zip(bundles) {
            bundle.send().map_err(|e| e.of(user))?;
        }
        Ok::<(), ExportError>(())
    };
    let readers = vec![(); jobs];
    threads::map(&readers, |()| reader()).into_iter().collect()
}
