//! What travels in the clear inside every encrypted archive, so that it opens without us.

use decryptor_wasm::{Envelope, Mode};

/// Names of the companions.
pub const NAMES: [&str; 3] = ["RESTORE-README.md", "decrypt-backup.mjs", "FORMAT.md"];

const SCRIPT: &str = include_str!(concat!(env!("OUT_DIR"), "/decrypt-backup.mjs"));
const FORMAT: &str = include_str!("../../../../docs/format.md");

/// Name and text of each companion.
pub fn companions(envelope: &Envelope) -> [(&'static str, String); 3] {
    [
        (NAMES[0], instructions(envelope)),
        (NAMES[1], SCRIPT.to_owned()),
        (NAMES[2], FORMAT.to_owned()),
    ]
}

fn instructions(envelope: &Envelope) -> String {
    let (needed, command) = match envelope.mode() {
        Mode::Hybrid => (
            "the private key file (`.pem`) of one of the recipients named below, and its passphrase if it has one".to_owned(),
            "node decrypt-backup.mjs . --private-key /path/to/private-key.pem --out ../decrypted",
        ),
        _ => (
            "the passphrase that was used when the backup was made".to_owned(),
            "node decrypt-backup.mjs . --out ../decrypted",
        ),
    };
    let recipients = match envelope.recipients() {
        [] => String::new(),
        list => format!(
            "\n## Who can open it\n\nThe holders of the private keys with these fingerprints (SHA-256 of the public key):\n\n{}\n\
             To see the fingerprint of a private key that you have:\n\n    openssl pkey -in private-key.pem -pubout -outform DER | sha256sum\n",
            list.iter()
                .map(|r| format!("- `{}`\n", r.fingerprint))
                .collect::<String>()
        ),
    };
    format!(
        "# An encrypted backup of a Pryv.io platform\n\n\
         This folder holds people's personal data, encrypted. Nobody can read it without the key; losing the key means losing the data.\n\n\
         ## What you need\n\n\
         1. {needed};\n\
         2. Node.js, version 18 or later (https://nodejs.org). Nothing else is installed or downloaded.\n\n\
         ## How to open it\n\n\
         Open a terminal in this folder and run:\n\n    {command}\n\n\
         The decrypted files appear in the folder after `--out`. Add `--gunzip` to get plain text files (one JSON record per line),\n\
         `--list` to see the users first, `--verify` to check the backup without writing anything, `--help` for the rest.\n{recipients}\n\
         ## Before you run it\n\n\
         The script is not encrypted, so check that it is the one that was shipped: run `sha256sum -c SHA256SUMS` in this folder\n\
         (it also finds damaged files, without any key), and compare the archive id below with the one that was noted when the\n\
         backup was made. The script never uses the network: it can be run on a computer that is offline.\n\n\
         The archive id is the SHA-256 of `manifest.json`: `sha256sum manifest.json`. Pass it as `--expect-id ID` to be sure that you\n\
         open that backup and no other.\n\n\
         ## If the script no longer runs\n\n\
         `FORMAT.md` describes the format completely: any programmer can write a reader from it.\n"
    )
}
