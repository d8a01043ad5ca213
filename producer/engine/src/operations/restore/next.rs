//! Commands to run on the platform after a restore, by the age of the platform that was backed up.

use super::report::{Same, SameSecrets};

/// Repairs that platforms need which began with release candidates of version 2.0.0 before these.
const BEFORE: [(u32, &str); 5] = [
    (
        22,
        "start Pryv.io once: it gives invitations and OAuth grants the keys under which it finds them",
    ),
    (
        26,
        "bin/cmc-scrub-credentials.js: stored events may hold credentials",
    ),
    (
        40,
        "bin/hfs-author-scrub.js --dry-run, then --revoke: events of series may hold tokens that work",
    ),
    (
        43,
        "bin/platform-backloop-cleanup.js; bin/mail.js templates validate",
    ),
    (
        44,
        "bin/hfs-duration-repair.js: events of series may end far in the future",
    ),
];

/// The steps. `version` is what the manifest has as `coreVersion`, `cores` how many the platform has, as far as it tells; `secrets`: which of its
/// secrets are known to be those of the platform that was backed up.
pub fn steps(version: &str, cores: usize, secrets: SameSecrets) -> Vec<String> {
    let release = release(version);
    let before = BEFORE
        .iter()
        .filter(|(later, _)| release.is_none_or(|release| release < *later));
    let mut steps: Vec<String> = before.map(|(_, what)| (*what).to_owned()).collect();
    if cores > 1 {
        steps.push("bin/reconcile-user-cores.js, on each core".to_owned());
    }
    steps.push(
        "bin/backfill-access-index.js --resync; bin/integrity-check.js --platform".to_owned(),
    );
    if secrets.second_factors == Same::Other {
        steps.push(
            "set services.mfa.methods.totp.secretsKey, or auth.adminAccessKey where that is not set, to that of the platform that was backed up: \
             nobody can sign in with a second factor before"
                .to_owned(),
        );
    }
    if secrets.hashed_names == Same::Other {
        steps.push(
            "set platform.piiHmacKey to that of the platform that was backed up, and restore again over what is there"
                .to_owned(),
        );
    }
    steps.push("in Docker, check that the files belong to user 1000".to_owned());
    steps
}

/// Which release candidate of version 2.0.0 that is, a later version being later than all; none where the manifest does not tell. Until
/// the 33rd, and in archives of this tool that do not know better, it has the version of a part (1.9.3).
fn release(version: &str) -> Option<u32> {
    let mut parts = version.splitn(2, '-');
    let (number, candidate) = (parts.next()?, parts.next());
    let major: u32 = number.split('.').next()?.parse().ok()?;
    match (number, candidate) {
        _ if major < 2 => None,
        ("2.0.0", Some(candidate)) => candidate.strip_prefix("rc.")?.parse().ok(),
        _ => Some(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_age_asks_for() {
        let secrets = SameSecrets::default();
        let many = |version, cores| steps(version, cores, secrets).len();
        for (version, steps) in [
            ("1.9.3", 7),
            ("", 7),
            ("2.0.0-pre.5", 7),
            ("2.0.0-rc.14", 7),
            ("2.0.0-rc.22", 6),
            ("2.0.0-rc.39", 5),
            ("2.0.0-rc.40", 4),
            ("2.0.0-rc.43", 3),
            ("2.0.0-rc.46", 2),
            ("2.0.0", 2),
            ("2.1.0-rc.1", 2),
        ] {
            assert_eq!(many(version, 1), steps, "{version}");
            assert_eq!(many(version, 2), steps + 1, "{version}");
        }
        let other = SameSecrets {
            second_factors: Same::Other,
            hashed_names: Same::Other,
        };
        assert_eq!(steps("2.0.0", 1, other).len(), 4);
    }
}
