//! An envelope made from another one: for other recipients, or with the moment of the backup.

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::{Envelope, EnvelopeJson, Recipient, WRAP, wrong};
use crate::{
    Code, DataKey, Error, Field, Manifest, PublicKey, RandomSource, Result, limits::MAX_RECIPIENTS,
};

const CREATED_AT: &str = "createdAt";

impl Envelope {
    /// The same data key for other recipients: those with the fingerprints in `remove` go, the holders of `add` come; who is gone or
    /// there already stays so. `opened_with` is the key of one of them, that `key` was had with: in an archive of Pryv's own tool nothing
    /// else says whose it is.
    pub fn with_recipients(
        &self,
        key: &DataKey,
        opened_with: &PublicKey,
        add: &[PublicKey],
        remove: &[String],
        random: &mut dyn RandomSource,
    ) -> Result<Self> {
        let mut list = self.recipients().to_vec();
        if let (true, Some(wrapped)) = (list.is_empty(), &self.json.wrapped_key) {
            list.push(Recipient {
                fingerprint: opened_with.fingerprint()?,
                wrap: WRAP.to_owned(),
                wrapped_key: wrapped.clone(),
            });
        }
        for fingerprint in remove {
            list.retain(|known| !known.fingerprint.eq_ignore_ascii_case(fingerprint));
        }
        for recipient in add {
            let fingerprint = recipient.fingerprint()?;
            if list.iter().any(|known| known.fingerprint == fingerprint) {
                continue;
            }
            list.push(Recipient {
                fingerprint,
                wrap: WRAP.to_owned(),
                wrapped_key: Base64::encode_string(&recipient.wrap(key, random)?),
            });
        }
        let Some(first) = list.first() else {
            return Err(Code::LastRecipient.into());
        };
        if list.len() > MAX_RECIPIENTS {
            return Err(Error::of(Code::TooManyRecipients).with(Field::Limit, MAX_RECIPIENTS));
        }
        let json = EnvelopeJson {
            wrapped_key: Some(first.wrapped_key.clone()),
            recipients: Some(list),
            ..self.json.clone()
        };
        Ok(Envelope::new(self.mode, json))
    }

    /// The same with the moment of the backup, in milliseconds since 1970: for whoever sorts backups without their keys.
    pub fn with_created_at(mut self, milliseconds: i64) -> Self {
        let value = Value::from(milliseconds);
        self.json.other.insert(CREATED_AT.to_owned(), value);
        self
    }

    /// See [`Envelope::with_created_at`]; as little proven as all that lies in the clear.
    pub fn created_at(&self) -> Option<i64> {
        self.json.other.get(CREATED_AT)?.as_i64()
    }

    /// Compares what the envelope says in the clear with what the sealed manifest says of the same.
    ///
    /// # Errors
    /// [`Code::EnvelopeChanged`] when they differ.
    pub fn agrees_with(&self, manifest: &Manifest) -> Result<()> {
        if manifest.inventory.is_some() && self.created_at() != manifest.created_at {
            return Err(wrong(Code::EnvelopeChanged));
        }
        Ok(())
    }
}
