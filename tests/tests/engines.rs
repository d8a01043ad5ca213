//! Every mix of engines: a platform of each is backed up, and restored into another one of the same mix and into one of
//! the next mix. `docs/engines.md` is what came of it: `ENGINES=overwrite` writes it.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::{
    command::{report, text},
    influx::Influx,
    normal::records,
    object_store::{ObjectStore, access_key},
    plain::Plain,
    stage::{Engines, Platform, Stage},
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

type Records = BTreeMap<String, BTreeSet<String>>;

/// The mixes that settings of Pryv.io can name. The platform's own database is in PostgreSQL only where the base is too.
fn mixes() -> Vec<Engines> {
    let mut all = Vec::new();
    for base in ["postgresql", "sqlite"] {
        let own: &[&'static str] = match base {
            "postgresql" => &["postgresql", "rqlite"],
            _ => &["rqlite"],
        };
        for platform in own {
            for series in ["postgresql", "sqlite", "influxdb"] {
                for audit in ["postgresql", "sqlite"] {
                    for files in ["filesystem", "postgresql", "s3"] {
                        all.push(Engines {
                            base,
                            series,
                            audit,
                            files,
                            platform,
                        });
                    }
                }
            }
        }
    }
    all
}

/// Two servers of a kind: a mix is restored from a platform on one into a platform on the other.
struct Servers<'s> {
    stage: &'s Stage,
    influx: [Influx; 2],
    store: &'s ObjectStore,
}

impl<'s> Servers<'s> {
    /// An empty platform of a mix.
    fn empty(&self, engines: Engines, side: usize) -> Platform<'s> {
        let influx = &self.influx[side];
        influx.clear();
        let bucket = self.store.plain();
        let [id, secret] = access_key();
        let platform = self.stage.mixed(engines).unwrap();
        platform
            .with(
                "storages__engines__influxdb__port",
                &influx.port.to_string(),
            )
            .with("storages__engines__s3__bucket", bucket.name())
            .with(
                "storages__engines__s3__endpoint",
                &format!("http://127.0.0.1:{}", self.store.port()),
            )
            .with("storages__engines__s3__accessKeyId", id)
            .with("storages__engines__s3__secretAccessKey", secret)
    }
}

/// Pryv.io gives the series of PostgreSQL the connection of the base, and no other.
fn is_possible(engines: &Engines) -> bool {
    engines.base == "postgresql" || engines.series != "postgresql"
}

fn row(told: &mut String, engines: &Engines, same: &str, other: &str) {
    let Engines {
        base,
        series,
        audit,
        files,
        platform,
    } = engines;
    let cells = [base, series, audit, files, platform, same, other];
    writeln!(told, "| {} |", cells.join(" | ")).unwrap();
}

fn read(stage: &Stage, archive: &Path) -> Records {
    let opened = stage.open(archive);
    let all = records(&Plain::read(&opened));
    fs::remove_dir_all(opened).unwrap();
    all
}

