//! Passes needs from the walk to its driver, and answers back.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    small::{ManifestBlock, ReadContent},
    sums::ChainLines,
};
use crate::{
    Code, DataKey, Envelope, Error, Result,
    aead::{Cipher, core_cipher},
    layout::{most_bytes, refuse_long},
    reader::FileSummary,
    volume::{Listed, Members},
};

/// Something that the walk needs to go on. Paths are relative to the folder that was listed.
#[derive(Clone)]
pub enum Need {
    /// Every file with its size in bytes, the members of volumes among them.
    Listing {
        /// The volumes are to be read through, because something is missing that an index may hide.
        scan: bool,
    },
    /// A file as it is stored, in one piece.
    Stored {
        /// Its path.
        path: String,
        /// A file of more bytes is [`Answer::TooLong`].
        most: u64,
        /// Its bytes, as listed; 0 where they do not matter.
        size: u64,
    },
    /// The SHA-256 of a file as it is stored.
    Digest {
        /// Its path.
        path: String,
    },
    /// The bytes of a file, to be passed on with [`super::Opening::piece`]; then [`Answer::End`].
    Pieces {
        /// Its path.
        path: String,
    },
    /// The content of the manifest of a user.
    Content(ManifestNeed),
    /// A piece of a volume, in which several of them lie; asked for where [`Listed::members`] are known.
    Block(ManifestBlock),
    /// The data key of a run.
    Key {
        /// The run, counted from 1.
        run: u32,
        /// The envelope that holds the key.
        envelope: Arc<Envelope>,
    },
}

impl Need {
    /// Its kind: `listing`, `stored`, `digest`, `pieces`, `content`, `block` or `key`.
    pub fn name(&self) -> &'static str {
        match self {
            Need::Listing { .. } => "listing",
            Need::Stored { .. } => "stored",
            Need::Digest { .. } => "digest",
            Need::Pieces { .. } => "pieces",
            Need::Content(_) => "content",
            Need::Block(_) => "block",
            Need::Key { .. } => "key",
        }
    }

    /// The file that is needed; empty for what is no file.
    pub fn path(&self) -> &str {
        match self {
            Need::Stored { path, .. } | Need::Digest { path } | Need::Pieces { path } => path,
            Need::Content(sealed) => &sealed.path,
            Need::Block(block) => &block.range.path,
            Need::Listing { .. } | Need::Key { .. } => "",
        }
    }

    /// The run whose key is needed, or opens the file; 0 where it does not matter.
    pub fn run(&self) -> u32 {
        match self {
            Need::Content(sealed) => sealed.run,
            Need::Key { run, .. } => *run,
            _ => 0,
        }
    }

    /// Where a piece begins; 0 of anything else.
    pub fn offset(&self) -> u64 {
        match self {
            Need::Block(block) => block.range.offset,
            _ => 0,
        }
    }

    /// Stored bytes, as listed, or those of a piece, which may end before; 0 where they do not matter.
    pub fn size(&self) -> u64 {
        match self {
            Need::Content(sealed) => sealed.size,
            Need::Block(block) => block.range.length,
            Need::Stored { size, .. } => *size,
            _ => 0,
        }
    }

    /// A file of more bytes is [`Answer::TooLong`].
    pub fn most(&self) -> u64 {
        match self {
            Need::Stored { most, .. } => *most,
            Need::Content(sealed) => sealed.most,
            Need::Block(block) => block.range.length,
            _ => 0,
        }
    }

    /// The envelope that holds the key.
    pub fn envelope(&self) -> Option<&Arc<Envelope>> {
        match self {
            Need::Key { envelope, .. } => Some(envelope),
            _ => None,
        }
    }

    /// Whether it is a listing for which the volumes are read through.
    pub fn scan(&self) -> bool {
        matches!(self, Need::Listing { scan: true })
    }

    /// The answer, for a driver that has read the file: its `bytes`, none where there are too many, and of a content what was seen of it.
    /// `sha256`: of the stored bytes.
    pub fn answer(
        &self,
        bytes: Option<Vec<u8>>,
        summary: FileSummary,
        sha256: Option<String>,
    ) -> Answer {
        match (self, bytes) {
            (Need::Stored { .. }, Some(bytes)) => Answer::Stored(bytes),
            (Need::Block(block), Some(bytes)) => Answer::Block(block.read(&bytes)),
            (Need::Content(_), Some(bytes)) => Answer::Content {
                bytes,
                summary,
                sha256,
            },
            (Need::Digest { .. }, _) => Answer::Digest(sha256.unwrap_or_default()),
            (Need::Pieces { .. }, _) => Answer::End,
            _ => Answer::TooLong,
        }
    }
}

