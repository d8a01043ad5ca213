//! The walk over an archive, and what it opens; see `open` of the core.

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::{
    blocks::Blocks,
    error::returned,
    file::{Summary, cipher},
    keys::{DataKey, Envelope},
    volumes::Members,
};
use crate::{
    Result,
    open::{self, Answer, FileStep, OpenedArchive, Request},
    plan::{Expected, PlannedFile, check_against_inventory},
    volume,
};

/// Something that the walk needs; see `Need` of the core.
#[wasm_bindgen]
pub struct Need(open::Need, u32);

getters! { Need(need):
    /// `listing`, `stored`, `digest`, `pieces`, `content`, `block` or `key`.
    what: String = need.0.name().to_owned();
    /// The file, from the root.
    path: String = need.0.path().to_owned();
    /// The run whose key is needed, or opens the file.
    run: u32 = need.0.run();
    /// Where a block begins in the file.
    offset: f64 = need.0.offset() as f64;
    /// Stored bytes, as listed, or those of a block.
    size: f64 = need.0.size() as f64;
    /// Of a listing: the volumes are to be read through.
    scan: bool = need.0.scan();
    /// A file of more bytes is too long.
    most: f64 = need.0.most() as f64;
}

#[wasm_bindgen]
impl Need {
    /// The envelope that holds the key.
    pub fn envelope(&self) -> Option<Envelope> {
        self.0.envelope().cloned().map(Envelope)
    }
}

/// An archive that is being opened.
#[wasm_bindgen]
pub struct Opening {
    walk: open::Opening,
    /// The bytes of the file that is being given.
    given: Vec<u8>,
}

#[wasm_bindgen]
impl Opening {
    /// `request`: see `Request::parse` of the core; `open`: see `FileReader.sealed`.
    #[wasm_bindgen(constructor)]
    pub fn new(request: &str, open: Option<Function>) -> Result<Opening> {
        let request = Request::parse(request.as_bytes())?;
        let mut walk = open::Opening::new(request);
        walk.open_with(cipher(open));
        let given = Vec::new();
        Ok(Opening { walk, given })
    }

    /// The next need; undefined when everything that was handed out is to be answered first, or it is done. Throws why it cannot be
    /// opened.
    pub fn next(&mut self) -> Result<Option<Need>> {
        let next = self.walk.next_need()?;
        if let Some((_, need)) = &next {
            // A buffer that grows step by step would take twice as much. Where there is no room, it grows as far as bytes come.
            let size = usize::try_from(need.size().min(need.most())).unwrap_or_default();
            let _ = self.given.try_reserve_exact(size);
        }
        Ok(next.map(|(number, need)| Need(need, number)))
    }

    /// The next bytes of `pieces`; throws what is to be given for an answer.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        self.walk.piece(bytes)
    }

    /// The next bytes of a file that is given as a whole.
    pub fn push(&mut self, bytes: &[u8]) {
        self.given.extend_from_slice(bytes);
    }

    /// Answers with what was read: the bytes that were pushed, unless there are `too_many`; the `summary` of a content, and the SHA-256 of the
    /// stored bytes.
    pub fn give(
        &mut self,
        need: Need,
        too_many: bool,
        summary: Option<Summary>,
        sha256: Option<String>,
    ) {
        let bytes = Some(std::mem::take(&mut self.given)).filter(|_| !too_many);
        let summary = summary.map(|summary| summary.0).unwrap_or_default();
        let answer = need.0.answer(bytes, summary, sha256);
        self.walk.give(need.1, Ok(answer));
    }

    /// Answers with the files of `members`.
    #[wasm_bindgen(js_name = giveMembers)]
    pub fn give_members(&mut self, need: Need, members: &Members) {
        let listed = volume::Members::listed(&members.0);
        self.walk.give(need.1, Ok(Answer::Listing(listed)));
    }

    /// Answers with a key.
    #[wasm_bindgen(js_name = giveKey)]
    pub fn give_key(&mut self, need: Need, key: &DataKey) {
        self.walk.give(need.1, Ok(Answer::Key(key.0.clone())));
    }

    /// Says why a need cannot be met.
    pub fn refuse(&mut self, need: Need, error: &JsValue) {
        self.given = Vec::new();
        self.walk.give(need.1, Err(returned(error)));
    }

    /// The opened archive.
    pub fn opened(&mut self) -> Result<Opened> {
        Ok(Opened(self.walk.finish()?))
    }
}

/// The archive called `name` as it is seen without a key: JSON of `Sight`. `envelope` and `index`: what `encryption.json` and `chain.json`
/// hold. Throws when it is no backup.
#[wasm_bindgen]
pub fn look(
    name: &str,
    members: &Members,
    envelope: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
) -> Result<String> {
    let listing = &members.0.files;
    open::look(name, listing, envelope.as_deref(), index.as_deref())?.to_json()
}

/// An opened archive.
#[wasm_bindgen]
pub struct Opened(OpenedArchive);

#[wasm_bindgen]
impl Opened {
    /// The facts about it: JSON of `Facts`.
    pub fn facts(&self) -> Result<String> {
        self.0.summary()
    }

    /// What the plan has of one user (id or name): JSON of `Plan`.
    pub fn plan(&self, user: &str) -> Result<String> {
        self.0.plan_of(user)
    }

    /// So many items from a place on of `users`, `files` or `manifests`: JSON of a list of `UserInfo` or `PlannedFile`.
    pub fn page(&self, list: &str, from: usize, count: usize) -> Result<String> {
        self.0.page(list, from, count)
    }

    /// Blocks of so many files from a place of the plan on; see `OpenedArchive::blocks` of the core.
    pub fn blocks(&self, members: &Members, from: usize, count: usize) -> Blocks {
        let mut others = Vec::new();
        let mut blocks = self.0.blocks(&members.0, from, count, &mut others);
        blocks.reverse();
        Blocks { blocks, others }
    }

