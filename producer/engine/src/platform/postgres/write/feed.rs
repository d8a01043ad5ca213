//! Rows of several tables on their way in: they wait in pieces, one for each table, which a thread of its own hands to the server.
//! So many users share a `COPY`, and rows are made while the server takes those before them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::copy_in::CopyIn;
use crate::limits::PIECE;
use crate::platform::Collection;
use crate::platform::PlatformError;
use crate::platform::postgres::connection::Connection;
use crate::platform::write::RestoreError;
use crate::threads::refused;
use std::thread::Builder;

/// Pieces that may wait for the server.
const WAITING: usize = 4;

/// A table that holds rows of users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    /// Who is there.
    Users,
    Streams,
    Accesses,
    Profile,
    Webhooks,
    Events,
    EventStreams,
    Passwords,
    StoreKeyValues,
    AccountFields,
    Audit,
    Series,
    Files,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Users,
        Self::Streams,
        Self::Accesses,
        Self::Profile,
        Self::Webhooks,
        Self::Events,
        Self::EventStreams,
        Self::Passwords,
        Self::StoreKeyValues,
        Self::AccountFields,
        Self::Audit,
        Self::Series,
        Self::Files,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users_index",
            Self::Streams => "streams",
            Self::Accesses => "accesses",
            Self::Profile => "profile",
            Self::Webhooks => "webhooks",
            Self::Events => "events",
            Self::EventStreams => "event_streams",
            Self::Passwords => "passwords",
            Self::StoreKeyValues => "store_key_values",
            Self::AccountFields => "account_fields",
            Self::Audit => "audit_events",
            Self::Series => "series_data",
            Self::Files => "attachment_files",
        }
    }

    /// Collection of its rows.
    pub fn collection(self) -> &'static str {
        match self {
            Self::EventStreams => "events",
            Self::Passwords | Self::StoreKeyValues | Self::AccountFields => "account",
            Self::Audit => "audit",
            Self::Series => "series",
            Self::Files => "attachments",
            other => other.name(),
        }
    }

    /// The columns that are filled, where they do not depend on the age of the database.
    pub fn columns(self) -> &'static str {
        match self {
            Self::Users => "username, user_id",
            Self::EventStreams => "user_id, event_id, stream_id, stream_path",
            Self::Passwords => "user_id, time, hash, created_by",
            Self::StoreKeyValues => "user_id, store_id, key, value",
            Self::AccountFields => "user_id, field, value, time, created_by",
            Self::Series => "user_id, event_id, point_time, delta_time, fields",
            Self::Files => "user_id, event_id, file_id, seq, data",
            _ => "",
        }
    }
}

type Piece = (Table, Vec<u8>);
type Ended = (Connection, Result<(), (Table, Refusal)>);

/// Why rows of a table are not in.
pub enum Refusal {
    /// Answer of the server, or of the way to it.
    Said(PlatformError),
    /// It took so many of so many rows.
    Short {
        /// Rows that were sent.
        sent: u64,
        /// Rows that it took.
        taken: u64,
    },
}

/// Rows on their way, on a connection that is in a transaction.
pub struct RowFeed {
    to: SyncSender<Piece>,
    thread: JoinHandle<Ended>,
    waiting: Vec<Vec<u8>>,
}

/// The server has refused something; [`RowFeed::end`] tells what.
pub struct Refused;

impl RowFeed {
    /// Begins; `targets` says for each table what a `COPY` goes into, with the columns.
    ///
    /// # Errors
    /// When no thread can be had to fill the tables.
    pub fn begin(connection: Connection, targets: Vec<String>) -> Result<Self, RestoreError> {
        let (to, pieces) = sync_channel(WAITING);
        let thread = Builder::new().spawn(move || {
            let outcome = send(&connection, &targets, &pieces);
            (connection, outcome)
        });
        Ok(Self {
            to,
            thread: thread.map_err(|e| RestoreError::Conflict { what: refused(&e) })?,
            waiting: vec![Vec::new(); Table::ALL.len()],
        })
    }

    /// Where the next row of a table is appended to: fields with tabs between them and a newline.
    pub fn rows(&mut self, table: Table) -> &mut Vec<u8> {
        &mut self.waiting[table as usize]
    }

    /// Hands over what waits of a table, when it is enough.
    pub fn pass(&mut self, table: Table) -> Result<(), Refused> {
        if self.waiting[table as usize].len() < PIECE {
            return Ok(());
        }
        self.hand_over(table)
    }

    fn hand_over(&mut self, table: Table) -> Result<(), Refused> {
        let next = Vec::with_capacity(PIECE + PIECE / 8);
        let rows = std::mem::replace(&mut self.waiting[table as usize], next);
        self.to.send((table, rows)).map_err(|_| Refused)
    }

    /// Hands over everything, and waits until the server has taken or refused it.
    pub fn end(mut self) -> Result<Ended, RestoreError> {
        for table in Table::ALL {
            if !self.waiting[table as usize].is_empty() && self.hand_over(table).is_err() {
                break;
            }
        }
        self.stop()
    }

    /// Ends without handing over what still waits.
    pub fn stop(self) -> Result<Ended, RestoreError> {
        drop(self.to);
        self.thread.join().map_err(|_| RestoreError::Conflict {
            what: "the thread that fills the tables has ended".to_owned(),
        })
    }
}

/// Fills one table after another, as the pieces come.
fn send(
    connection: &Connection,
    targets: &[String],
    pieces: &Receiver<Piece>,
) -> Result<(), (Table, Refusal)> {
    let mut open: Option<(Table, CopyIn)> = None;
    for (table, rows) in pieces {
        let said = |e| (table, Refusal::Said(e));
        let copy = match open.take() {
            Some((filled, copy)) if filled == table => copy,
            before => {
                close(before)?;
                CopyIn::begin(connection, &targets[table as usize]).map_err(said)?
            }
        };
        let (_, copy) = open.insert((table, copy));
        copy.send(rows).map_err(said)?;
    }
    close(open)
}

fn close(open: Option<(Table, CopyIn)>) -> Result<(), (Table, Refusal)> {
    let Some((table, copy)) = open else {
        return Ok(());
    };
    match copy.finish() {
        Ok((sent, taken)) if sent == taken => Ok(()),
        Ok((sent, taken)) => Err((table, Refusal::Short { sent, taken })),
        Err(e) => Err((table, Refusal::Said(e))),
    }
}

/// Where the records of a collection go.
pub(super) fn table(collection: Collection) -> Table {
    match collection {
        Collection::Streams => Table::Streams,
        Collection::Accesses => Table::Accesses,
        Collection::Profile => Table::Profile,
        Collection::Webhooks => Table::Webhooks,
        Collection::Events => Table::Events,
        Collection::Account => Table::AccountFields,
        Collection::Audit => Table::Audit,
        Collection::Series => Table::Series,
    }
}
