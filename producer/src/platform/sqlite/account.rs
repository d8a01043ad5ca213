//! Passwords, key-values and account fields: one record for all.

use super::file::SqliteFile;
use super::reading::{Reading, each_row, malformed};
use crate::platform::json::{self, Object};
use crate::platform::{Collection, ExportError, PlatformError};
use rusqlite::Row;

/// Hands over the account record.
pub fn export(file: &SqliteFile, reading: &mut Reading<'_>) -> Result<(), ExportError> {
    let mut record = Object::new();
    record.raw(
        "passwords",
        &list(
            file,
            "passwords",
            "SELECT time, hash, createdBy FROM passwords ORDER BY time",
            &|row| members(row, &["time", "hash", "createdBy"]),
        )?,
    );
    let sql = "SELECT storeId, key, value FROM storeKeyValueData ORDER BY rowid";
    record.raw(
        "storeKeyValues",
        &list(file, "storeKeyValueData", sql, &|row| {
            members(row, &["storeId", "key", "value"])
        })?,
    );
    let sql = "SELECT field, value, time, createdBy FROM account_fields ORDER BY field, time DESC";
    record.raw("accountFields", &list(file, "account_fields", sql, &field)?);
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

fn list(
    file: &SqliteFile,
    table: &str,
    sql: &str,
    make: &dyn Fn(&Row<'_>) -> Result<Vec<u8>, String>,
) -> Result<String, ExportError> {
    let mut items: Vec<String> = Vec::new();
    file.must_have(table)?;
    each_row(file, sql, &mut |row| {
        let item = make(row).map_err(|what| malformed(file, format!("table {table}: {what}")))?;
        items.push(String::from_utf8_lossy(&item).into_owned());
        Ok(())
    })?;
    Ok(format!("[{}]", items.join(",")))
}

fn members(row: &Row<'_>, names: &[&str]) -> Result<Vec<u8>, String> {
    let mut object = Object::new();
    for (i, name) in names.iter().enumerate() {
        object.raw(
            name,
            &json::column(row.get_ref(i).map_err(|e| e.to_string())?)?,
        );
    }
    Ok(object.finish())
}

fn field(row: &Row<'_>) -> Result<Vec<u8>, String> {
    let cell = |i| row.get_ref(i).map_err(|e| e.to_string());
    let stored = json::text(cell(1)?)?;
    let mut object = Object::new();
    object
        .raw("field", &json::column(cell(0)?)?)
        .raw("value", json::checked(stored.as_deref().unwrap_or("null"))?)
        .raw("time", &json::column(cell(2)?)?)
        .raw("createdBy", &json::column(cell(3)?)?);
    Ok(object.finish())
}
