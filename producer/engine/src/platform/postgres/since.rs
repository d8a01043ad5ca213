//! Which rows were written since the run before: the server tells by the transactions that wrote them.

use sha2::{Digest, Sha256};

use super::Snapshot;
use super::connection::literal;
use crate::platform::{ExportExtent, Mark, PlatformError, Target, User};
use crate::text;

/// Conditions on rows.
pub struct Since {
    /// The oldest transaction that was open or to come, as rows have it.
    transaction: u32,
    /// The ids of the users of whom everything is needed, as a list.
    whole: Option<String>,
    /// Of whom the events that list attachments are needed.
    attachments: Option<String>,
}

impl Since {
    /// The conditions that the target needs, if it does not need everything.
    pub fn new(users: &[User], target: &dyn Target) -> Option<Self> {
        let transaction = target.since()?;
        let needing = |need: ExportExtent| {
            let of = users.iter().filter(|user| target.need(user) == need);
            let ids: Vec<String> = of.map(|user| literal(&user.user_id)).collect();
            (!ids.is_empty()).then(|| format!("ARRAY[{}]", ids.join(", ")))
        };
        Some(Since {
            // Rows have the lower half only.
            transaction: (transaction & u64::from(u32::MAX)) as u32,
            whole: needing(ExportExtent::Whole),
            attachments: needing(ExportExtent::ChangesAndAttachments),
        })
    }

    /// The condition for a row that `row` (nothing, or a name and a dot) is of. Both ages are counted from one instant, that of the
    /// transaction which asks; a row of long ago that was frozen meanwhile can only come out too young.
    pub fn written(&self, row: &str, xmin: &str) -> String {
        let mut conditions = format!(
            "age({row}{xmin}) <= (SELECT age('{}'::xid))",
            self.transaction
        );
        if let Some(ids) = &self.whole {
            conditions.push_str(&format!(" OR {row}user_id = ANY({ids})"));
        }
        conditions
    }

    /// The condition for an event.
    pub fn event(&self) -> String {
        let mut conditions = self.written("", "xmin");
        if let Some(ids) = &self.attachments {
            conditions.push_str(&format!(
                " OR (attachments IS NOT NULL AND user_id = ANY({ids}))"
            ));
        }
        conditions
    }

    /// The condition for a file in the database, `f`, that the event `e` lists.
    pub fn file(&self) -> String {
        let mut conditions = format!(
            "{} OR {}",
            self.written("f.", "xmin"),
            self.written("e.", "written")
        );
        if let Some(ids) = &self.attachments {
            conditions.push_str(&format!(" OR f.user_id = ANY({ids})"));
        }
        conditions
    }
}

/// How far the server is at the instant of the snapshot. One that only follows another does not show what is open there. The timeline
/// comes from the log that is being written: what the control file says lags behind a promotion by a checkpoint, and meanwhile the
/// numbers of transactions that only the previous primary had are given out again.
pub(super) fn mark(snapshot: &Snapshot) -> Result<Mark, PlatformError> {
    let sql = "SELECT pg_is_in_recovery()::text, pg_snapshot_xmin(pg_current_snapshot())::text, \
        pg_snapshot_xmax(pg_current_snapshot())::text, concat_ws(' ', s.system_identifier, \
        CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END, d.oid) \
        FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()";
    let connection = &snapshot.connection;
    connection.run("SAVEPOINT mark")?;
    let rows = connection.rows(sql);
    // Where a role may not ask, the snapshot outlives that: a backup by itself needs no answer.
    connection.run("ROLLBACK TO SAVEPOINT mark; RELEASE SAVEPOINT mark")?;
    let rows = rows?;
    let mut facts = rows.into_iter().flatten().map(Option::unwrap_or_default);
    let follows = facts.next().is_none_or(|text| text == "true");
    let mut number = || facts.next().and_then(|text| text.parse::<u64>().ok());
    let (oldest, next) = (number(), number());
    let identity = facts.next().unwrap_or_default();
    let shape = text::hex(&Sha256::digest(snapshot.tables.described()));
    Ok(Mark {
        store: format!("{identity} {shape}"),
        transaction: oldest.filter(|_| !follows && next.is_some()),
        next: next.unwrap_or_default(),
        told: Vec::new(),
    })
}
