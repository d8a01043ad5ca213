//! Files in the clear beside the sealed ones: decryptors and documents, lists, links.

use pryv_backup_tests::chain::make;
use serde_json::{Value, json};

use super::{
    STORAGE,
    chains::{alice, refused as chain_refused},
    changed, refused,
};
use crate::{
    case::Case,
    chains::{drafts, good},
    draft::{Draft, Files, pretty},
};

/// Files in the clear beside the sealed ones.
fn archives() -> Vec<Case> {
    let added = |name, line, path: &'static str, says| {
        changed(name, line, move |files| {
            drop(files.insert(path.into(), b"alert(1)\n".to_vec()));
        })
        .says(says)
    };
    vec![
        changed("forged-script", "the script was changed: it is named, the data comes out", |files| {
            files.insert("decrypt-backup.mjs".into(), b"console.log('steal');   \n".to_vec());
        })
        .exit(4)
        .says("damaged: decrypt-backup.mjs"),
        changed("forged-scripts-swapped", "the page and the script lie in each other's place", |files| {
            let page = files["decrypt-backup.html"].clone();
            let script = files.insert("decrypt-backup.mjs".into(), page).unwrap();
            files.insert("decrypt-backup.html".into(), script);
        })
        .exit(4)
        .says("damaged: decrypt-backup.mjs")
        .says("damaged: decrypt-backup.html"),
        changed("forged-page-missing", "the page was removed", |files| {
            files.remove("decrypt-backup.html");
        })
        .exit(4)
        .says("decrypt-backup.html: listed in the manifest, but not there"),
        Case::good("forged-page-added", "a page that the archive does not have", &Draft::new())
            .change(|files| drop(files.insert("decrypt-backup.html".into(), b"<script>\n".to_vec())))
            .forged_by(STORAGE)
            .exit(4)
            .says("decrypt-backup.html: lies where the archive's own files lie, but the manifest does not list it"),
        added("forged-index-page", "a page of another name is named", "index.html",
            "warning: index.html: does not belong to the archive; it is left alone"),
        added("forged-module", "a script of another name is named", "decrypt-backup.js",
            "warning: decrypt-backup.js: does not belong to the archive; it is left alone"),
        added("forged-package", "what would tell Node.js how to read the script is named", "package.json",
            "warning: package.json: does not belong to the archive; it is left alone"),
        refused("forged-created", "the envelope says another time", |files| {
            let mut envelope: Value = serde_json::from_slice(&files["encryption.json"]).unwrap();
            envelope["createdAt"] = json!(1_900_000_000_000u64);
            files.insert("encryption.json".into(), pretty(&envelope));
        }, "encryption.json: gives another time of the backup than the manifest; the file was changed"),
        changed("forged-sums-out-of-the-folder", "a line of the sums that leads out of the archive is none of it", |files| {
            let sums = files.get_mut("SHA256SUMS").unwrap();
            sums.extend(format!("{}  increments/0004/../../../../dev/zero\n", "0".repeat(64)).bytes());
        })
        .says("all good"),
        refused("forged-sums-of-a-chain", "a line of the sums that speaks of a later run", |files| {
            let sums = files.get_mut("SHA256SUMS").unwrap();
            sums.extend(format!("{}  increments/0002/manifest.json\n", "0".repeat(64)).bytes());
        }, "chain.json is missing, so the runs after the first cannot be read"),
        refused("forged-link-to-runs", "a link where runs would lie", |_| {}, "is a symbolic link")
            .link("increments", "/etc"),
        refused("forged-link-to-a-user", "a link where the files of a user lie", |files| {
            files.retain(|path, _| !path.starts_with("users/u2/attachments/"));
        }, "is a symbolic link")
            .link("users/u2/attachments", "/etc"),
    ]
}

fn of_chains() -> Vec<Case> {
    let three = drafts(&alice());
    let chain = |name, line, change: fn(&mut Files)| {
        good(name, line, &three, 3)
            .change(change)
            .forged_by(STORAGE)
    };
    vec![
        chain(
            "forged-chain-script",
            "the script was changed: it is named, the data comes out",
            |files| {
                files.insert(
                    "decrypt-backup.mjs".into(),
                    b"console.log('steal');\n".to_vec(),
                );
            },
        )
        .exit(4)
        .says("damaged: decrypt-backup.mjs"),
        chain(
            "forged-chain-scripts-swapped",
            "the page and the script lie in each other's place",
            |files| {
                let page = files["decrypt-backup.html"].clone();
                let script = files.insert("decrypt-backup.mjs".into(), page).unwrap();
                files.insert("decrypt-backup.html".into(), script);
            },
        )
        .exit(4)
        .says("damaged: decrypt-backup.mjs")
        .says("damaged: decrypt-backup.html"),
        chain(
            "forged-chain-page-missing",
            "the page was removed",
            |files| drop(files.remove("decrypt-backup.html")),
        )
        .exit(4)
        .says("decrypt-backup.html: listed in the manifest, but not there"),
        chain(
            "forged-chain-page-in-a-run",
            "a page in the folder of a run",
            |files| {
                files.insert(
                    "increments/0002/decrypt-backup.html".into(),
                    b"<script>\n".to_vec(),
                );
            },
        )
        .exit(4)
        .says("decrypt-backup.html: lies where the archive's own files lie"),
        chain(
            "forged-chain-index-page",
            "a page of another name is named",
            |files| {
                files.insert("index.html".into(), b"<script>\n".to_vec());
            },
        )
        .says("warning: index.html: does not belong to the archive"),
        chain(
            "forged-chain-package",
            "what would tell Node.js how to read the script is named",
            |files| {
                files.insert("package.json".into(), b"{}\n".to_vec());
            },
        )
        .says("warning: package.json: does not belong to the archive"),
        chain(
            "forged-chain-page-among-the-runs",
            "a page beside the runs is named",
            |files| {
                files.insert("increments/open-me.html".into(), b"<script>\n".to_vec());
            },
        )
        .says("warning: increments/open-me.html: does not belong to the archive"),
        chain_refused(
            "forged-link-to-a-run",
            "a link where a run would lie",
            {
                let mut made = make(&three);
                let run = made.run(2);
                made.replace(2, Files::new());
                made.files.extend(
                    run.into_iter()
                        .map(|(path, bytes)| (format!("elsewhere/{path}"), bytes)),
                );
                made
            },
            "is a symbolic link",
        )
        .link("increments/0002", "../elsewhere"),
    ]
}

pub fn cases() -> Vec<Case> {
    [archives(), of_chains()].concat()
}
