//! The archive to open, and the demands on it.

use crate::{
    Code, Error, Field, Result,
    integrity::Record,
    signature::{Demands, Signer, duration_ms},
};

/// Selects an archive and a part of it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its folder or file, for messages.
    pub name: String,
    /// Of a chain: the run whose state is wanted, if not the newest.
    pub at: Option<u32>,
    /// User id or username: leave out everything of the others.
    pub user: Option<String>,
    /// The archive's id as noted when it was made; of a chain, that of the run.
    pub expect_id: Option<String>,
    /// The demands on it, beside its being whole.
    pub demands: Demands,
}

impl Request {
    /// For an archive of which no more is asked than this.
    pub fn of(demands: Demands) -> Self {
        Request {
            demands,
            ..Request::default()
        }
    }

    /// Reads a request that is written as JSON: `name`, `at`, `user`, `expectId`, `now` (milliseconds since 1970), `signers`,
    /// `expectSource`, `maxAge` (`30d` and the like), `acceptUnsigned`, `secretGiven`, `allowPlaintext`, `requireEncrypted`.
    ///
    /// # Errors
    /// When a value is not what it should be.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let written = Record::parse(json)?;
        for (name, value) in written.members() {
            let is_right = match name {
                "name" | "user" | "expectId" | "expectSource" | "maxAge" => value.starts_with('"'),
                "acceptUnsigned" | "secretGiven" | "allowPlaintext" | "requireEncrypted" => {
                    value == "true" || value == "false"
                }
                "signers" => value.starts_with('['),
                "at" => value != "null",
                _ => true,
            };
            // A demand that is not understood must not be dropped silently.
            if !is_right {
                return Err(Error::of(Code::RequestValue).with(Field::Found, name));
            }
        }
        let text = |name: &str| written.text(name);
        let yes = |name: &str| written.get(name) == Some("true");
        let mut demands = Demands {
            source: text("expectSource"),
            now: written.number("now").unwrap_or_default() as i64,
            secret_given: yes("secretGiven"),
            allow_plaintext: yes("allowPlaintext"),
            require_encrypted: yes("requireEncrypted"),
            accept_unsigned: yes("acceptUnsigned"),
            ..Demands::default()
        };
        if let Some(source) = &mut demands.source {
            let digits = source.bytes().all(|byte| byte.is_ascii_hexdigit());
            if source.len() != 32 || !digits {
                return Err(Error::of(Code::NotASource).with(Field::Found, source.as_str()));
            }
            source.make_ascii_lowercase();
        }
        let signers = written.get("signers").unwrap_or("[]");
        let signers: Vec<String> = serde_json::from_slice(signers.as_bytes())
            .map_err(|e| Error::of(Code::NotASigner).because(&e))?;
        for signer in &signers {
            demands.signers.push(Signer::parse(signer)?);
        }
        if let Some(text) = text("maxAge") {
            demands.max_age = Some(duration_ms(&text)?);
        }
        Ok(Request {
            name: text("name").unwrap_or_default(),
            at: written.get("at").map(|at| at.parse().unwrap_or(0)),
            user: text("user"),
            expect_id: text("expectId"),
            demands,
        })
    }
}
