//! Files that travel in the clear inside every encrypted archive, so that it opens without this tool.

use decryptor_wasm::{Envelope, Mode};

/// Names of the companions.
pub const NAMES: [&str; 4] = [
    "RESTORE-README.md",
    "decrypt-backup.mjs",
    "decrypt-backup.html",
    "FORMAT.md",
];

/// Name and text of the script.
pub const SCRIPT: (&str, &str) = (
    NAMES[1],
    include_str!(concat!(env!("OUT_DIR"), "/decrypt-backup.mjs")),
);
/// Name and text of the page.
pub const PAGE: (&str, &str) = (
    NAMES[2],
    include_str!(concat!(env!("OUT_DIR"), "/decrypt-backup.html")),
);
const FORMAT: &str = include_str!("../../../../../docs/format.md");

/// Name and text of each companion.
pub fn companions(envelope: &Envelope) -> [(&'static str, String); 4] {
    [
        (NAMES[0], instructions(envelope)),
        (SCRIPT.0, SCRIPT.1.to_owned()),
        (PAGE.0, PAGE.1.to_owned()),
        (NAMES[3], FORMAT.to_owned()),
    ]
}

/// Hex SHA-256 of the page: a page cannot vouch for itself, so it is told elsewhere.
pub fn page_sha256() -> String {
    super::sha256_hex(PAGE.1.as_bytes())
}

/// The same of the script.
pub fn script_sha256() -> String {
    super::sha256_hex(SCRIPT.1.as_bytes())
}

fn instructions(envelope: &Envelope) -> String {
    let (needed, command) = match envelope.mode() {
        Mode::Hybrid => (
            "the private key file (`.pem`) of one of its recipients (see below), and its passphrase if it has one".to_owned(),
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
            "\n## Who can open it\n\nWhen it was made, the holders of the private keys with these fingerprints (SHA-256 of the public key); \
             `encryption.json`\nlists who can now:\n\n{}\n\
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
         2. a browser (Chrome, Edge, Firefox, Safari), or Node.js, version 18 or later (https://nodejs.org). Nothing is installed or\n\
            downloaded.\n\n\
         ## How to open it in a browser\n\n\
         Double-click `decrypt-backup.html`, choose this folder, and give it the key. The page checks the backup, shows what is in it\n\
         and saves it decrypted. It never uses the network: the key and the data stay on the computer. Before you give it the key,\n\
         make sure that it is the page that was shipped (see below).\n\n\
         ## How to open it with Node.js\n\n\
         Open a terminal in this folder and run:\n\n    {command}\n\n\
         The decrypted files appear in the folder after `--out`. Add `--gunzip` to get plain text files (one JSON record per line),\n\
         `--list` to see the users first, `--verify` to check the backup without writing anything, `--help` for the rest.\n{recipients}\n\
         ## Before you give it the key\n\n\
         Script and page are not encrypted: whoever could write to this folder could have put others in their place, which send the key\n\
         away. Nothing in this folder can tell. So compare with what you were given apart from this medium, when the backup was made\n\
         (its report prints all four), before you run either:\n\n\
         - the SHA-256 of the script, if you use Node.js: `sha256sum decrypt-backup.mjs`;\n\
         - the SHA-256 of the page, if you use a browser: `sha256sum decrypt-backup.html`;\n\
         - the archive id, which is the SHA-256 of `manifest.json`: `sha256sum manifest.json`; pass it as `--expect-id ID` to be sure\n\
           that you open that backup and no other (the page has a field for it);\n\
         - the signer, a line of 56 characters that begins with `RW`: script and page show who signed the backup; pass it as\n\
           `--signer KEY` to open nothing that somebody else made.\n\n\
         On Windows, `certutil -hashfile FILE SHA256` shows a SHA-256; on a Mac, `shasum -a 256 FILE`.\n\n\
         `sha256sum -c SHA256SUMS` in this folder finds damaged files without any key; it cannot tell whether somebody replaced them.\n\
         Neither script nor page uses the network: they run on a computer that is offline.\n\n\
         Where there is a `chain.json`, later backups were added in `increments`. What opens is the state at the newest of them, whose\n\
         archive id is the SHA-256 of the `manifest.json` in the last folder there. `--list` shows all, and `--at 1` opens the first.\n\n\
         ## If the script no longer runs\n\n\
         `FORMAT.md` describes the format completely: any programmer can write a reader from it.\n"
    )
}
