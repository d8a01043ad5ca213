//! A made-up platform to try things with: `fill-platform USERS EVENTS ATTACHMENTS BYTES FOLDER [SEED]` starts a private
//! PostgreSQL server, fills it, puts the attachments below FOLDER, says how to back it up, and lasts until its
//! standard input ends.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::postgres::Postgres;
use std::io::Read;
use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args.get(i).and_then(|text| text.parse().ok());
    let (Some(users), Some(events), Some(attachments), Some(bytes), Some(folder)) =
        (number(0), number(1), number(2), number(3), args.get(4))
    else {
        eprintln!("usage: fill-platform USERS EVENTS ATTACHMENTS BYTES FOLDER [SEED]");
        std::process::exit(2);
    };
    let Some(server) = Postgres::start() else {
        return;
    };
    let size = Size {
        users,
        events,
        attachments,
        attachment_bytes: bytes,
        seed: number(5).unwrap_or(1) as u64,
    };
    let database = fill::platform(&server, Path::new(folder), &size);
    println!(
        "env storages__engines__postgresql__port={} storages__engines__postgresql__database={database} \
         storages__engines__postgresql__user=postgres storages__engines__sqlite__path={folder} \
         storages__platform__engine=postgresql",
        server.port
    );
    // Until whoever started this is done with it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
