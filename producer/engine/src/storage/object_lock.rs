//! What keeps an object in a store from being deleted, by anybody.

use std::fmt;

use http::{HeaderMap, Method};
use jiff::Timestamp;
use opendal::ErrorKind;

use super::{ObjectStore, StoreError};

/// A lock on a version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectLock {
    /// It ends at this moment.
    Until(Timestamp),
    /// It ends when somebody takes it away.
    Held,
}

impl fmt::Display for ObjectLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectLock::Until(moment) => write!(f, "locked until {moment}"),
            ObjectLock::Held => f.write_str("locked by a legal hold"),
        }
    }
}

impl ObjectStore {
    /// The lock on an object or a version of it, as far as the store tells; none where there is none any more.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn lock_of(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectLock>, StoreError> {
        let query: Vec<(&str, &str)> = version
            .map(|known| ("versionId", known))
            .into_iter()
            .collect();
        let asked = self.again(async || self.signed().of_object(Method::HEAD, key, &query).await);
        match asked {
            Ok(answer) => Ok(lock_in(answer.headers(), Timestamp::now())),
            // Gone, the mark of a deletion, or of somebody who may not look: the deletion will tell.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed(key, &error)),
        }
    }
}

fn lock_in(headers: &HeaderMap, now: Timestamp) -> Option<ObjectLock> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("x-amz-object-lock-legal-hold") == Some("ON") {
        return Some(ObjectLock::Held);
    }
    let until: Timestamp = text("x-amz-object-lock-retain-until-date")?.parse().ok()?;
    (until > now).then_some(ObjectLock::Until(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_those_that_have_not_ended() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        let lock = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            lock_in(&headers, now).map(|lock| lock.to_string())
        };
        let until = "x-amz-object-lock-retain-until-date";
        let hold = "x-amz-object-lock-legal-hold";
        let later = Some("locked until 2026-11-28T15:03:02Z".to_owned());
        assert_eq!(
            lock(&[(until, "2026-11-28T15:03:02Z"), (hold, "OFF")]),
            later
        );
        assert_eq!(lock(&[(until, "2026-11-27T11:59:59Z")]), None);
        assert_eq!(lock(&[]), None);
        let held = Some("locked by a legal hold".to_owned());
        assert_eq!(lock(&[(hold, "ON")]), held);
    }
}
