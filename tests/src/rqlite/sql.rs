//! Statements as rqlite takes them, run on a SQLite database, and their results as rqlite gives them.

use base64ct::{Base64, Encoding};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, Statement};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Options in the address of a request.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Rows as objects.
    pub associative: bool,
    /// How long each took, in seconds.
    pub timings: bool,
    /// All or nothing.
    pub transaction: bool,
    /// BLOBs as arrays of numbers instead of base64.
    pub blob_array: bool,
}

/// One statement with its parameters.
pub struct Command {
    sql: String,
    parameters: Vec<(Option<String>, Sql)>,
}

impl Command {
    /// A statement without parameters.
    #[must_use]
    pub fn plain(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            parameters: Vec::new(),
        }
    }

    /// The statements of a body: `["sql", ["sql", parameter, …], ["sql", {"name": parameter, …}]]`.
    ///
    /// # Errors
    /// With rqlite's sentence, when it is something else.
    pub fn parse(body: &[u8]) -> Result<Vec<Self>, &'static str> {
        let body: Value = serde_json::from_slice(body).map_err(|_| "invalid JSON body")?;
        let statements = body.as_array().ok_or("invalid request")?;
        if statements.is_empty() {
            return Err("no statements");
        }
        statements.iter().map(Self::one).collect()
    }

    fn one(statement: &Value) -> Result<Self, &'static str> {
        if let Some(sql) = statement.as_str() {
            return Ok(Self::plain(sql));
        }
        let items = statement.as_array().ok_or("invalid request")?;
        let sql = items.first().and_then(Value::as_str);
        let mut command = Self::plain(sql.ok_or("invalid request")?);
        for item in items.iter().skip(1) {
            match item {
                Value::Object(named) => {
                    for (name, value) in named {
                        let value = parameter(value).ok_or("unsupported type")?;
                        command.parameters.push((Some(name.clone()), value));
                    }
                }
                value => {
                    let value = parameter(value).ok_or("unsupported type")?;
                    command.parameters.push((None, value));
                }
            }
        }
        Ok(command)
    }

    fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<()> {
        for (place, (name, value)) in self.parameters.iter().enumerate() {
            let mut index = place + 1;
            if let Some(name) = name {
                for sign in [":", "@", "$"] {
                    if let Some(found) = statement.parameter_index(&format!("{sign}{name}"))? {
                        index = found;
                    }
                }
            }
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(())
    }
}

/// Runs statements that read. Each has its own result or error.
#[must_use]
pub fn query(database: &Connection, commands: &[Command], options: Options) -> Vec<Value> {
    let run = |command: &Command| timed(options, || rows(database, command, options));
    commands.iter().map(run).collect()
}

/// Runs statements that write. In a transaction the first error is the last result and undoes all of it.
///
/// # Panics
/// When a transaction can neither begin nor end.
#[must_use]
pub fn execute(database: &Connection, commands: &[Command], options: Options) -> Vec<Value> {
    let mut results = Vec::new();
    if options.transaction {
        database.execute_batch("BEGIN").unwrap();
    }
    for command in commands {
        let result = timed(options, || change(database, command));
        let failed = result.get("error").is_some();
        results.push(result);
        if options.transaction && failed {
            database.execute_batch("ROLLBACK").unwrap();
            return results;
        }
    }
    if options.transaction {
        database.execute_batch("COMMIT").unwrap();
    }
    results
}

fn timed(options: Options, run: impl FnOnce() -> Result<Value, String>) -> Value {
    let started = Instant::now();
    let mut result = run().unwrap_or_else(|error| json!({ "error": error }));
    if options.timings {
        result["time"] = started.elapsed().as_secs_f64().into();
    }
    result
}

fn rows(database: &Connection, command: &Command, options: Options) -> Result<Value, String> {
    let mut statement = database.prepare(&command.sql).map_err(message)?;
    if !statement.readonly() {
        return Err("attempt to change database via query operation".to_owned());
    }
    command.bind(&mut statement).map_err(message)?;
    let columns: Vec<(String, String)> = statement
        .columns()
        .map(|column| {
            let kind = column.decl_type().unwrap_or_default();
            (column.name().to_owned(), kind.to_ascii_lowercase())
        })
        .collect();
    let mut values = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(message)? {
        let cells = (0..columns.len()).map(|i| row.get_ref(i).map(|cell| json(cell, options)));
        values.push(cells.collect::<Result<Vec<Value>, _>>().map_err(message)?);
    }
    let mut result = Map::new();
    if options.associative {
        let types: Map<_, _> = columns
            .iter()
            .map(|(name, kind)| (name.clone(), json!(kind)))
            .collect();
        let rows = values.into_iter().map(|cells| {
            let names = columns.iter().map(|(name, _)| name.clone());
            Value::Object(names.zip(cells).collect())
        });
        result.insert("types".to_owned(), types.into());
        result.insert("rows".to_owned(), rows.collect());
        return Ok(result.into());
    }
    let (names, types): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    result.insert("columns".to_owned(), names.into());
    result.insert("types".to_owned(), types.into());
    // No rows, no key.
    if !values.is_empty() {
        result.insert("values".to_owned(), values.into());
    }
    Ok(result.into())
}

fn change(database: &Connection, command: &Command) -> Result<Value, String> {
    let mut statement = database.prepare(&command.sql).map_err(message)?;
    command.bind(&mut statement).map_err(message)?;
    let changed = statement.raw_execute().map_err(message)?;
    let mut result = Map::new();
    for (key, number) in [
        ("last_insert_id", database.last_insert_rowid()),
        ("rows_affected", i64::try_from(changed).unwrap()),
    ] {
        // Zeros are left out.
        if number != 0 {
            result.insert(key.to_owned(), number.into());
        }
    }
    Ok(result.into())
}

fn message(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        other => other.to_string(),
    }
}

fn parameter(value: &Value) -> Option<Sql> {
    Some(match value {
        Value::Null => Sql::Null,
        Value::Bool(value) => Sql::Integer((*value).into()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Sql::Integer(integer),
            None => Sql::Real(number.as_f64()?),
        },
        Value::String(text) => Sql::Text(text.clone()),
        Value::Array(bytes) => {
            let byte = |n: &Value| u8::try_from(n.as_u64()?).ok();
            Sql::Blob(bytes.iter().map(byte).collect::<Option<_>>()?)
        }
        Value::Object(_) => return None,
    })
}

fn json(cell: ValueRef<'_>, options: Options) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => real.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) if options.blob_array => bytes.into(),
        ValueRef::Blob(bytes) => Base64::encode_string(bytes).into(),
    }
}
