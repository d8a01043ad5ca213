//! Advice about a failure or a finding, as a value: the library knows no command line, so whoever runs an operation puts it in words.

use std::fmt;

use serde::{Serialize, Serializer};

/// Something that helps. It follows the sentence that says what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The advice of an error of the core.
    Core(Box<decryptor_wasm::Error>),
    /// Keep the state in another folder, which can be written.
    StateDir,
    /// Keep the state in a folder with more room.
    OtherStateDir,
    /// Make a key that signs backups.
    MakeSigningKey,
    /// Give the password of the signing key.
    SigningKeyPassword,
    /// Sign with a key that is kept.
    SignWithKeptKey,
    /// Say who is expected to have signed the backup.
    Signer,
    /// Say who is expected to have signed the first run, or begin in another folder.
    SignerOrNewFolder,
    /// Give the passphrase in a file or a variable.
    NewPassphrase,
    /// Encrypt the backup; or do not demand that it is.
    Encrypt,
    /// Encrypt the run as the chain is, or begin in another folder.
    EncryptOrNewFolder,
    /// Either allow backups that are not encrypted or refuse them.
    AllowOrRefusePlaintext,
    /// Give the public keys of those who are to open the copy.
    RecipientsOfCopy,
    /// Make a copy with another lock.
    CopyWithOtherLock,
    /// Make an encrypted copy.
    EncryptedCopy,
    /// Name the file of the configuration.
    Config,
    /// Back up without the platform's own database.
    BackUpWithoutIndex,
    /// Restore without the platform's own database.
    RestoreWithoutIndex,
    /// Let the folders above be made.
    CreateParents,
    /// Let the folder of the users' files be made.
    CreateUsersDir,
    /// Replace what is there.
    Overwrite,
    /// Restore the user once more, in place of what is there.
    RestoreOnceMore,
    /// Leave out users who clash.
    SkipConflicts,
    /// Leave out users who clash, or give them other names.
    SkipOrRename {
        /// Whether all of them were named.
        all_named: bool,
    },
    /// Give one of the users another name.
    Rename,
    /// Restore although a core seems to be running.
    RestoreBesideCore,
    /// Choose one user.
    OneUser,
    /// Show the streams of the user.
    ListStreams,
    /// Show the files of the archive.
    ListFiles,
    /// Say that nobody else writes to that place.
    SingleWriter,
    /// Say which core is backed up.
    NameCore,
    /// Give the key of the backups.
    Key,
    /// Name the configuration that holds the key of the tokens of users.
    ConfigOfTokens,
    /// Say that the change of a core's backups is right.
    AcceptChange,
    /// Say which backups are kept.
    KeepRules,
    /// Write into the folder all the same.
    WriteIntoFolder,
    /// Let rqlite run, also where a core is stopped.
    RunRqlite,
    /// Say who is to open the backup.
    NameRecipients,
    /// Take the configuration along.
    TakeCapsule,
    /// Put a raw dump back with the command for that.
    RestoreRaw,
    /// Restore with the command for backups that hold records.
    RestoreRecords,
    /// Say who made it.
    KnownMaker,
    /// Say where InfluxDB takes backups.
    InfluxdbAddress,
}

/// A sentence for people, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The event, in one line.
    pub text: String,
    /// Advice, where the text gives none.
    pub advice: Option<Advice>,
}

impl Sentence {
    /// A sentence with advice.
    pub fn new(text: impl Into<String>, advice: impl Into<Option<Advice>>) -> Self {
        Sentence {
            text: text.into(),
            advice: advice.into(),
        }
    }

    /// The same about something that is named in front.
    #[must_use]
    pub fn about(self, what: impl fmt::Display) -> Self {
        Sentence {
            text: format!("{what}: {}", self.text),
            ..self
        }
    }

    /// Puts the advice, in words, behind the sentence.
    pub fn put_in_words(&mut self, words: impl FnOnce(&Advice) -> String) {
        if let Some(advice) = self.advice.take() {
            self.text.push_str(&words(&advice));
        }
    }
}

impl<T: Into<String>> From<T> for Sentence {
    fn from(text: T) -> Self {
        Sentence::new(text, None)
    }
}

/// The sentence alone.
impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The sentence alone: whoever wants the advice in it puts it in words before.
impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
