//! How fast a backup of a PostgreSQL platform is, beside `pg_dump -Fc` of the same database, in one run:
//! `bench-backup [SCALE]`, where SCALE 1.0 (the default) is (a) 1 user with 1,000,000 events, and the memory of three times
//! as many, (b) 10,000 users with 100 events each, (c) 1 GiB of attachments. A second argument, `a`, `b` or `c`, runs that
//! one only.
#![allow(clippy::unwrap_used, clippy::panic)]

use decryptor_wasm::signature::{
    FilesDigest, SIGNATURE, Tried, is_signed_path, try_signature, unproven,
};
use libdeflater::{CompressionLvl, Compressor};
use pryv_backup_tests::fill::{self, Size};
use pryv_backup_tests::folder;
use pryv_backup_tests::measure::{Measured, age_recipient, measure, sealed_dump, tool, tool_on};
use pryv_backup_tests::postgres::{Postgres, Setup};
use pryv_backup_tests::sign;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;
use tempfile::TempDir;

/// How often each command runs; the best counts.
const RUNS: usize = 3;

fn main() {
    let mut args = std::env::args().skip(1);
    let scale: f64 = args.next().map_or(1.0, |text| text.parse().unwrap());
    let only = args.next();
    let config = "shared_buffers = 512MB\nmax_connections = 60\n";
    let setup = Setup {
        config,
        ..Setup::default()
    };
    let Some(server) = Postgres::start_with(&setup) else {
        return;
    };
    let sized = |n: f64| (n * scale) as usize;
    let cases = [
        ("a", 1, sized(1e6), 0, 0),
        ("b", sized(1e4), 100, 0, 0),
        ("c", 8, 100, sized(128.0), 1 << 20),
    ];
    for (name, users, events, attachments, attachment_bytes) in cases {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let size = Size {
            users,
            events,
            attachments,
            attachment_bytes,
            seed: 1,
        };
        println!(
            "({name}) {users} users x {events} events, {} MiB of attachments",
            (users * attachments * attachment_bytes) >> 20
        );
        let ours = Case::new(&server, &size).run();
        if name == "a" {
            let size = Size {
                events: size.events * 3,
                ..size
            };
            let more = Case::new(&server, &size).backup(true, "files").memory;
            println!(
                "  {} events: {} MiB resident, {:.2} times as much",
                size.events,
                more / 1024,
                more as f64 / ours.memory as f64
            );
        }
    }
}

/// The time that signing adds to a backup, and its check to a verification: both are done again with the archive's files. The sums are sorted
/// and read anyway.
fn signed(archive: &Path, backup: &Measured, verified: &Measured) {
    let read = |name: &str| fs::read(archive.join(name)).unwrap();
    let (manifest, minisig) = (read("manifest.json"), read(SIGNATURE));
    let statement = unproven(&minisig).unwrap();
    let sums = String::from_utf8(read("SHA256SUMS")).unwrap();
    let files = || {
        let mut digest = FilesDigest::default();
        for line in sums.lines() {
            let (sha256, path) = line.split_once("  ").unwrap();
            if is_signed_path(path) {
                digest.push(path, sha256).unwrap();
            }
        }
        assert_eq!(digest.finish(), statement.files);
    };
    let timed = |work: &dyn Fn()| {
        best(|| {
            let started = Instant::now();
            files();
            work();
            Measured {
                time: started.elapsed(),
                ..Measured::default()
            }
        })
    };
    let key = sign::host();
    let again = key.sign(manifest.as_slice(), &statement).unwrap();
    let signing = timed(&|| drop(key.sign(manifest.as_slice(), &statement).unwrap()));
    let checking = timed(&|| {
        let tried = try_signature(key.signer(), &manifest, again.as_bytes());
        assert!(matches!(tried, Tried::Holds(_)));
    });
    let share = |part: &Measured, whole: &Measured| {
        100.0 * part.time.as_secs_f64() / whole.time.as_secs_f64()
    };
    println!(
        "  signing takes {:.1} ms, {:.2} % of the backup; checking {:.1} ms, {:.2} % of verify with the key",
        signing.time.as_secs_f64() * 1e3,
        share(&signing, backup),
        checking.time.as_secs_f64() * 1e3,
        share(&checking, verified)
    );
}

