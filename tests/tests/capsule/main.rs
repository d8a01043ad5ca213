//! The configuration of a platform in its backup: what is taken, what readers make of it, and that nothing puts it back.
#![allow(clippy::unwrap_used, clippy::panic)]

mod chains;
mod hostile;
mod losses;
mod refusals;
mod round_trips;

use pryv_backup_tests::{
    command::{report, run, text, tool},
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A secret of the configuration.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A platform with the folder of a release of Pryv.io, keys of a cluster and what certbot leaves.
struct Host<'s> {
    stage: &'s Stage,
    platform: Platform<'s>,
    root: PathBuf,
}

fn put(path: &Path, content: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

impl<'s> Host<'s> {
    fn new(stage: &'s Stage, platform: Platform<'s>) -> Self {
        let root = stage.at("root");
        let at = |name: &str| root.join(name);
        let package =
            r#"{"name": "open-pryv.io", "version": "2.0.0-rc.46", "engines": {"node": ">=24"}}"#;
        put(&at("package.json"), package, 0o644);
        put(
            &at("config/default-config.yml"),
            "uploads: { maxSizeMb: 50 }\n",
            0o644,
        );
        put(
            &at("config/override-config.yml"),
            &format!(
                "platform: {{ piiHmacKey: {SECRET} }}\nauth: {{ adminAccessKey: long-enough-to-be-one }}\n\
                 cluster: {{ ca: {{ path: {} }} }}\nletsEncrypt: {{ tlsDir: tls, atRestKey: {SECRET} }}\n",
                at("ca").display()
            ),
            0o640,
        );
        put(
            &at("named/override-config.yml"),
            "service: { domain: pryv.test }\n",
            0o600,
        );
        put(&at("ca/ca.key"), "the key of the authority\n", 0o600);
        put(&at("ca/issued/a:b.crt"), "a certificate\n", 0o644);
        put(
            &at("tls/archive/pryv.test/privkey1.pem"),
            "a private key\n",
            0o600,
        );
        fs::create_dir_all(at("tls/live/pryv.test")).unwrap();
        symlink(
            "../../archive/pryv.test/privkey1.pem",
            at("tls/live/pryv.test/privkey.pem"),
        )
        .unwrap();
        symlink("archive", at("tls/newest")).unwrap();
        Host {
            stage,
            platform,
            root,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A backup with the configuration.
    fn backing_up(&self, output: &str, flags: &[&str]) -> Command {
        let mut command = self.without(output, flags);
        command.arg("--include-config");
        command
    }

    /// The same without it.
    fn without(&self, output: &str, flags: &[&str]) -> Command {
        let mut command = self.platform.command();
        command
            .args(["--json", "--recipient-pubkey"])
            .arg(self.stage.fixtures.join("keys/recipient.pub.pem"))
            .arg("--pryv-root")
            .arg(&self.root)
            .arg("--config")
            .arg(self.at("named/override-config.yml"))
            .args(["--output", output])
            .args(flags);
        command
    }

    /// One that succeeds, and its report.
    fn backup(&self, output: &str, flags: &[&str]) -> (PathBuf, Value) {
        let made = run(&mut self.backing_up(output, flags));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        (self.stage.at(output), report(&made))
    }
}

/// Saves a capsule.
fn saving(stage: &Stage, archive: &Path, out: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(tool());
    command
        .arg("capsule")
        .arg(archive)
        .arg("--out")
        .arg(stage.at(out));
    if !flags.contains(&"--private-key") {
        command.arg("--private-key").arg(stage.key());
    }
    run(command.args(flags))
}

/// The one line that a failed command ends with.
fn one_line(failed: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(failed.status.code(), Some(code), "{}", text(failed));
    assert_eq!(errors.len(), 1, "{said}");
    errors[0].to_owned()
}
