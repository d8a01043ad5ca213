//! Drives the walk from outside.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{
    Answer, Need, OpenedArchive, Request,
    desk::{Side, misplaced},
    runs,
};
use crate::Result;

/// An archive that is being opened; of a chain, the state at a run. Call [`Opening::next_need`] and answer what it needs until there is
/// nothing left, then take the end.
pub struct Opening {
    side: Side,
    walk: Pin<Box<dyn Future<Output = Result<OpenedArchive>>>>,
    end: Option<OpenedArchive>,
    ended: bool,
}

impl Opening {
    /// Opens what a driver will list.
    pub fn new(request: Request) -> Self {
        let side = Side::default();
        Opening {
            walk: Box::pin(runs::open(side.clone(), request)),
            side,
            end: None,
            ended: false,
        }
    }

    /// The next need, and the number to answer it with. None: first answer what was handed out; when all of that is answered, the
    /// archive is open.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn next_need(&mut self) -> Result<Option<(u32, Need)>> {
        // Answers are judged before more is read: whoever stores the archive decides how large they are.
        if !self.ended && (self.side.waiting() > 0 || !self.side.has_needs()) {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(end) = self.walk.as_mut().poll(&mut context) {
                self.ended = true;
                self.end = Some(end?);
            }
        }
        Ok(self.side.pick())
    }

    /// Answers a need; an error says why the driver cannot, and which kind it is decides what follows.
    pub fn give(&mut self, number: u32, answer: Result<Answer>) {
        self.side.give(number, answer);
    }

    /// Passes on the next bytes of [`Need::Pieces`].
    ///
    /// # Errors
    /// When the file cannot be what it should: give that for an answer.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        self.side.piece(bytes)
    }

    /// How many answers are not judged yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.side.waiting()
    }

    /// Takes what was opened.
    ///
    /// # Errors
    /// When it is not open yet.
    pub fn finish(&mut self) -> Result<OpenedArchive> {
        self.end.take().ok_or_else(misplaced)
    }
}