/// A filled platform, and a place for what is made of it.
struct Case<'a> {
    server: &'a Postgres,
    folder: TempDir,
    database: String,
    records: usize,
    runs: Cell<usize>,
}

impl<'a> Case<'a> {
    fn new(server: &'a Postgres, size: &Size) -> Self {
        let folder = TempDir::new().unwrap();
        // Every platform has it, also one without attachments.
        fs::create_dir(folder.path().join("users")).unwrap();
        let database = fill::platform(server, &folder.path().join("users"), size);
        let case = Self {
            server,
            folder,
            database,
            records: size.users * size.events.max(size.attachments),
            runs: Cell::new(0),
        };
        tool(&["keygen", "--output"])
            .arg(case.at("key.pem"))
            .output()
            .unwrap();
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new name each time: a file system that has just removed many files is slow in making new ones.
    fn next(&self, name: &str) -> PathBuf {
        self.runs.set(self.runs.get() + 1);
        self.at(&format!("{name}{}", self.runs.get()))
    }

    /// Everything side by side.
    fn run(&self) -> Measured {
        let copy = best(|| {
            let mut psql = self.server.client("psql");
            let sql = "COPY events TO stdout (FORMAT binary)";
            psql.args(["--quiet", "-c", sql, &self.database]);
            measure(psql.stdout(Stdio::null()))
        });
        self.row("bare COPY of the events", &copy, 0);
        let dump = self.at("dump");
        let dumped = best(|| {
            let mut command = self.server.client("pg_dump");
            measure(command.args(["-Fc", "-f"]).arg(&dump).arg(&self.database))
        });
        let dump_size = fs::metadata(&dump).unwrap().len();
        self.row("pg_dump -Fc", &dumped, dump_size);
        let recipient = age_recipient(&self.at("age"));
        let output = self.at("dump.age");
        let sealed = best(|| sealed_dump(self.server, &self.database, &recipient, &output));
        let sealed_size = fs::metadata(self.at("dump.age")).unwrap().len();
        self.row("pg_dump -Fc | age -r", &sealed, sealed_size);

        let ours = self.backup(true, "files");
        let archive = self.at(&format!("archive{}", self.runs.get()));
        let bytes: u64 = folder::tree(&archive)
            .values()
            .map(|file| file.len() as u64)
            .sum();
        self.row("backup, sealed", &ours, bytes);
        let ratio = |other: &Measured| ours.faster_than(other);
        println!(
            "  {:.2} times as fast as pg_dump -Fc, {:.2} as pg_dump -Fc | age -r, {:.2} times its size",
            ratio(&dumped),
            ratio(&sealed),
            bytes as f64 / dump_size as f64
        );
        let verified = self.opened(&archive, bytes);
        signed(&archive, &ours, &verified);
        self.volumes(&dumped, &verified);
        let files = best(|| {
            let copied = self.next("copied");
            let mut cp = Command::new("sh");
            measure(
                cp.args(["-c", "cp -r \"$0\" \"$1\" && sync -f \"$1\""])
                    .arg(&archive)
                    .arg(&copied),
            )
        });
        self.row("cp -r of the archive, and sync", &files, bytes);
        self.row("gzip of its records alone", &self.compressed(), 0);
        println!(
            "  {:.2} times COPY and cp together; {:.2} of the speed of cp",
            ours.time.as_secs_f64() / (copy.time + files.time).as_secs_f64(),
            ratio(&files)
        );
        ours
    }

    /// The same archive in volumes: its backup beside `pg_dump`, its verification beside that of files.
    fn volumes(&self, dumped: &Measured, of_files: &Measured) {
        let made = self.backup(true, "volumes");
        let archive = self.at(&format!("archive{}", self.runs.get()));
        let files = folder::tree(&archive);
        let bytes = files.values().map(|file| file.len() as u64).sum();
        self.row("backup, sealed, in volumes", &made, bytes);
        let verified = best(|| {
            let mut command = tool(&["verify"]);
            command
                .arg(&archive)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            measure(command.arg("--private-key").arg(self.at("key.pem")))
        });
        self.row("verify of them, with the key", &verified, bytes);
        println!(
            "  {:.2} times as fast as pg_dump -Fc, {} files; verify takes {:.2} of the time for files",
            made.faster_than(dumped),
            files.len(),
            of_files.faster_than(&verified)
        );
    }

    /// Reading the archive again, to its end: decrypted to disk, for good, and verified.
    fn opened(&self, archive: &Path, bytes: u64) -> Measured {
        let open = |words: &[&str], key: bool, out: bool| {
            best(|| {
                let mut command = tool(words);
                command
                    .arg(archive)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                if key {
                    command.arg("--private-key").arg(self.at("key.pem"));
                }
                if !out {
                    return measure(&mut command);
                }
                let folder = self.next("out");
                command.arg("--out").arg(&folder);
                // Nothing is decrypted that is not on the disk.
                let decrypted = measure(&mut command);
                let synced = measure(Command::new("sync").arg("-f").arg(&folder));
                Measured {
                    time: decrypted.time + synced.time,
                    ..decrypted
                }
            })
        };
        let keyless = open(&["verify"], false, false);
        let decrypted = open(&["decrypt"], true, true);
        let inflated = open(&["decrypt", "--gunzip"], true, true);
        let verified = open(&["verify"], true, false);
        self.row("verify, without the key", &keyless, bytes);
        self.row("decrypt, and sync", &decrypted, bytes);
        self.row("decrypt --gunzip, and sync", &inflated, bytes);
        self.row("verify, with the key", &verified, bytes);
        let of = |other: &Measured| verified.time.as_secs_f64() / other.time.as_secs_f64();
        println!(
            "  verify takes {:.2} of the time of decrypt, {:.2} of that of decrypt --gunzip",
            of(&decrypted),
            of(&inflated)
        );
        verified
    }

    fn backup(&self, sealed: bool, layout: &str) -> Measured {
        best(|| {
            let archive = self.next(if sealed { "archive" } else { "clear" });
            let mut command = tool_on(self.server, &self.database, &self.at("users"));
            command
                .env("audit__active", "false")
                .args(["--layout", layout, "--output"])
                .arg(archive)
                .current_dir(self.folder.path());
            if sealed {
                command
                    .arg("--recipient-pubkey")
                    .arg(self.at("key.pub.pem"));
            } else {
                command.arg("--no-compress");
            }
            measure(&mut command)
        })
    }

    /// The records, compressed block by block by all cores: no reading, no sealing, no writing.
    fn compressed(&self) -> Measured {
        self.backup(false, "files");
        let mut lines = Vec::new();
        for (path, bytes) in folder::tree(&self.at(&format!("clear{}", self.runs.get()))) {
            if path.ends_with(".jsonl") {
                lines.extend(bytes);
            }
        }
        best(|| {
            let started = Instant::now();
            let blocks = Mutex::new(lines.chunks(1 << 20));
            std::thread::scope(|scope| {
                for _ in 0..std::thread::available_parallelism().map_or(1, Into::into) {
                    scope.spawn(|| {
                        let mut gzip = Compressor::new(CompressionLvl::new(4).unwrap());
                        let mut member = vec![0; gzip.gzip_compress_bound(1 << 20)];
                        while let Some(block) = { blocks.lock().unwrap().next() } {
                            gzip.gzip_compress(block, &mut member).unwrap();
                        }
                    });
                }
            });
            Measured {
                time: started.elapsed(),
                ..Measured::default()
            }
        })
    }

    fn row(&self, name: &str, measured: &Measured, bytes: u64) {
        println!(
            "  {name:<32} {:>7.2} s {:>8.0} k records/s {:>6} MB {:>5} MiB resident",
            measured.time.as_secs_f64(),
            self.records as f64 / measured.time.as_secs_f64() / 1e3,
            bytes / 1_000_000,
            measured.memory / 1024
        );
    }
}

fn best(mut run: impl FnMut() -> Measured) -> Measured {
    let quiet = |_| {
        // Writes that the previous run left pending must not count here.
        Command::new("sync").status().unwrap();
        run()
    };
    (0..RUNS).map(quiet).reduce(Measured::better).unwrap()
}
