//! A user with whom a restore is done, and what others need to know of it.

use std::collections::BTreeMap;

use super::{
    lines,
    report::{Outcome, Restored},
    selection::SelectedUser,
};
use crate::{
    advice::{Advice, Sentence},
    archive::read::Archive,
    platform::{Collection, write::RestoreError},
};

/// A user that was dealt with.
pub struct RestoredUser {
    /// Outcome for the report.
    pub report: Restored,
    /// The name in the archive.
    pub source_name: String,
    /// The id in the archive.
    pub source_id: String,
    /// The current value of each account field, for the platform's own database.
    pub fields: BTreeMap<String, String>,
    /// Other names of it, which its accesses have.
    pub aliases: Vec<String>,
    /// Its e-mail addresses beside that of the account, and whether each is proven to be its own.
    pub addresses: Vec<(String, bool)>,
    /// Other names of it, as the archive says, that are nobody else's.
    pub other_names: Vec<String>,
}

impl RestoredUser {
    /// One with which nothing was done.
    pub fn without(user: &SelectedUser, outcome: Outcome, reason: impl Into<Sentence>) -> Self {
        let mut done = Self::new(user, outcome);
        done.report.reason = Some(reason.into());
        done
    }

    /// One with which nothing was done yet.
    pub fn dry(user: &SelectedUser, archive: &Archive) -> Self {
        let mut done = Self::new(user, Outcome::WouldBeRestored);
        done.report.records = BTreeMap::from(user.stats.by_name());
        if archive.chain.is_none() {
            let attachments = lines::attachments(archive, &user.source.user_id).count();
            done.report
                .records
                .insert("attachments", attachments as u64);
        }
        done
    }

    /// One that could not be restored.
    pub fn failed(user: &SelectedUser, error: &RestoreError) -> Self {
        let mut done = Self::new(user, Outcome::Failed);
        done.end_with(error);
        done
    }

    /// Something did not end well.
    pub fn end_with(&mut self, error: &RestoreError) {
        self.report.outcome = match error {
            RestoreError::Unfinished(_) => Outcome::Unfinished,
            RestoreError::Unknown(_) => Outcome::Unknown,
            _ => Outcome::Failed,
        };
        self.report.reason = Some(error.sentence());
    }

    /// One that an earlier run of this restore has restored; the shared records still need facts about it.
    pub fn restored_before(user: &SelectedUser, archive: &Archive) -> Self {
        let mut done = Self::new(user, Outcome::Restored);
        done.report.reason = Some(Sentence::new(
            "it was restored by an earlier run that was stopped; whether that one left anything out is not known",
            Advice::RestoreOnceMore,
        ));
        done.report.earlier = true;
        let id = &user.source.user_id;
        let outcome = [
            Collection::Account,
            Collection::Accesses,
            Collection::Events,
        ]
        .into_iter()
        .try_for_each(|collection| {
            lines::files(archive, id, collection).try_for_each(|file| {
                lines::each(archive, &file, &mut |lines| {
                    lines::split(lines).for_each(|line| done.learn(collection, line));
                    Ok(())
                })
            })
        });
        if let Err(error) = outcome {
            done.report.losses.push(error.to_string());
        }
        done
    }

    pub(super) fn new(user: &SelectedUser, outcome: Outcome) -> Self {
        let ours = |name: &&String| user.target.other_names.contains(name);
        Self {
            report: Restored::of(user, outcome),
            source_name: user.source.username.clone(),
            source_id: user.source.user_id.clone(),
            fields: BTreeMap::new(),
            aliases: Vec::new(),
            addresses: Vec::new(),
            other_names: user
                .source
                .other_names
                .iter()
                .filter(ours)
                .cloned()
                .collect(),
        }
    }

    /// Whether it is on the platform now.
    pub fn is_restored(&self) -> bool {
        matches!(self.report.outcome, Outcome::Restored | Outcome::Unfinished)
    }
}
