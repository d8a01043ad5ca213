//! Passwords, key-values and account fields: one record for all.

use super::file::SqliteFile;
use super::reading::{Reading, each_row};
use super::schema::{ACCOUNT_TABLES, AccountTable, KNOWN};
use super::unknown::Further;
use crate::platform::json::{self, Object};
use crate::platform::{Collection, ExportError, PlatformError};
use rusqlite::Row;

/// Hands over the account record.
pub fn export(file: &SqliteFile, reading: &mut Reading<'_>) -> Result<(), ExportError> {
    let mut record = Object::new();
    for AccountTable {
        list,
        table,
        columns,
    } in ACCOUNT_TABLES
    {
        let order = match list {
            "passwords" => "time",
            "storeKeyValues" => "rowid",
            _ => "field, time DESC",
        };
        let further = Further::of(file, &KNOWN.account, table)?;
        let (known, more) = (columns.join(", "), further.select());
        let sql = format!("SELECT {known}{more} FROM {table} ORDER BY {order}");
        let mut items: Vec<String> = Vec::new();
        file.must_have(table)?;
        each_row(file, &sql, &mut |row| {
            let mut object = Object::new();
            let made = members(row, columns, list == "accountFields", &mut object)
                .and_then(|()| further.add(row, columns.len(), &mut object));
            let which = which(row, columns);
            let mut lose = |what: &str| {
                let what = format!("a row of {table}{which}: {what}");
                reading.lose(Collection::Account.name(), &file.path, what)
            };
            match made {
                Ok(()) => {
                    object.lost().iter().try_for_each(|what| lose(what))?;
                    items.push(String::from_utf8_lossy(&object.finish()).into_owned());
                }
                Err(what) => lose(&format!("{what}; it was left out"))?,
            }
            Ok(())
        })?;
        record.raw(list, &format!("[{}]", items.join(",")));
    }
    reading.record(Collection::Account, &record.finish())
}

/// The usernames that the account has had, as far as its fields remember.
pub fn usernames(file: &SqliteFile) -> Result<Vec<String>, PlatformError> {
    let mut names = Vec::new();
    if !file.has_table("account_fields")? {
        return Ok(names);
    }
    let sql = "SELECT value FROM account_fields WHERE field = 'username' ORDER BY time DESC";
    let failed = |e| file.error(e);
    let mut statement = file.connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let stored: Option<String> = row.get(0).map_err(failed)?;
        names.extend(stored.and_then(|text| serde_json::from_str::<String>(&text).ok()));
    }
    Ok(names)
}

/// Which row it is, for messages, unless only its time tells.
fn which(row: &Row<'_>, columns: &[&str]) -> String {
    let named = columns.iter().position(|c| matches!(*c, "field" | "key"));
    let name = named.and_then(|at| row.get::<_, String>(at).ok());
    name.map_or_else(String::new, |name| format!(" ({name:?})"))
}

/// The members of an item; `json`: its value is JSON text, which may be of any kind.
fn members(row: &Row<'_>, names: &[&str], json: bool, object: &mut Object) -> Result<(), String> {
    for (i, name) in names.iter().enumerate() {
        let cell = row.get_ref(i).map_err(|e| e.to_string())?;
        if json && *name == "value" {
            let stored = json::text(cell)?;
            object.raw(name, json::checked(stored.as_deref().unwrap_or("null"))?);
        } else {
            // Without its time a row has no place in its table.
            let value = json::column(cell).map_err(|what| format!("{name}: {what}"))?;
            object.raw(name, &value);
        }
    }
    Ok(())
}
