//! `chain.json` and `SHA256SUMS`, which nobody signs: they are written anew from what was signed.

use std::collections::BTreeMap;

use decryptor_wasm::{
    Envelope,
    chain::{CHAIN, Index, IndexRun, run_of},
    container::MAGIC,
    layout::{ENVELOPE, RUN, SUMS},
};

use super::{Repair, Run, collect, path_of};
use crate::{
    archive::{envelopes, sums::SumLine},
    digest::sha256_hex,
    failure::Failure,
};

impl Repair<'_> {
    /// Writes those lists anew that are not what they should be. `complete`: the files of all runs are known; `sums`: the lines that are due.
    pub(super) fn write_lists(
        &self,
        runs: &[Run],
        complete: bool,
        mut sums: BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let own = self
            .own
            .has(CHAIN)
            .then(|| self.own.read(CHAIN).ok())
            .flatten();
        let mut index = None;
        let is_chain = runs.len() > 1 || sums.contains_key(CHAIN) || self.own.has(CHAIN);
        if is_chain
            && complete
            && let Some(due) = list_of(runs)
        {
            let parsed = own.as_ref().and_then(|bytes| Index::parse(bytes).ok());
            // Recipients may be changing.
            let as_listed = own.as_ref().is_some_and(|own| {
                let listed = sums.get(CHAIN);
                listed.is_none_or(|listed| *listed == sha256_hex(own))
            });
            // An unproven signature says no more than the lists do.
            let stays = own.as_ref().map(|own| sha256_hex(own)).as_ref() == sums.get(CHAIN)
                && runs.iter().any(|run| !run.head.proven);
            let fits =
                |own: Index| stays || own.runs.iter().map(fixed).eq(due.runs.iter().map(fixed));
            let same = as_listed && parsed.is_some_and(fits);
            let bytes = match own.filter(|_| same) {
                Some(own) => own,
                None => {
                    let bytes = due.to_json()?;
                    let line = format!("{CHAIN}: written anew from the runs that were signed");
                    self.changes.write(&bytes, CHAIN, line)?;
                    sums.insert(CHAIN.to_owned(), sha256_hex(&bytes));
                    bytes
                }
            };
            index = Some(bytes);
        }
        // Lines may be missing while a run or a change of recipients goes on.
        let same = self.sums.as_ref() == Some(&sums);
        // Of a run of which nothing is known, nobody can say the lines.
        if same || (self.sums.is_none() && !complete) {
            return Ok(());
        }
        self.list_envelopes(runs, &mut sums)?;
        if let Some(bytes) = index {
            sums.insert(CHAIN.to_owned(), sha256_hex(&bytes));
        }
        self.write_sums(SUMS, &sums)
    }

    /// The same where each run has its own.
    pub(super) fn write_lists_of_runs(
        &self,
        runs: &[Run],
        complete: bool,
        sums: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let mut sums = sums.clone();
        self.list_envelopes(runs, &mut sums)?;
        let index = complete.then(|| list_of(runs)).flatten();
        for (at, run) in runs.iter().enumerate() {
            let due = index.as_ref().and_then(|index| index.runs.get(at));
            let own = run.own.read(RUN).ok();
            let own = own.and_then(|bytes| Index::parse(&bytes).ok());
            let is_due = |own: Index| own.runs.iter().map(fixed).eq(due.map(fixed));
            if let (Some(due), false) = (due, own.is_some_and(is_due)) {
                let path = path_of(run.number, RUN);
                let line = format!("{path}: written anew from what was signed");
                let bytes = Index::new(vec![due.clone()]).to_json()?;
                self.changes.write(&bytes, &path, line)?;
            }
            let of_run = |(path, sum): (&String, &String)| {
                let (_, within) = run_of(path).filter(|(of, _)| *of == run.number)?;
                Some((within.to_owned(), sum.clone()))
            };
            let due: BTreeMap<String, String> = sums.iter().filter_map(of_run).collect();
            let own = collect(run.own.own_sums());
            if own.as_ref() != Some(&due) && (own.is_some() || complete) {
                self.write_sums(&path_of(run.number, SUMS), &due)?;
            }
        }
        Ok(())
    }

    fn write_sums(&self, path: &str, sums: &BTreeMap<String, String>) -> Result<(), Failure> {
        let mut text = Vec::new();
        for (path, sha256) in sums {
            let line = SumLine::new(path, sha256).write(&mut text);
            line.map_err(|e| Failure::failed(format!("{SUMS}: {e}")))?;
        }
        let line = format!("{path}: written anew from what was signed");
        self.changes.write(&text, path, line)
    }

    /// Lines of the envelopes that lie there and fit.
    fn list_envelopes(
        &self,
        runs: &[Run],
        sums: &mut BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        for run in runs {
            let path = path_of(run.number, ENVELOPE);
            let fits = envelopes::check(&run.own, Some(run.head.statement.created), None).is_ok();
            if fits && run.own.has(ENVELOPE) && !sums.contains_key(&path) {
                sums.insert(path, sha256_hex(&run.own.read(ENVELOPE)?));
            }
        }
        Ok(())
    }
}

/// What does not change of an entry.
fn fixed(run: &IndexRun) -> (u32, &str, &str, Option<&str>, i64, bool) {
    (
        run.run,
        &run.path,
        &run.archive_id,
        run.parent.as_deref(),
        run.created_at,
        run.mode.is_some(),
    )
}

/// The list of the runs, which have to follow one another.
fn list_of(runs: &[Run]) -> Option<Index> {
    let mut entries: Vec<IndexRun> = Vec::new();
    for run in runs {
        let statement = &run.head.statement;
        let parent = entries.last().map(|before| before.archive_id.clone());
        let base = entries
            .first()
            .map_or(&statement.id, |first| &first.archive_id);
        if statement.parent != parent
            || statement.base != *base
            || run.number as usize != entries.len() + 1
        {
            return None;
        }
        let envelope = run.envelope.as_deref();
        let envelope = envelope.and_then(|bytes| Envelope::parse(bytes).ok());
        if envelope.is_none() && run.head.manifest.starts_with(MAGIC) {
            return None;
        }
        let recipients = envelope.iter().flat_map(Envelope::recipients);
        entries.push(IndexRun {
            run: run.number,
            path: Index::path(run.number),
            archive_id: statement.id.clone(),
            parent,
            kind: statement.kind,
            created_at: statement.created,
            recipients: recipients.map(|one| one.fingerprint.clone()).collect(),
            mode: envelope.map(|envelope| envelope.mode().name().to_owned()),
        });
    }
    Some(Index::new(entries))
}
