//! Statements that remove users from the database.

use super::PostgresWriter;
use crate::platform::User;
use crate::platform::postgres::connection::literal;

impl PostgresWriter<'_> {
    /// Statements that remove everything of some users.
    pub(super) fn removal(&self, users: &[&User]) -> String {
        let ids: Vec<String> = users.iter().map(|user| literal(&user.user_id)).collect();
        let ids = ids.join(", ");
        let index = self.engines.base.then_some("users_index");
        let mut statements = Vec::new();
        for table in index.into_iter().chain(self.user_tables()) {
            statements.push(format!("DELETE FROM {table} WHERE user_id IN ({ids})"));
        }
        statements.extend(self.series_removal(users));
        statements.join("; ")
    }

    /// Statements that remove the series under the ids and the names of some users.
    pub(super) fn series_removal(&self, users: &[&User]) -> Option<String> {
        if !self.engines.series || users.is_empty() {
            return None;
        }
        let namespaces = users.iter().flat_map(|user| user.namespaces());
        let namespaces: Vec<String> = namespaces.map(|name| literal(&name)).collect();
        Some(format!(
            "DELETE FROM series_data WHERE user_id IN ({})",
            namespaces.join(", ")
        ))
    }
}
