//! One user: everything goes aside, is looked at, and then stands.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read},
    time::{SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::integrity::{self as hashes, Hashed};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    conflicts::Chosen,
    integrity::{Sum, judge},
    lines,
    report::{Integrity, Outcome, Restored},
};
use crate::{
    archive::read::Archive,
    cli::{BackupArgs, IntegrityArg},
    interrupt,
    platform::{
        Collection,
        write::{PlatformWriter, RestoreError, UserWriter},
    },
    progress::Tally,
};

/// The order in which a platform takes them.
const ORDER: [Collection; 8] = [
    Collection::Streams,
    Collection::Accesses,
    Collection::Profile,
    Collection::Webhooks,
    Collection::Events,
    Collection::Account,
    Collection::Audit,
    Collection::Series,
];
/// What an account has when nothing is known of it, as Pryv.io fills it in.
const DEFAULTS: [(&str, &str); 5] = [
    ("language", "\"en\""),
    ("appId", "\"\""),
    ("invitationToken", "\"no-token\""),
    ("dbDocuments", "0"),
    ("attachedFiles", "0"),
];

/// A user that was dealt with.
pub struct Done {
    /// What became of it.
    pub report: Restored,
    /// The name in the archive.
    pub source_name: String,
    /// The current value of each account field, for the platform's own database.
    pub fields: BTreeMap<String, String>,
}

impl Done {
    /// One with which nothing was done.
    pub fn without(user: &Chosen, outcome: Outcome, reason: &str) -> Self {
        let mut done = Self::new(user, outcome);
        done.report.reason = Some(reason.to_owned());
        done
    }

    /// One with which nothing was done yet.
    pub fn dry(user: &Chosen, archive: &Archive) -> Self {
        let mut done = Self::new(user, Outcome::WouldBeRestored);
        let stats = &user.stats;
        done.report.records = BTreeMap::from([
            ("streams", stats.streams),
            ("accesses", stats.accesses),
            ("profile", stats.profile),
            ("webhooks", stats.webhooks),
            ("events", stats.events),
            ("audit", stats.audit),
            ("series", stats.series),
            (
                "attachments",
                lines::attachments(archive, &user.source.user_id).count() as u64,
            ),
        ]);
        done
    }

    fn new(user: &Chosen, outcome: Outcome) -> Self {
        Self {
            report: Restored::of(user, outcome),
            source_name: user.source.username.clone(),
            fields: BTreeMap::new(),
        }
    }
}

/// Restores a user; whatever happens, it is told.
pub fn restore(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    user: &Chosen,
    args: &BackupArgs,
    tally: &Tally,
) -> Done {
    let mut done = Done::new(user, Outcome::Restored);
    let work = Work {
        archive,
        user,
        args,
        tally,
    };
    if let Err(error) = work.run(writer, &mut done) {
        done.report.outcome = Outcome::Failed;
        done.report.reason = Some(error.to_string());
    }
    done
}

struct Work<'a> {
    archive: &'a Archive,
    user: &'a Chosen,
    args: &'a BackupArgs,
    tally: &'a Tally,
}

/// An attachment as an event lists it.
struct Listed {
    event_id: String,
    size: Option<u64>,
    integrity: Option<String>,
    /// The event is deleted, or a version: its file may be gone.
    optional: bool,
}

/// What was seen of the records on their way.
#[derive(Default)]
struct Seen {
    attachments: HashMap<String, Vec<Listed>>,
    events: Sum,
    accesses: Sum,
    integrity: Integrity,
    account: bool,
}

