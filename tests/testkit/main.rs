//! Writes the test kit; see README.md beside this file.
#![allow(clippy::unwrap_used, clippy::panic)]

mod case;
mod chains;
mod damaged;
mod draft;
mod earlier;
mod forged;
mod good;
mod hostile;
mod keys;
mod names;
mod tars;
mod volumes;

use std::path::PathBuf;

fn main() {
    let Some(out) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: testkit OUT");
        std::process::exit(2);
    };
    keys::write(&out.join("keys"));
    let cases = [
        good::cases(),
        damaged::cases(),
        hostile::cases(),
        chains::cases(),
        forged::cases(),
        keys::cases(),
        earlier::cases(),
        names::cases(),
        volumes::cases(),
        tars::cases(),
    ]
    .concat();
    for case in &cases {
        case.write(&out);
    }
    println!("{} cases in {}", cases.len(), out.display());
}
