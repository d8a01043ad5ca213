//! Waiting for the answer to a `COMMIT`. With a synchronous standby that does not answer it may not come for long.

use std::pin::pin;

use tokio::time::timeout;

use crate::interrupt;
use crate::observer::{Level, Observer};
use crate::platform::PlatformError;
use crate::platform::postgres::answer::PATIENCE;
use crate::platform::postgres::connection::{Connection, Server};

/// Periods without an answer after which it is said what is waited for: three seconds.
const LONG: u32 = 15;

/// Ends a transaction. A first signal does not end the wait, since nobody would know what became of the transaction; a second one
/// ends the process, and the next restore finds out.
pub fn commit(
    connection: &Connection,
    server: &Server,
    observer: &dyn Observer,
) -> Result<(), PlatformError> {
    let (runtime, address) = connection.place();
    let mut answer = pin!(connection.client().batch_execute("COMMIT"));
    let (mut periods, mut told, mut signalled) = (0, false, false);
    loop {
        // Between two periods another connection may be asked.
        let waited = runtime.block_on(async { timeout(PATIENCE, &mut answer).await });
        if let Ok(answer) = waited {
            return answer.map_err(|e| server.failed(&e));
        }
        periods += 1;
        if !told && periods >= LONG {
            told = true;
            let text = format!(
                "PostgreSQL at {address}: the COMMIT is waited for: {}",
                reason(server)
            );
            observer.tell(Level::Info, &text);
        }
        if !signalled && interrupt::check().is_err() {
            signalled = true;
            let text = format!(
                "PostgreSQL at {address}: interrupted, as soon as the COMMIT is answered: {}; a second signal ends it now, and the next \
                 restore finds out what became of the transaction",
                reason(server)
            );
            observer.tell(Level::Info, &text);
        }
    }
}

/// The reason why the server does not answer, as far as it tells.
fn reason(server: &Server) -> &'static str {
    let sql = "SELECT 'standby' FROM pg_stat_activity WHERE application_name = 'pryv-backup' AND usename = current_user \
               AND query LIKE '%COMMIT%' AND wait_event = 'SyncRep'";
    let rows = server.connect().and_then(|other| other.rows(sql));
    match rows.is_ok_and(|rows| !rows.is_empty()) {
        true => {
            "it is done here, and no synchronous standby has confirmed it (synchronous_standby_names); start the standby"
        }
        false => "the server has not answered",
    }
}
