//! Objects below the prefix that are of no user of the platform.

use super::{ASIDE, AttachmentStore};
use crate::platform::unknown::Unknown;
use crate::platform::{PlatformError, User};
use std::collections::{BTreeMap, HashSet};

/// Names that are told one by one; where there are more, the prefix is that of something else as a whole.
const MOST: usize = 1000;

impl AttachmentStore {
    /// Looks. `users` are those of the backup; `now` tells those who are there when it is asked, since somebody may have come meanwhile.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn without_owner(
        &self,
        users: &[User],
        now: &dyn Fn() -> Result<Vec<User>, PlatformError>,
    ) -> Result<Vec<Unknown>, PlatformError> {
        let (mut left, mut beside): (Vec<String>, u64) = (Vec::new(), 0);
        let known: HashSet<&str> = users.iter().map(|user| user.user_id.as_str()).collect();
        self.walk("", true, &mut |key, _| match key.strip_suffix('/') {
            Some(ASIDE) => {}
            Some(name) if known.contains(name) => {}
            Some(name) => left.push(name.to_owned()),
            None => beside += 1,
        })?;
        if !left.is_empty() {
            let now = now()?;
            let now: HashSet<&str> = now.iter().map(|user| user.user_id.as_str()).collect();
            left.retain(|name| !now.contains(name.as_str()));
        }
        let mut found = BTreeMap::new();
        for name in left {
            let mut objects = 0;
            self.walk(&format!("{name}/"), false, &mut |_, _| objects += 1)?;
            let name = match found.len() < MOST {
                true => format!("s3/{name}"),
                false => "s3/*".to_owned(),
            };
            *found.entry(name).or_insert(0) += objects;
        }
        found.insert("s3/".to_owned(), beside);
        let found = found.into_iter().filter(|(_, objects)| *objects > 0);
        Ok(found
            .map(|(name, objects)| Unknown::objects(name, objects))
            .collect())
    }
}
