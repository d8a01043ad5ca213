//! Lists of a bucket, which a store gives page by page.

use opendal::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

use super::ObjectStore;

/// What is listed below a prefix, and the pages that it takes: a chain has some objects for each run and each GiB.
const MOST: usize = 2_000_000;

/// What asks for a page after the first one.
pub(super) type Marker = Vec<(&'static str, String)>;

/// A page of a list, as XML.
pub(super) trait Page: DeserializeOwned {
    /// What it lists.
    type Entry;

    /// What asks for the page after it; none after the last.
    fn next(&self) -> Option<Marker>;

    fn entries(self) -> Vec<Self::Entry>;
}

impl ObjectStore {
    /// All of a list that is asked for in this way, as far as it begins with `below` below the prefix.
    pub(super) fn pages<P: Page>(&self, of: &[(&str, &str)], below: &str) -> Result<Vec<P::Entry>> {
        let (mut found, mut pages) = (Vec::new(), 0);
        self.each_page(of, below, &mut |page: P| {
            found.extend(page.entries());
            pages += 1;
            match found.len() + pages > MOST {
                true => Err(lies(format!("it lists more than {MOST} objects"))),
                false => Ok(()),
            }
        })?;
        Ok(found)
    }

    /// The same, page by page, however many there are.
    pub(super) fn each_page<P: Page>(
        &self,
        of: &[(&str, &str)],
        below: &str,
        take: &mut dyn FnMut(P) -> Result<()>,
    ) -> Result<()> {
        let prefix = format!("{}{below}", self.signed().prefix());
        let mut marker = Marker::new();
        loop {
            let mut query = of.to_vec();
            query.push(("prefix", &prefix));
            query.extend(marker.iter().map(|(name, value)| (*name, value.as_str())));
            let page: P = self.again(async || self.signed().of_bucket(&query).await)?;
            let next = page.next();
            take(page)?;
            match next {
                None => return Ok(()),
                Some(next) if next == marker => {
                    return Err(lies("its list has more, and does not go on".to_owned()));
                }
                Some(next) => marker = next,
            }
        }
    }

    /// A key below the prefix, of one that a store lists.
    pub(super) fn below_prefix(&self, key: &str) -> Result<String> {
        let prefix = self.signed().prefix();
        let below = key.strip_prefix(prefix).map(str::to_owned);
        below.ok_or_else(|| lies(format!("it lists {key}, which is not below {prefix}")))
    }
}

/// The error of an answer that cannot be true, and would be the same again.
pub(super) fn lies(what: String) -> Error {
    Error::new(ErrorKind::Unexpected, what)
}