impl Work<'_> {
    fn run(&self, writer: &dyn PlatformWriter, done: &mut Done) -> Result<(), RestoreError> {
        let how = &self.args.restoring;
        let mut target = writer.begin(&self.user.target, how.overwrite)?;
        let mut seen = Seen::default();
        for collection in ORDER {
            self.collection(collection, target.as_mut(), &mut seen, done)?;
        }
        if !seen.account {
            target.records(Collection::Account, &default_account("{}"))?;
        }
        self.attachments(target.as_mut(), &mut seen, done)?;
        target.flush()?;
        for lack in target.unheld() {
            done.report.losses.push(format!(
                "{}: {} in {} records has no place on this platform",
                lack.collection.name(),
                lack.what,
                lack.records
            ));
        }
        if how.verify_integrity {
            self.compare(target.as_mut(), &seen)?;
            done.report.integrity = Some(seen.integrity);
        }
        interrupt::check()?;
        target.commit()
    }

    fn collection(
        &self,
        collection: Collection,
        target: &mut dyn UserWriter,
        seen: &mut Seen,
        done: &mut Done,
    ) -> Result<(), RestoreError> {
        let mut count = 0;
        for file in lines::files(self.archive, &self.user.source.user_id, collection) {
            lines::each(self.archive, file, &mut |lines| {
                let mut here = 0;
                for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                    here += 1;
                    self.look(collection, line, seen, done)?;
                }
                count += here;
                self.tally.add(here, lines.len() as u64);
                match collection {
                    Collection::Account => self.account(lines, target),
                    Collection::Series => target.records(collection, &self.renamed(lines)),
                    _ => target.records(collection, lines),
                }
            })?;
        }
        done.report.records.insert(collection.name(), count);
        Ok(())
    }

    fn look(
        &self,
        collection: Collection,
        line: &[u8],
        seen: &mut Seen,
        done: &mut Done,
    ) -> Result<(), RestoreError> {
        let verify = self.args.restoring.verify_integrity;
        let proven =
            self.archive.plan.inventoried && self.args.restoring.integrity == IntegrityArg::Normal;
        match collection {
            Collection::Events => {
                attached(line, &mut seen.attachments)?;
                if verify {
                    judge(Hashed::Event, line, proven, &mut seen.integrity)?;
                    seen.events.add(Hashed::Event, line)?;
                }
            }
            Collection::Accesses if verify => {
                judge(Hashed::Access, line, proven, &mut seen.integrity)?;
                seen.accesses.add(Hashed::Access, line)?;
            }
            Collection::Account => {
                seen.account = true;
                done.fields.extend(current_fields(line));
            }
            _ => {}
        }
        Ok(())
    }

    /// An account without fields, as version 1 of Pryv.io had them, gets the usual ones.
    fn account(&self, lines: &[u8], target: &mut dyn UserWriter) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Account<'a> {
            #[serde(borrow, default)]
            account_fields: Option<Vec<&'a RawValue>>,
        }
        let text = String::from_utf8_lossy(lines);
        let line = text.trim_end();
        let account: Account<'_> =
            serde_json::from_str(line).map_err(|e| RestoreError::Record {
                collection: "account",
                what: e.to_string(),
            })?;
        if account
            .account_fields
            .is_some_and(|fields| !fields.is_empty())
        {
            return target.records(Collection::Account, lines);
        }
        target.records(Collection::Account, &default_account(line))
    }

    /// Series of a user who gets another name go with it.
    fn renamed(&self, lines: &[u8]) -> Vec<u8> {
        let (old, new) = (&self.user.source.username, &self.user.target.username);
        if old == new {
            return lines.to_vec();
        }
        let name = |name: &str| {
            format!(
                "\"namespace\":{}",
                serde_json::Value::from(format!("user.{name}"))
            )
        };
        String::from_utf8_lossy(lines)
            .replace(&name(old), &name(new))
            .into_bytes()
    }

    fn attachments(
        &self,
        target: &mut dyn UserWriter,
        seen: &mut Seen,
        done: &mut Done,
    ) -> Result<(), RestoreError> {
        let verify = self.args.restoring.verify_integrity;
        let mut count = 0;
        for (id, file) in lines::attachments(self.archive, &self.user.source.user_id) {
            let Some(listed) = seen.attachments.remove(id) else {
                done.report.losses.push(format!(
                    "attachment {id}: no event lists it; it was left out"
                ));
                continue;
            };
            // A version repeats what its event lists or listed.
            let live = listed.iter().any(|one| !one.optional);
            let mut given: Vec<&str> = Vec::new();
            for one in listed.iter().filter(|one| !one.optional || !live) {
                if given.contains(&one.event_id.as_str()) {
                    continue;
                }
                given.push(&one.event_id);
                let mut content = Digested {
                    content: self.archive.content(file)?,
                    digest: verify.then(Sha256::new),
                    size: 0,
                    tally: self.tally,
                };
                target.attachment(&one.event_id, id, &mut content)?;
                content.judge(id, one)?;
                count += 1;
            }
        }
        for (id, listed) in &seen.attachments {
            if let Some(one) = listed.iter().find(|one| !one.optional) {
                done.report.losses.push(format!(
                    "attachment {id} of event {} is not in the backup",
                    one.event_id
                ));
            }
        }
        done.report.records.insert("attachments", count);
        Ok(())
    }

    /// What the platform would give back is what the archive holds.
    fn compare(&self, target: &mut dyn UserWriter, seen: &Seen) -> Result<(), RestoreError> {
        for (collection, kind, before) in [
            (Collection::Events, Hashed::Event, &seen.events),
            (Collection::Accesses, Hashed::Access, &seen.accesses),
        ] {
            let mut after = Sum::default();
            target.read_back(collection, &mut |line| after.add(kind, line))?;
            if after != *before {
                return Err(RestoreError::Record {
                    collection: collection.name(),
                    what: "the platform gives back other records than the backup holds".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// An attachment on its way, looked at as it passes.
struct Digested<'a, R> {
    content: R,
    digest: Option<Sha256>,
    size: u64,
    tally: &'a Tally,
}

impl<R: Read> Read for Digested<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read(into)?;
        if let Some(digest) = &mut self.digest {
            digest.update(&into[..n]);
        }
        self.size += n as u64;
        self.tally.add(0, n as u64);
        Ok(n)
    }
}

impl<R> Digested<'_, R> {
    fn judge(self, id: &str, listed: &Listed) -> Result<(), RestoreError> {
        let Some(digest) = self.digest else {
            return Ok(());
        };
        let wrong = |what: String| RestoreError::Record {
            collection: "attachments",
            what: format!("{id} of event {} {what}", listed.event_id),
        };
        if let Some(size) = listed.size.filter(|size| *size != self.size) {
            return Err(wrong(format!(
                "has {} bytes, and its event says {size}",
                self.size
            )));
        }
        let hash = hashes::attachment(&digest.finalize().into());
        match &listed.integrity {
            Some(stored) if stored.starts_with("sha256-") && *stored != hash => {
                Err(wrong(format!("does not match its hash {stored}")))
            }
            _ => Ok(()),
        }
    }
}

/// Notes what an event lists. The files of a version lie under its event.
fn attached(
    line: &[u8],
    attachments: &mut HashMap<String, Vec<Listed>>,
) -> Result<(), RestoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        id: String,
        #[serde(default)]
        head_id: Option<String>,
        #[serde(default)]
        deleted: Option<f64>,
        #[serde(default)]
        attachments: Option<Vec<File>>,
    }
    #[derive(Deserialize)]
    struct File {
        id: String,
        #[serde(default)]
        size: Option<serde_json::Value>,
        #[serde(default)]
        integrity: Option<String>,
    }
    const KEY: &[u8] = b"\"attachments\"";
    if !line.windows(KEY.len()).any(|window| window == KEY) {
        return Ok(());
    }
    let event: Event = serde_json::from_slice(line).map_err(|e| RestoreError::Record {
        collection: "events",
        what: format!("the attachments of an event cannot be read: {e}"),
    })?;
    let optional = event.head_id.is_some() || event.deleted.is_some();
    let event_id = event.head_id.unwrap_or(event.id);
    for file in event.attachments.into_iter().flatten() {
        attachments.entry(file.id).or_default().push(Listed {
            event_id: event_id.clone(),
            size: file.size.and_then(|size| size.as_u64()),
            integrity: file.integrity,
            optional,
        });
    }
    Ok(())
}