/// The manifest of a user, whose content is needed: decrypted where there is a key, not inflated, and with the SHA-256 of the stored bytes.
#[derive(Clone)]
pub struct ManifestNeed {
    /// Its path.
    pub path: String,
    /// The run that it belongs to.
    pub run: u32,
    /// That run's key; none where it is not encrypted.
    pub key: Option<DataKey>,
    /// Stored bytes, as listed.
    pub size: u64,
    /// A file of more bytes is [`Answer::TooLong`].
    pub most: u64,
}

/// The driver's answer to a need.
pub enum Answer {
    /// To [`Need::Listing`].
    Listing(Listed),
    /// To [`Need::Stored`].
    Stored(Vec<u8>),
    /// To [`Need::Stored`] and [`Need::Content`]: there are more bytes than were asked for.
    TooLong,
    /// To [`Need::Digest`], in hex.
    Digest(String),
    /// To [`Need::Pieces`], when all were passed on.
    End,
    /// To [`Need::Content`].
    Content {
        /// The content.
        bytes: Vec<u8>,
        /// Sizes, salt and records of the file.
        summary: FileSummary,
        /// Hex SHA-256 of the stored bytes.
        sha256: Option<String>,
    },
    /// To [`Need::Block`]; see [`ManifestBlock::read`].
    Block(Vec<Option<ReadContent>>),
    /// To [`Need::Key`].
    Key(DataKey),
}

/// Needs and answers on their way.
struct Waiting {
    last: u32,
    /// The next one last.
    needs: Vec<(u32, Need)>,
    answers: Vec<(u32, Result<Answer>)>,
    /// Takes the bytes of [`Need::Pieces`].
    pieces: Option<ChainLines>,
    /// The keys so far, by the envelopes that they were had from: nobody is asked twice.
    keys: Vec<(Vec<u8>, DataKey)>,
    /// Where the members of volumes are, as they were listed last.
    members: Option<Arc<Members>>,
    /// Makes the ciphers.
    cipher: Cipher,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting {
            last: 0,
            needs: Vec::new(),
            answers: Vec::new(),
            pieces: None,
            keys: Vec::new(),
            members: None,
            cipher: core_cipher(),
        }
    }
}

/// The exchange, as the walk and the driver share it.
#[derive(Clone, Default)]
pub(super) struct Exchange(Rc<RefCell<Waiting>>);

impl Exchange {
    /// The walk needs something, before what it said that it needs; the number comes back with the answer.
    pub(super) fn put(&self, need: Need) -> u32 {
        let mut exchange = self.0.borrow_mut();
        exchange.last += 1;
        let number = exchange.last;
        exchange.needs.push((number, need));
        number
    }

    /// The next answer, to whichever need.
    pub(super) fn answer(&self) -> Answered {
        Answered(self.clone())
    }

    /// Waits for the answer to the only need there is.
    pub(super) fn ask(&self, need: Need) -> Answered {
        self.put(need);
        self.answer()
    }

    /// Asks for a file in one piece, which has no more bytes than any of its kind.
    pub(super) fn stored(&self, path: &str) -> Answered {
        self.up_to(path, most_bytes(path))
    }

    /// The same of a large file, of which it is listed how many bytes it has.
    pub(super) fn sized(&self, path: &str, size: u64) -> Answered {
        let (path, most) = (path.to_owned(), most_bytes(path));
        self.ask(Need::Stored { path, most, size })
    }

