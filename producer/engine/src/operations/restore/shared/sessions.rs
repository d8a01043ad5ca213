//! Who is logged in, and who asked for a new password.

use serde::Deserialize;

use super::SharedRestore;
use crate::platform::{Shared, write::RestoreError};

impl SharedRestore<'_> {
    /// Sessions and password resets of the users that were restored under their own names.
    pub(super) fn lines_of(&mut self, kind: Shared) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        struct Owned {
            username: Option<String>,
            data: Option<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            username: Option<String>,
        }
        let mut lines = Vec::new();
        self.each(kind.stem(), &mut |work, line| {
            let Ok(owned) = serde_json::from_slice::<Owned>(line) else {
                work.leave_out("not a session or password reset");
                return Ok(());
            };
            let name = owned.username.or(owned.data.and_then(|data| data.username));
            let same_name = name
                .and_then(|name| work.owner(&name))
                .is_some_and(|one| one.done.source_name == one.done.report.username);
            if same_name {
                work.written += 1;
                lines.extend_from_slice(line);
                lines.push(b'\n');
            } else {
                work.leave_out("of users that were not restored, or not under this name");
            }
            Ok(())
        })?;
        if lines.is_empty() {
            return Ok(());
        }
        self.shared.short_lived(kind, &lines)
    }
}
