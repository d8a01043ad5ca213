//! How an operation and whoever runs it speak with each other: the operation tells what people should know and how far it is, and asks
//! for the secrets that its options do not hold. The library itself prints nothing and asks nobody.

use std::{any::Any, path::Path, sync::Arc};

use decryptor_wasm::Result;
use zeroize::Zeroizing;

use crate::{
    advice::{Advice, Sentence},
    progress::{Goal, Tally},
};

/// A passphrase or password in memory, which is wiped when it is let go.
pub type Secret = Zeroizing<String>;

/// Kind of a [`Notice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The text says it all.
    Info,
    /// Good to know.
    Note,
    /// Something that should be changed, or looked at.
    Warning,
    /// Something of a backup was left out.
    LeftOut,
    /// Something that cannot be used as it is, although it is whole.
    Problem,
    /// Something is damaged, missing, or was changed.
    Damaged,
}

/// One line for people, while an operation is at work. It may hold names from an archive or a platform.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// Kind of the line.
    pub level: Level,
    /// Text of the line.
    pub text: &'a str,
    /// Advice, where the text gives none.
    pub advice: Option<&'a Advice>,
    /// Whether it is left out for somebody who wants to hear of errors and losses only.
    pub minor: bool,
}

/// A part of an operation that takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The main work.
    Work,
    /// Reading an archive before anything is done with it.
    Check,
}

/// A secret that an operation needs and was not given.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// The passphrase of an encrypted backup.
    BackupPassphrase,
    /// That of a private key; its path, where there are several.
    PrivateKeyPassphrase(Option<&'a Path>),
    /// The password of a key that signs.
    SigningKeyPassword(&'a Path),
    /// A passphrase for a new backup.
    NewBackupPassphrase,
    /// A passphrase for a copy of a backup.
    NewCopyPassphrase,
    /// A passphrase for a new private key.
    NewPrivateKeyPassphrase,
    /// The same new passphrase again.
    Again,
}

/// Shows work as long as it lives.
pub struct Display(Option<Box<dyn Any>>);

impl Display {
    /// Shows nothing.
    #[must_use]
    pub fn none() -> Self {
        Display(None)
    }

    /// Shows work until `shown` is dropped.
    pub fn until_dropped(shown: impl Any) -> Self {
        Display(Some(Box::new(shown)))
    }
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Display({})", self.0.is_some())
    }
}

/// Whoever runs an operation. Several threads may call it at once.
pub trait Observer: Send + Sync {
    /// Takes a line for people.
    fn notice(&self, notice: Notice<'_>);

    /// Shows how far the work is that begins now, and that adds to `tally`.
    fn working(&self, step: Step, tally: &Arc<Tally>, goal: Goal) -> Display {
        let _ = (step, tally, goal);
        Display::none()
    }

    /// Asks for a secret; none when nobody can be asked.
    ///
    /// # Errors
    /// When somebody was asked and gave none.
    fn ask(&self, question: Question<'_>) -> Result<Option<Secret>> {
        let _ = question;
        Ok(None)
    }
}

impl dyn Observer + '_ {
    /// Tells a line.
    pub fn tell(&self, level: Level, text: &str) {
        self.notice(Notice {
            level,
            text,
            advice: None,
            minor: false,
        });
    }

    /// Tells a line and what helps.
    pub fn tell_sentence(&self, level: Level, sentence: &Sentence) {
        self.notice(Notice {
            level,
            text: &sentence.text,
            advice: sentence.advice.as_ref(),
            minor: false,
        });
    }

    /// Tells a line, and what helps, that not everybody wants to hear.
    pub fn tell_minor(&self, level: Level, sentence: impl Into<Sentence>) {
        let sentence = sentence.into();
        self.notice(Notice {
            level,
            text: &sentence.text,
            advice: sentence.advice.as_ref(),
            minor: true,
        });
    }

    /// A warning.
    pub fn warn(&self, text: &str) {
        self.tell(Level::Warning, text);
    }

    /// Damage.
    pub fn damaged(&self, text: &str) {
        self.tell(Level::Damaged, text);
    }
}

/// An observer that listens to nothing and answers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn notice(&self, _: Notice<'_>) {}
}