    /// Asks for a file in one piece, which may have more bytes than `most`.
    pub(super) fn up_to(&self, path: &str, most: u64) -> Answered {
        let path = path.to_owned();
        let size = 0;
        self.ask(Need::Stored { path, most, size })
    }

    /// Asks for the lines of a `SHA256SUMS`; after the answer, [`Exchange::lost_chain`] says what they show.
    pub(super) fn read_lines(&self, path: &str) -> Answered {
        self.0.borrow_mut().pieces = Some(ChainLines::default());
        let path = path.to_owned();
        self.ask(Need::Pieces { path })
    }

    /// The error for a first run of a chain whose list of runs is lost, if those lines show one.
    pub(super) fn lost_chain(&self) -> Result<Option<Error>> {
        let lines = self.0.borrow_mut().pieces.take();
        lines.unwrap_or_default().finish()
    }

    /// What makes the ciphers for what the walk opens itself.
    pub(super) fn cipher(&self) -> Cipher {
        self.0.borrow().cipher.clone()
    }

    /// Takes another one.
    pub(super) fn open_with(&self, cipher: Cipher) {
        self.0.borrow_mut().cipher = cipher;
    }

    /// Where the members of volumes are, if the driver reads blocks.
    pub(super) fn members(&self) -> Option<Arc<Members>> {
        self.0.borrow().members.clone()
    }

    /// Takes note of where they are now.
    pub(super) fn know(&self, members: Option<Arc<Members>>) {
        self.0.borrow_mut().members = members;
    }

    /// The data key of a run, whose `encryption.json` is `json`.
    pub(super) async fn key(
        &self,
        run: u32,
        envelope: Arc<Envelope>,
        json: &[u8],
    ) -> Result<DataKey> {
        let of = |(known, _): &&(Vec<u8>, DataKey)| known == json;
        let known = self
            .0
            .borrow()
            .keys
            .iter()
            .find(of)
            .map(|(_, key)| key.clone());
        if let Some(key) = known {
            return Ok(key);
        }
        match self.ask(Need::Key { run, envelope }).await.1? {
            Answer::Key(key) => {
                self.0.borrow_mut().keys.push((json.to_vec(), key.clone()));
                Ok(key)
            }
            _ => Err(misplaced()),
        }
    }

    /// The number of answers that the walk has not taken.
    pub(super) fn waiting(&self) -> usize {
        self.0.borrow().answers.len()
    }

    /// True while a need waits for the driver.
    pub(super) fn has_needs(&self) -> bool {
        !self.0.borrow().needs.is_empty()
    }

    /// The driver's exchange: the next need.
    pub(super) fn pick(&self) -> Option<(u32, Need)> {
        self.0.borrow_mut().needs.pop()
    }

    /// The driver's exchange: an answer.
    pub(super) fn give(&self, number: u32, answer: Result<Answer>) {
        self.0.borrow_mut().answers.push((number, answer));
    }

    /// The driver's exchange: bytes of [`Need::Pieces`].
    pub(super) fn piece(&self, bytes: &[u8]) -> Result<()> {
        match &mut self.0.borrow_mut().pieces {
            Some(lines) => lines.push(bytes),
            None => Err(misplaced()),
        }
    }
}

/// An answer that is waited for, and the number of its need.
pub(super) struct Answered(Exchange);

impl Future for Answered {
    type Output = (u32, Result<Answer>);

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.0.borrow_mut().answers.pop() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

/// The bytes of the file at `path`.
pub(super) fn bytes((_, answer): (u32, Result<Answer>), path: &str) -> Result<Vec<u8>> {
    match answer? {
        Answer::Stored(bytes) => Ok(bytes),
        Answer::TooLong => Err(too_long(path)),
        _ => Err(misplaced()),
    }
}

/// The error for a file that is larger than any of its kind.
pub(super) fn too_long(path: &str) -> Error {
    match refuse_long(path, u64::MAX) {
        Err(error) => error,
        Ok(()) => misplaced(),
    }
}

/// The error for an answer to another question.
pub(super) fn misplaced() -> Error {
    Code::AnswerMisplaced.into()
}
