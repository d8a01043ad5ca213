//! Makes the archives of an earlier version that are in the test kit: `make-earlier TOOL OUT`; see the test kit's README.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    earlier::{ARCHIVES, Maker},
    folder::tree,
};
use tempfile::TempDir;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tool, out] = arguments.as_slice() else {
        eprintln!("usage: make-earlier TOOL OUT");
        std::process::exit(2);
    };
    let scratch = TempDir::new().unwrap();
    let maker = Maker {
        tool: Path::new(tool),
        scratch: scratch.path(),
    };
    for (name, runs) in ARCHIVES {
        let folder = Path::new(out).join(name);
        fs::create_dir_all(&folder).unwrap();
        let decrypted = scratch.path().join(format!("out-of-{name}"));
        maker.make(name, runs, &folder.join("archive"), &decrypted);
        for run in 1..=runs {
            let files = tree(&decrypted.join(run.to_string()));
            let line =
                |(path, bytes): (&String, &Vec<u8>)| format!("{}  {path}\n", sha256_hex(bytes));
            let sums: String = files.iter().map(line).collect();
            fs::write(folder.join(format!("decrypted-{run}")), sums).unwrap();
        }
    }
}
