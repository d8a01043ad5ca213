//! The walk over an archive; see `open` of the core.

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use super::{
    archive::{from_json, to_json},
    error::returned,
    keys::{DataKey, Envelope},
};
use crate::{
    open::{self, Answer, OpenedArchive, Request},
    reader::FileSummary,
};

/// Something that the walk needs.
#[wasm_bindgen(getter_with_clone)]
pub struct Need {
    /// `listing`, `stored`, `digest`, `pieces`, `content` or `key`.
    #[wasm_bindgen(readonly)]
    pub what: String,
    /// The file, from the root.
    #[wasm_bindgen(readonly)]
    pub path: String,
    /// Whose key is needed, or opens the file.
    #[wasm_bindgen(readonly)]
    pub run: u32,
    /// Stored bytes, as listed.
    #[wasm_bindgen(readonly)]
    pub size: f64,
    /// A file of more bytes is too long.
    #[wasm_bindgen(readonly)]
    pub most: f64,
    number: u32,
    need: open::Need,
}

#[wasm_bindgen]
impl Need {
    /// The stored bytes whose content is needed, where they were read before.
    pub fn stored(&self) -> Option<Vec<u8>> {
        match &self.need {
            open::Need::Content(sealed) => sealed.stored.as_ref().map(|bytes| bytes.to_vec()),
            _ => None,
        }
    }

    /// What a key is to be had from.
    pub fn envelope(&self) -> Option<Envelope> {
        match &self.need {
            open::Need::Key { envelope, .. } => Some(Envelope(Arc::clone(envelope))),
            _ => None,
        }
    }
}

impl Need {
    fn new((number, need): (u32, open::Need)) -> Need {
        use open::Need as N;
        let (what, path, run, size, most) = match &need {
            N::Listing => ("listing", "", 0, 0, 0),
            N::Stored { path, most } => ("stored", path.as_str(), 0, *most, *most),
            N::Digest { path } => ("digest", path.as_str(), 0, 0, 0),
            N::Pieces { path } => ("pieces", path.as_str(), 0, 0, 0),
            N::Content(file) => (
                "content",
                file.path.as_str(),
                file.run,
                file.size,
                file.most,
            ),
            N::Key { run, .. } => ("key", "", *run, 0, 0),
        };
        Need {
            what: what.to_owned(),
            path: path.to_owned(),
            run,
            size: size as f64,
            most: most as f64,
            number,
            need,
        }
    }
}

/// An archive that is being opened.
#[wasm_bindgen]
pub struct Opening(open::Opening);

#[wasm_bindgen]
impl Opening {
    /// `request`: see `Request::parse` of the core.
    #[wasm_bindgen(constructor)]
    pub fn new(request: &str) -> Result<Opening, JsValue> {
        let request = Request::parse(request.as_bytes())?;
        Ok(Opening(open::Opening::new(request)))
    }

    /// What is needed next; undefined when everything that was handed out is to be answered first, or it is done. Throws why it cannot
    /// be opened.
    pub fn next(&mut self) -> Result<Option<Need>, JsValue> {
        Ok(self.0.next_need()?.map(Need::new))
    }

    /// The next bytes of `pieces`; throws what is to be given for an answer.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        Ok(self.0.piece(bytes)?)
    }

    /// Answers: `bytes` of what is stored or the content, undefined where they are too many; `text`: the listing as `[[path, size], …]`
    /// or the summary of a content; `sha256` of the stored bytes.
    pub fn give(&mut self, need: Need, bytes: Option<Vec<u8>>, text: &str, sha256: Option<String>) {
        let answer = match (need.need, bytes) {
            (open::Need::Listing, _) => from_json(text).map(Answer::Listing),
            (open::Need::Stored { .. }, Some(bytes)) => Ok(Answer::Stored(bytes)),
            (open::Need::Content(_), Some(bytes)) => {
                let summary = FileSummary::parse(text.as_bytes());
                summary.map(|summary| Answer::Content {
                    bytes,
                    summary,
                    sha256,
                })
            }
            (open::Need::Digest { .. }, _) => Ok(Answer::Digest(sha256.unwrap_or_default())),
            (open::Need::Pieces { .. }, _) => Ok(Answer::End),
            _ => Ok(Answer::TooLong),
        };
        self.0.give(need.number, answer);
    }

    /// Answers with a key.
    #[wasm_bindgen(js_name = giveKey)]
    pub fn give_key(&mut self, need: Need, key: &DataKey) {
        self.0.give(need.number, Ok(Answer::Key(key.0.clone())));
    }

    /// Says why a need cannot be met.
    pub fn refuse(&mut self, need: Need, error: &JsValue) {
        self.0.give(need.number, Err(returned(error)));
    }

    /// What was opened.
    pub fn opened(&mut self) -> Result<Opened, JsValue> {
        Ok(Opened(self.0.finish()?))
    }
}