    /// The planned file at a path: JSON of `PlannedFile`; undefined where there is none.
    pub fn file(&self, path: &str) -> Result<Option<String>> {
        self.0.file_json(path)
    }

    /// Two planned files that would be one on disk; see `OpenedArchive::collision` of the core.
    pub fn collision(
        &self,
        user: Option<String>,
        gunzip: bool,
        caseless: bool,
    ) -> Option<Vec<String>> {
        let pair = self.0.collision(user.as_deref(), gunzip, caseless);
        pair.map(Into::into)
    }

    /// The content of `manifest.json`, with empty lists of users and of files.
    #[wasm_bindgen(js_name = manifestRest)]
    pub fn manifest_rest(&self) -> Vec<u8> {
        self.0.manifest_rest().to_vec()
    }

    /// The content of the `manifest.json` of the state of a chain, which lies nowhere; undefined for an archive by itself.
    #[wasm_bindgen(js_name = stateManifest)]
    pub fn state_manifest(&self) -> Result<Option<Vec<u8>>> {
        self.0.state_manifest()
    }

    /// Throws when `manifest.json` (hex SHA-256 of its stored bytes) is not the one that was opened.
    #[wasm_bindgen(js_name = requireManifest)]
    pub fn require_manifest(&self, sha256: &str) -> Result<()> {
        self.0.require_manifest(sha256)
    }

    /// `encryption.json` as it was when it was opened.
    pub fn envelope(&self) -> Option<Vec<u8>> {
        self.0.newest()?.envelope.clone()
    }

    /// Begins to read a file of the state of a chain; undefined where it is none.
    pub fn read(&self, path: &str, hash: bool) -> Option<Reading> {
        self.0.read(path, hash).map(Reading)
    }

    /// Begins to look for attachments of events that are gone.
    pub fn orphans(&self) -> Orphans {
        Orphans(open::Orphans::new(&self.0))
    }

    /// Leaves them out of the plan; whether there were any.
    #[wasm_bindgen(js_name = dropOrphans)]
    pub fn drop_orphans(&mut self, orphans: &Orphans) -> bool {
        self.0.drop_orphans(&orphans.0)
    }
}

/// A file of a state that is being read; see `Reading` of the core.
#[wasm_bindgen]
pub struct Reading(open::StateReading);

#[wasm_bindgen]
impl Reading {
    /// The file of a run to read next; undefined at the end.
    pub fn next(&mut self) -> Result<Option<Step>> {
        Ok(self.0.next_step()?.map(|step| Step(step, None)))
    }

    /// The next bytes of its content; returns what is left of them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.0.push(bytes, &mut out)?;
        Ok(out)
    }

    /// The end of its content; returns what is left of the last line.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.0.rest(&mut out)?;
        Ok(out)
    }

    /// The end of the file; throws when it is not the one that the inventory lists.
    pub fn end(&mut self, summary: Summary, sha256: Option<String>) -> Result<()> {
        self.0.end(summary.0, sha256.as_deref())
    }

    /// The error to throw for one that came of reading it.
    pub fn failed(&self, error: &JsValue) -> JsValue {
        self.0.failed(returned(error)).into()
    }

    /// The summary of the whole, when there is no next file.
    pub fn summary(&self) -> Summary {
        Summary(self.0.summary().clone())
    }
}

/// A file that is to be read, and how.
#[wasm_bindgen]
pub struct Step(open::FileStep, Option<Expected>);

#[wasm_bindgen]
impl Step {
    /// Says how to read a file of an archive by itself (JSON of `PlannedFile`); see `FileStep::of` of the core.
    pub fn of(file: &str, gunzip: bool, hash: bool) -> Result<Step> {
        let file = PlannedFile::parse(file.as_bytes())?;
        Ok(Step(FileStep::of(&file, gunzip, hash), file.expected))
    }

    /// Throws when what was read is not the file that the inventory lists. `decrypted`: the archive was decrypted before.
    pub fn check(&self, found: &Summary, sha256: Option<String>, decrypted: bool) -> Result<()> {
        let Some(expected) = &self.1 else {
            return Ok(());
        };
        check_against_inventory(expected, &found.0, sha256.as_deref(), decrypted)
    }
}

getters! { Step(step):
    /// The run.
    run: u32 = step.0.run;
    /// From the root of the chain.
    path: String = step.0.path.clone();
    /// Stored bytes, as listed.
    size: f64 = step.0.size as f64;
    /// Whether it opens with the key of the run.
    encrypted: bool = step.0.encrypted;
    /// Whether its content is to be inflated.
    gunzip: bool = step.0.gunzip;
    /// Whether its lines are to be checked and counted while it is read.
    lines: bool = step.0.lines;
    /// Whether the SHA-256 of its stored bytes is needed.
    hash: bool = step.0.hash;
    /// Whether the content goes through `push`; else it is put out as it is.
    filtered: bool = step.0.filtered;
}

/// The search for attachments of events that are gone; see `Orphans` of the core.
#[wasm_bindgen]
pub struct Orphans(open::Orphans);

#[wasm_bindgen]
impl Orphans {
    /// The file of the state to read next.
    pub fn next(&mut self) -> Option<String> {
        self.0.next_file()
    }

    /// The next bytes of its content.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.push(bytes)
    }

    /// The end of its content.
    pub fn end(&mut self) -> Result<()> {
        self.0.end()
    }

    /// It cannot be read; throws unless the search can go on.
    pub fn failed(&mut self, error: &JsValue) -> Result<()> {
        self.0.failed(returned(error))
    }
}
