//! The demands on an archive of those who open it, beside that it is whole. All readers ask in the same way.

use super::{Signed, Signer, Statement};
use crate::{
    Code, Error, Field, Result,
    finding::{Finding, PINNED, Severity},
};

/// The demands on an archive.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// Pinned signers: an archive of anybody else is refused. Empty: nobody is pinned.
    pub signers: Vec<Signer>,
    /// The platform that it must be of: 32 hex digits, as the report of a backup prints them.
    pub source: Option<String>,
    /// The age that it may have at most, in milliseconds.
    pub max_age: Option<i64>,
    /// The moment of the reader's clock, in milliseconds since 1970.
    pub now: i64,
    /// Whether a key or passphrase was given, so that an encrypted archive is expected.
    pub secret_given: bool,
    /// Take an archive that is not encrypted all the same.
    pub allow_plaintext: bool,
    /// Refuse an archive that is not encrypted.
    pub require_encrypted: bool,
    /// Take an archive that nobody signed where signers are pinned: of Pryv's own tool, or one that was decrypted before.
    pub accept_unsigned: bool,
}

impl Demands {
    /// Whether an archive may be encrypted, or not, as it is. To be asked before anything of it is read.
    ///
    /// # Errors
    /// When it lies in the clear and must not.
    pub fn storage(&self, encrypted: bool) -> Result<()> {
        match self {
            _ if encrypted => Ok(()),
            Demands {
                require_encrypted: true,
                ..
            } => Err(Code::EncryptionRequired.into()),
            Demands {
                secret_given: true,
                allow_plaintext: false,
                ..
            } => Err(Code::NotEncrypted.into()),
            _ => Ok(()),
        }
    }

    /// Whether the run whose state is asked for was made by whom it should be; what is to be said of that. `signed` is none for an
    /// archive that nobody signs.
    ///
    /// # Errors
    /// When it is of somebody else, of another platform, or too old.
    pub fn signed(&self, signed: Option<&Signed>) -> Result<Finding> {
        let note = |severity, code, message: String| Finding {
            severity,
            code,
            path: String::new(),
            message,
        };
        let Some(Signed { signer, statement }) = signed else {
            return self.unsigned().map(|()| {
                note(
                    Severity::Warning,
                    "unsigned",
                    "nobody signed this backup: nothing proves who made it".to_owned(),
                )
            });
        };
        if !self.signers.is_empty() && !self.signers.contains(signer) {
            return Err(Error::of(Code::OtherSigner).with(Field::Key, signer.as_str()));
        }
        match &self.source {
            Some(source) if !self.is_source(statement) => {
                return Err(Error::of(Code::OtherSource)
                    .with(Field::Found, statement.source.as_str())
                    .with(Field::Expected, source.as_str()));
            }
            _ => {}
        }
        self.age(statement)?;
        Ok(if self.signers.is_empty() {
            note(
                Severity::Note,
                "signer",
                format!(
                    "signed by {signer}; no expected signer was given: compare it with what was noted when the backup was made"
                ),
            )
        } else {
            note(
                Severity::Note,
                PINNED,
                format!("signed by {signer}, as expected"),
            )
        })
    }

    /// Whether a run is of the right platform and not too old, by what one of the pinned signers signed of it.
    pub fn takes(&self, statement: &Statement) -> bool {
        self.is_source(statement) && self.age(statement).is_ok()
    }

    fn is_source(&self, statement: &Statement) -> bool {
        let source = self.source.as_ref();
        source.is_none_or(|source| source.eq_ignore_ascii_case(&statement.source))
    }

    /// The same of an archive that lies by itself. A run of a chain does not do so: it is taken where it is asked for by its number,
    /// `at`.
    ///
    /// # Errors
    /// The same; and when it is a run of a chain, or another run is asked for.
    pub fn alone(&self, signed: Option<&Signed>, at: Option<u32>) -> Result<Finding> {
        let statement = signed.map(|signed| &signed.statement);
        let torn = statement.filter(|statement| statement.parent.is_some());
        match (torn, at) {
            (Some(torn), at) if at != Some(torn.run) => {
                Err(Error::of(Code::TornRun).with(Field::Run, torn.run))
            }
            (None, Some(run)) if run != 1 => Err(Error::of(Code::NotAChain).with(Field::Run, run)),
            _ => self.signed(signed),
        }
    }

    /// Whether somebody who is pinned signed it.
    pub fn pins(&self, signed: &Signed) -> bool {
        self.signers.contains(&signed.signer)
    }

    fn unsigned(&self) -> Result<()> {
        if self.source.is_some() || self.max_age.is_some() {
            return Err(Code::Unproven.into());
        }
        if self.signers.is_empty() || self.accept_unsigned {
            return Ok(());
        }
        Err(Code::Unsigned.into())
    }

    fn age(&self, statement: &Statement) -> Result<()> {
        let age = self.now.saturating_sub(statement.created);
        match self.max_age {
            Some(most) if age > most => Err(Error::of(Code::TooOld)
                .with(Field::Found, in_words(age))
                .with(Field::Expected, in_words(most))),
            _ => Ok(()),
        }
    }
}

/// Whether an archive is the one whose id was noted.
///
/// # Errors
/// When it is another one.
pub fn require_id(id: &str, noted: Option<&str>) -> Result<()> {
    match noted {
        Some(noted) if !noted.eq_ignore_ascii_case(id) => Err(Error::of(Code::OtherArchive)
            .with(Field::Found, id)
            .with(Field::Expected, noted)),
        _ => Ok(()),
    }
}

/// Milliseconds in `30d`, `12h`, `90m` or `2w`.
///
/// # Errors
/// [`Code::NotADuration`] when it is no such text.
pub fn duration_ms(text: &str) -> Result<i64> {
    const MINUTE: i64 = 60_000;
    let units = [
        ('m', MINUTE),
        ('h', 60 * MINUTE),
        ('d', 1_440 * MINUTE),
        ('w', 10_080 * MINUTE),
    ];
    let of = |(unit, length): (char, i64)| {
        let number = text.strip_suffix(unit)?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = digits.then(|| number.parse().ok()).flatten()?;
        number.checked_mul(length)
    };
    units
        .into_iter()
        .find_map(of)
        .ok_or_else(|| Error::of(Code::NotADuration).with(Field::Found, text))
}

fn in_words(milliseconds: i64) -> String {
    let minutes = milliseconds / 60_000;
    let (number, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, milliseconds) in [
            ("90m", 5_400_000),
            ("12h", 43_200_000),
            ("30d", 2_592_000_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(duration_ms(text).unwrap(), milliseconds);
        }
        for bad in [
            "",
            "d",
            "30",
            "-1d",
            "+1d",
            "1.5d",
            "1y",
            "99999999999999999d",
        ] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
        assert_eq!(in_words(60_000), "1 minute");
        assert_eq!(in_words(3 * 86_400_000), "3 days");
    }

    #[test]
    fn an_archive_in_the_clear_is_refused_where_a_secret_was_given() {
        let given = Demands {
            secret_given: true,
            ..Demands::default()
        };
        assert!(given.storage(true).is_ok());
        assert_eq!(
            given.storage(false).unwrap_err().kind(),
            crate::ErrorKind::Damaged
        );
        let allowed = Demands {
            allow_plaintext: true,
            ..given
        };
        assert!(allowed.storage(false).is_ok());
        let required = Demands {
            require_encrypted: true,
            ..allowed
        };
        assert!(required.storage(false).is_err());
        assert!(Demands::default().storage(false).is_ok());
    }
}