/// The latest value of each field.
fn current_fields(line: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account {
        #[serde(default)]
        account_fields: Vec<Field>,
    }
    #[derive(Deserialize)]
    struct Field {
        field: String,
        value: serde_json::Value,
        #[serde(default)]
        time: f64,
    }
    let account: Account = serde_json::from_slice(line).unwrap_or(Account {
        account_fields: Vec::new(),
    });
    let mut latest: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for field in account.account_fields {
        let text = match field.value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => continue,
            other => other.to_string(),
        };
        let newer = latest
            .get(&field.field)
            .is_none_or(|(time, _)| *time <= field.time);
        if newer {
            latest.insert(field.field, (field.time, text));
        }
    }
    latest
        .into_iter()
        .map(|(field, (_, text))| (field, text))
        .collect()
}

/// An account record with the usual fields added; the others stay as they are written.
fn default_account(line: &str) -> Vec<u8> {
    let account: BTreeMap<String, &RawValue> = serde_json::from_str(line).unwrap_or_default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64());
    let fields: Vec<String> = DEFAULTS
        .iter()
        .map(|(field, value)| {
            format!("{{\"field\":\"{field}\",\"value\":{value},\"time\":{now},\"createdBy\":\"restore\"}}")
        })
        .collect();
    let mut line = format!("{{\"accountFields\":[{}]", fields.join(","));
    for (key, value) in account.iter().filter(|(key, _)| *key != "accountFields") {
        let key = serde_json::Value::from(key.as_str());
        line += &format!(",{key}:{}", value.get());
    }
    line += "}\n";
    line.into_bytes()
}
