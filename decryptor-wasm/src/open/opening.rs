//! Drives the walk from outside.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{
    Answer, Need, OpenedArchive, Outline, Request,
    exchange::{Exchange, misplaced},
    outline, walk,
};
use crate::{Result, aead::Cipher};

/// A walk over what a driver will list. Call [`Opening::next_need`] and answer what it needs until there is nothing left, then take the
/// end.
pub struct Opening<T = OpenedArchive> {
    exchange: Exchange,
    walk: Pin<Box<dyn Future<Output = Result<T>>>>,
    end: Option<T>,
    ended: bool,
}

impl Opening {
    /// Opens an archive; of a chain, the state at a run.
    pub fn new(request: Request) -> Self {
        let exchange = Exchange::default();
        Opening::walk(exchange.clone(), walk::open(exchange, request))
    }

    /// Opens one run by itself, whatever else of its chain lies there. The signature is checked; the caller asks who made it.
    pub fn of_run(request: Request) -> Self {
        let exchange = Exchange::default();
        Opening::walk(exchange.clone(), walk::open_run_alone(exchange, request))
    }
}

impl Opening<Outline> {
    /// Looks at an archive or a chain as far as that needs no key. `name`: where it lies, for messages.
    pub fn outline(name: String) -> Self {
        let exchange = Exchange::default();
        Opening::walk(exchange.clone(), outline::outline(exchange, name))
    }
}

impl<T> Opening<T> {
    fn walk(exchange: Exchange, walk: impl Future<Output = Result<T>> + 'static) -> Self {
        Opening {
            walk: Box::pin(walk),
            exchange,
            end: None,
            ended: false,
        }
    }

    /// Opens with the ciphers of the host.
    pub fn open_with(&mut self, cipher: Cipher) {
        self.exchange.open_with(cipher);
    }

    /// The next need, and the number to answer it with. None: first answer what was handed out; when all of that is answered, the
    /// archive is open.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn next_need(&mut self) -> Result<Option<(u32, Need)>> {
        // The walk takes an answer before more is read: whoever stores the archive decides how large answers are.
        if !self.ended && (self.exchange.waiting() > 0 || !self.exchange.has_needs()) {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(end) = self.walk.as_mut().poll(&mut context) {
                self.ended = true;
                self.end = Some(end?);
            }
        }
        Ok(self.exchange.pick())
    }

    /// Answers a need; an error says why the driver cannot, and which kind it is decides what follows.
    pub fn give(&mut self, number: u32, answer: Result<Answer>) {
        self.exchange.give(number, answer);
    }

    /// Passes on the next bytes of [`Need::Pieces`].
    ///
    /// # Errors
    /// When the file cannot be what it should: give that for an answer.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        self.exchange.piece(bytes)
    }

    /// The number of answers that the walk has not taken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.exchange.waiting()
    }

    /// Takes what was opened.
    ///
    /// # Errors
    /// When it is not open yet.
    pub fn finish(&mut self) -> Result<T> {
        self.end.take().ok_or_else(misplaced)
    }
}