/// Restores an archive, backs up what came of it, and compares record by record.
fn carried(
    stage: &Stage,
    archive: &Path,
    target: &Platform<'_>,
    name: &str,
    due: &Records,
) -> PathBuf {
    let done = target.restore(archive, &[]);
    assert_eq!(done.status.code(), Some(0), "{name}: {}", text(&done));
    let said = report(&done);
    for user in said["users"].as_array().unwrap() {
        assert_eq!(
            user["losses"].as_array().map(Vec::len),
            Some(0),
            "{name}: {user}"
        );
    }
    let again = target.backup(name);
    let found = read(stage, &again);
    let places = due.keys().chain(found.keys()).collect::<BTreeSet<_>>();
    let wrong: Vec<String> = places
        .into_iter()
        .filter(|place| due.get(*place) != found.get(*place))
        .map(|place| {
            let none = BTreeSet::new();
            let [one, other] = [due, &found].map(|all| all.get(place).unwrap_or(&none));
            let differ: Vec<_> = one.symmetric_difference(other).take(6).collect();
            format!("{place}: {differ:#?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    again
}

#[test]
fn every_mix_into_itself_and_into_the_next() {
    let Some(stage) = Stage::new() else { return };
    let (Some(one), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let (Some(_), Some(store)) = (stage.server(), ObjectStore::shared()) else {
        return;
    };
    let servers = Servers {
        stage: &stage,
        influx: [one, other],
        store,
    };
    let mut archive = stage.sqlite_fixture().backup("first");
    let due = read(&stage, &archive);
    let mixes = mixes();
    let mut told = String::from(HEAD);
    for (n, engines) in mixes.iter().enumerate() {
        if !is_possible(engines) {
            let refused = servers.empty(*engines, 0).restore(&archive, &[]);
            assert_eq!(refused.status.code(), Some(1), "{engines}");
            assert!(
                text(&refused).contains("set storages.series.engine to sqlite or influxdb"),
                "{engines}"
            );
            row(&mut told, engines, "not in Pryv.io", "");
            continue;
        }
        let source = servers.empty(*engines, 0);
        let made = carried(
            &stage,
            &archive,
            &source,
            &format!("{n}-from-the-one-before"),
            &due,
        );
        let same = servers.empty(*engines, 1);
        let again = carried(&stage, &made, &same, &format!("{n}-from-its-like"), &due);
        assert!(source.is_left_clean() && same.is_left_clean());
        for platform in [source, same] {
            platform.remove();
        }
        for done in [archive, again] {
            fs::remove_dir_all(done).unwrap();
        }
        archive = made;
        let mut others = mixes.iter().skip(n + 1).chain(&mixes);
        let next = others.find(|engines| is_possible(engines)).unwrap();
        row(&mut told, engines, "equal", &next.to_string());
    }
    // The last one into the first.
    let first = servers.empty(mixes[0], 0);
    carried(&stage, &archive, &first, "last", &due);
    told.push_str(TAIL);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/engines.md");
    if std::env::var("ENGINES").is_ok_and(|what| what == "overwrite") {
        fs::write(&path, &told).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == told,
        "docs/engines.md says something else: run this test with ENGINES=overwrite"
    );
}

const HEAD: &str = "# Engines

A platform of Pryv.io keeps its parts in engines of their own: the base (streams, accesses, profiles, webhooks, events, accounts), series, the audit trail, attachments (files), and
the platform's own database. The test `engines` writes this table: it restores the fixture platform into an empty platform of each mix, backs that up, and restores the
backup into a second empty platform of the same mix and into one of the mix in the last column. After each step all records and attachments are
compared with those of the first platform.

| base | series | audit | files | platform | into the same | equal in another mix: base, series, audit, files, platform |
|---|---|---|---|---|---|---|
";

const TAIL: &str = "
What counts as equal:

- A member that is missing is one that is null; a stream without `trashed` or `singleActivity` has `false` there. PostgreSQL gives both back as columns.
- SQLite keeps the values of account stores, and `content`, `clientData` and `attachments` of audit records, as the text of their JSON; PostgreSQL as JSON. The values are compared.
- The two engines name some columns of the audit trail otherwise (`head_id`, `headId`).

Which mixes there are:

- The platform's own database is in PostgreSQL only where the base is in PostgreSQL too: Pryv.io refuses anything else.
- Series in PostgreSQL beside a base in SQLite are none that Pryv.io can have: it connects to PostgreSQL for a base only (`storages/index.ts`, `if (baseEngine ===
  'postgresql')`), and hands that connection, here none, to the series (`createSeriesConnection` of `storages/engines/postgresql/src/index.ts`), so that each of their
  calls fails. Since 2.0.0-rc.44 it refuses to start so. Backup and restore refuse it too, and say what to set. The audit trail and attachments have connections of their
  own (`createAuditStorage` there, `EventPGFiles.ts`).
- rqlite is a stand-in here that answers from a real SQLite database; the other engines are real (S3 is SeaweedFS).
";