/// What can be seen without a key: `{mode, runs}`. `listing`: `[[path, size], …]`; `envelope` and `index`: what `encryption.json` and
/// `chain.json` hold. Throws when it is no backup.
#[wasm_bindgen]
pub fn look(
    name: &str,
    listing: &str,
    envelope: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
) -> Result<String, JsValue> {
    let listing: Vec<(String, u64)> = from_json(listing)?;
    let looked = open::look(name, &listing, envelope.as_deref(), index.as_deref())?;
    to_json(&looked)
}

/// An opened archive.
#[wasm_bindgen]
pub struct Opened(OpenedArchive);

#[wasm_bindgen]
impl Opened {
    /// All that is to be said of it but the plan; see `OpenedArchive::told` of the core.
    pub fn told(&self) -> Result<String, JsValue> {
        Ok(self.0.told()?)
    }

    /// The plan, or what of it is of one user, as JSON.
    pub fn plan(&self, user: Option<String>) -> Result<String, JsValue> {
        Ok(self.0.plan_json(user.as_deref())?)
    }

    /// The paths of the manifests that could be read.
    #[wasm_bindgen(js_name = manifestPaths)]
    pub fn manifest_paths(&self) -> Vec<String> {
        crate::gather(self.0.manifests.keys().cloned())
    }

    /// The content of one of them.
    pub fn manifest(&self, path: &str) -> Option<Vec<u8>> {
        self.0.manifests.get(path).cloned()
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
pub struct Reading(open::Reading);

#[wasm_bindgen]
impl Reading {
    /// The file of a run to read next: `{run, path, size, encrypted, gunzip, lines, hash, sifted}`; undefined at the end.
    pub fn next(&mut self) -> Result<Option<String>, JsValue> {
        self.0.next_step()?.as_ref().map(to_json).transpose()
    }

    /// The next bytes of its content; what of them stands.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, JsValue> {
        let mut out = Vec::new();
        self.0.push(bytes, &mut out)?;
        Ok(out)
    }

    /// The end of its content; what is left of it.
    pub fn rest(&mut self) -> Result<Vec<u8>, JsValue> {
        let mut out = Vec::new();
        self.0.rest(&mut out)?;
        Ok(out)
    }

    /// The end of the file; throws when it is not the one that the inventory lists.
    pub fn end(&mut self, summary: &str, sha256: Option<String>) -> Result<(), JsValue> {
        let summary = FileSummary::parse(summary.as_bytes())?;
        Ok(self.0.end(summary, sha256.as_deref())?)
    }

    /// The error to throw for one that came of reading it.
    pub fn failed(&self, error: &JsValue) -> JsValue {
        self.0.failed(returned(error)).into()
    }

    /// What was seen of the whole, when there is no next file.
    pub fn summary(&self) -> Result<String, JsValue> {
        to_json(self.0.summary())
    }
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
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        Ok(self.0.push(bytes)?)
    }

    /// The end of it.
    pub fn end(&mut self) -> Result<(), JsValue> {
        Ok(self.0.end()?)
    }

    /// It cannot be read; throws unless the search can go on.
    pub fn failed(&mut self, error: &JsValue) -> Result<(), JsValue> {
        Ok(self.0.failed(returned(error))?)
    }
}
