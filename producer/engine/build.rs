//! Hands what travels in every archive to the compiler, so that none can be written without it.

use std::path::{Path, PathBuf};

fn main() {
    for (built, made_by) in [
        ("../../npm/dist/decrypt-backup.mjs", "make script"),
        ("../../web/dist/decrypt-backup.html", "make page"),
    ] {
        carry(Path::new(built), made_by);
    }
}

fn carry(built: &Path, made_by: &str) {
    println!("cargo::rerun-if-changed={}", built.display());
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let name = built.file_name().unwrap_or_default();
    let copied = out.map(|out| std::fs::copy(built, out.join(name)));
    if !matches!(copied, Some(Ok(_))) {
        println!(
            "cargo::error={} is not built, and every archive must carry it: run `{made_by}` first",
            built.display()
        );
    }
}
