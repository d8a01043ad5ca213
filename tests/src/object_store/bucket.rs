//! A bucket, as its owner sees it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::request::{between, escape, escape_path, send, text};

/// A bucket of a store.
#[derive(Debug, Clone)]
pub struct Bucket {
    port: u16,
    name: String,
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}

impl Bucket {
    /// Makes one, whose name begins with that of its kind.
    pub(super) fn new(port: u16, kind: &str, headers: &[(&str, &str)]) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(1);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{kind}-{number}");
        let (status, answer) = send(port, "PUT", &format!("/{name}"), b"", headers);
        assert_eq!(status, 200, "{}", text(&answer));
        Bucket { port, name }
    }

    /// Gives it a rule.
    pub(super) fn configure(&self, what: &str, rule: &str) {
        self.good("PUT", &format!("?{what}="), rule.as_bytes());
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of a prefix.
    #[must_use]
    pub fn at(&self, prefix: &str) -> String {
        format!("s3://{}/{prefix}", self.name)
    }

    /// Every object below a prefix, in the order of the keys.
    ///
    /// # Panics
    /// When the store does not say.
    #[must_use]
    pub fn list(&self, prefix: &str) -> Vec<Listed> {
        let place = format!("?list-type=2&prefix={}", escape(prefix));
        let answer = text(&self.good("GET", &place, b""));
        let contents = answer.split("<Contents>").skip(1);
        let mut listed: Vec<Listed> = contents
            .map(|content| Listed {
                key: between(content, "<Key>", "</Key>").to_owned(),
                size: between(content, "<Size>", "</Size>").parse().unwrap(),
            })
            .collect();
        listed.sort();
        listed
    }

    /// How many versions of objects and marks of deletions there are below a prefix.
    ///
    /// # Panics
    /// When the store does not say.
    #[must_use]
    pub fn versions(&self, prefix: &str) -> usize {
        let place = format!("?versions=&prefix={}", escape(prefix));
        let answer = text(&self.good("GET", &place, b""));
        answer.matches("<VersionId>").count()
    }

    /// How many uploads were begun and not ended.
    ///
    /// # Panics
    /// When the store does not say.
    #[must_use]
    pub fn uploads(&self) -> usize {
        let answer = text(&self.good("GET", "?uploads=", b""));
        answer.matches("<UploadId>").count()
    }

    /// Begins an upload of many parts.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn begin_upload(&self, key: &str) {
        self.good("POST", &format!("/{}?uploads=", escape_path(key)), b"");
    }

    /// The content of an object.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> Vec<u8> {
        self.good("GET", &format!("/{}", escape_path(key)), b"")
    }

    /// Puts an object, whether or not there is one.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.good("PUT", &format!("/{}", escape_path(key)), bytes);
    }

    /// Deletes an object; where versions are kept, that hides it.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn delete(&self, key: &str) {
        self.good("DELETE", &format!("/{}", escape_path(key)), b"");
    }

    /// Deletes every object below a prefix.
    ///
    /// # Panics
    /// When the store refuses.
    pub fn clear(&self, prefix: &str) {
        for object in self.list(prefix) {
            self.delete(&object.key);
        }
    }

    /// Makes a request that must succeed; returns the answer.
    fn good(&self, method: &str, place: &str, body: &[u8]) -> Vec<u8> {
        let place = format!("/{}{place}", self.name);
        let (status, answer) = send(self.port, method, &place, body, &[]);
        let done = matches!(status, 200 | 204);
        assert!(done, "{method} {place}: {status}: {}", text(&answer));
        answer
    }
}
