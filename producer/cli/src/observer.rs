//! Whoever sits at the command line: lines on standard error, a display of progress, and questions on the terminal.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
};

use decryptor_wasm::{Error, ErrorKind, Result};
use pryv_backup_engine::{
    observer::{Display, Level, Notice, Observer, Question, Step},
    secrets::Secret,
    storage,
};

use crate::{
    progress::{Goal, Manner, Tally, show},
    render::advice::words,
    stdio::note,
};

/// The observer of all operations.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// How the main work is shown.
    pub work: Manner,
    /// How a check before it is shown.
    pub check: Manner,
    /// Whether only errors and losses are told.
    pub quiet: bool,
}

impl Terminal {
    /// Shows work in that manner; a check before it where people look.
    pub fn new(work: Manner) -> Self {
        Terminal {
            work,
            check: match work {
                Manner::Bar => Manner::Bar,
                _ => Manner::Silent,
            },
            quiet: false,
        }
    }
}

impl Observer for Terminal {
    fn notice(&self, notice: Notice<'_>) {
        if notice.minor && self.quiet {
            return;
        }
        // What a store does not give is not damaged.
        if notice.level == Level::Damaged && storage::failure().is_some() {
            return;
        }
        let kind = match notice.level {
            Level::Info => "",
            Level::Note => "note: ",
            Level::Warning => "warning: ",
            Level::LeftOut => "left out: ",
            Level::Problem => "problem: ",
            Level::Damaged => "damaged: ",
        };
        let advice = notice.advice.map(words).unwrap_or_default();
        note!("{kind}{}{advice}", notice.text);
    }

    fn working(&self, step: Step, tally: &Arc<Tally>, goal: Goal) -> Display {
        let manner = match step {
            Step::Work => self.work,
            Step::Check => self.check,
        };
        show(tally, goal, manner)
    }

    fn ask(&self, question: Question<'_>) -> Result<Option<Secret>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let answer = rpassword::prompt_password(text(question)).map(Secret::new);
        if is_new(question) {
            return answer.map(Some).map_err(|e| {
                let text = format!("no passphrase could be read: {e}");
                Error::new(ErrorKind::Failed, text)
            });
        }
        match answer {
            Ok(answer) if !answer.is_empty() => Ok(Some(answer)),
            _ => Err(Error::key("no passphrase was given")),
        }
    }
}

fn is_new(question: Question<'_>) -> bool {
    matches!(
        question,
        Question::NewBackupPassphrase
            | Question::NewCopyPassphrase
            | Question::NewPrivateKeyPassphrase
            | Question::Again
    )
}

fn text(question: Question<'_>) -> String {
    let fixed = match question {
        Question::PrivateKeyPassphrase(Some(path)) => {
            return format!("Passphrase of the private key {}: ", path.display());
        }
        Question::SigningKeyPassword(path) => {
            return format!("Password of the signing key {}: ", path.display());
        }
        Question::BackupPassphrase => "Passphrase of the backup: ",
        Question::PrivateKeyPassphrase(None) => "Passphrase of the private key: ",
        Question::NewBackupPassphrase => "Passphrase for the backup: ",
        Question::NewCopyPassphrase => "New passphrase for the backup: ",
        Question::NewPrivateKeyPassphrase => "Passphrase for the private key: ",
        Question::Again => "Again: ",
    };
    fixed.to_owned()
}
