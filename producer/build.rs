//! Hands the built decrypt-backup.mjs to the compiler, so that no archive can be written without it.

use std::path::PathBuf;

fn main() {
    let script = PathBuf::from("../npm/dist/decrypt-backup.mjs");
    println!("cargo::rerun-if-changed={}", script.display());
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let copied = out.map(|out| std::fs::copy(&script, out.join("decrypt-backup.mjs")));
    if !matches!(copied, Some(Ok(_))) {
        println!(
            "cargo::error=npm/dist/decrypt-backup.mjs is not built, and every archive must carry it: run `make script` first"
        );
    }
}
