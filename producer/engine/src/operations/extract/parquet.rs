//! Parquet: a column for each member, strings as they are, anything that is no string, number or truth as JSON.

use std::{io::Write, sync::Arc};

use decryptor_wasm::{
    Error, ErrorKind,
    integrity::{Record, unquote},
};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type, TypePtr},
};

use super::columns::{ColumnKind, OTHER, OutputColumn, others};
use crate::archive::read::CopyError;

/// Bytes of values that make a row group: what is held in memory.
const GROUP: usize = 16 * 1024 * 1024;

/// The values of one column, and which rows have one.
struct Values {
    kind: ColumnKind,
    texts: Vec<ByteArray>,
    numbers: Vec<f64>,
    truths: Vec<bool>,
    present: Vec<i16>,
}

/// Takes records as rows.
pub struct Rows<W: Write + Send> {
    columns: &'static [OutputColumn],
    values: Vec<Values>,
    bytes: usize,
    file: SerializedFileWriter<W>,
}

impl<W: Write + Send> Rows<W> {
    /// Begins a file.
    pub fn new(columns: &'static [OutputColumn], out: W) -> Result<Self, CopyError> {
        let mut fields = Vec::new();
        let mut values = Vec::new();
        let other = (OTHER, ColumnKind::Json);
        for (name, kind) in columns.iter().map(|c| (c.name, c.kind)).chain([other]) {
            fields.push(field(name, kind).map_err(failed)?);
            values.push(Values::of(kind));
        }
        let schema = Type::group_type_builder("record").with_fields(fields);
        let schema = Arc::new(schema.build().map_err(failed)?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("pryv-backup ", env!("CARGO_PKG_VERSION")).to_owned());
        let properties = Arc::new(properties.build());
        Ok(Rows {
            columns,
            values,
            bytes: 0,
            file: SerializedFileWriter::new(out, schema, properties).map_err(failed)?,
        })
    }

    /// Adds a row.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), CopyError> {
        // Values that do not fit their column go to the last one too, so that nothing is lost.
        let mut odd = String::new();
        for (column, values) in self.columns.iter().zip(&mut self.values) {
            let value = column.of(record);
            let fits = values.push(value);
            self.bytes += value.map_or(8, |value| value.len() + 32);
            if let (false, Some(value)) = (fits, value) {
                odd.push(if odd.is_empty() { '{' } else { ',' });
                odd += &format!("\"{}\":{value}", column.name);
            }
        }
        let rest = match (others(self.columns, record), odd.as_str()) {
            (rest, "") => rest,
            (None, _) => Some(odd + "}"),
            (Some(rest), _) => Some(format!("{odd},{}", &rest[1..])),
        };
        self.bytes += rest.as_ref().map_or(8, |rest| rest.len() + 32);
        if let Some(last) = self.values.last_mut() {
            last.push(rest.as_deref());
        }
        if self.bytes >= GROUP {
            self.group()?;
        }
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<(), CopyError> {
        self.group()?;
        self.file.close().map(drop).map_err(failed)
    }

    fn group(&mut self) -> Result<(), CopyError> {
        self.bytes = 0;
        if self.values.iter().all(|values| values.present.is_empty()) {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(failed)?;
        for values in &mut self.values {
            let Some(mut column) = group.next_column().map_err(failed)? else {
                break;
            };
            let present = Some(values.present.as_slice());
            match values.kind {
                ColumnKind::Number => {
                    column
                        .typed::<DoubleType>()
                        .write_batch(&values.numbers, present, None)
                }
                ColumnKind::Bool => {
                    column
                        .typed::<BoolType>()
                        .write_batch(&values.truths, present, None)
                }
                ColumnKind::Text | ColumnKind::Json => {
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&values.texts, present, None)
                }
            }
            .map_err(failed)?;
            column.close().map_err(failed)?;
            *values = Values::of(values.kind);
        }
        group.close().map(drop).map_err(failed)
    }
}

impl Values {
    fn of(kind: ColumnKind) -> Self {
        Values {
            kind,
            texts: Vec::new(),
            numbers: Vec::new(),
            truths: Vec::new(),
            present: Vec::new(),
        }
    }

    /// Adds a value, none for null; false when it is not of the column's kind, and the row then has none.
    fn push(&mut self, json: Option<&str>) -> bool {
        let Some(json) = json else {
            self.present.push(0);
            return true;
        };
        let is_text = json.starts_with('"');
        let fits = match self.kind {
            ColumnKind::Json => {
                self.texts.push(ByteArray::from(json.as_bytes().to_vec()));
                true
            }
            ColumnKind::Text if is_text => {
                let text = unquote(json).into_owned();
                self.texts.push(ByteArray::from(text.into_bytes()));
                true
            }
            ColumnKind::Text => false,
            ColumnKind::Number => match json.parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    self.numbers.push(number);
                    true
                }
                _ => false,
            },
            ColumnKind::Bool => match json {
                "true" | "1" => {
                    self.truths.push(true);
                    true
                }
                "false" | "0" => {
                    self.truths.push(false);
                    true
                }
                _ => false,
            },
        };
        self.present.push(i16::from(fits));
        fits
    }
}

fn field(name: &str, kind: ColumnKind) -> Result<TypePtr, ParquetError> {
    let physical = match kind {
        ColumnKind::Number => Physical::DOUBLE,
        ColumnKind::Bool => Physical::BOOLEAN,
        ColumnKind::Text | ColumnKind::Json => Physical::BYTE_ARRAY,
    };
    let mut builder =
        Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    builder = match kind {
        ColumnKind::Text => builder
            .with_converted_type(ConvertedType::UTF8)
            .with_logical_type(Some(LogicalType::String)),
        ColumnKind::Json => builder
            .with_converted_type(ConvertedType::JSON)
            .with_logical_type(Some(LogicalType::Json)),
        ColumnKind::Number | ColumnKind::Bool => builder,
    };
    builder.build().map(Arc::new)
}

fn failed(error: ParquetError) -> CopyError {
    let other = match error {
        ParquetError::External(inner) => match inner.downcast() {
            Ok(refused) => return CopyError::Output(*refused),
            Err(other) => other.to_string(),
        },
        other => other.to_string(),
    };
    let message = format!("the Parquet file could not be written: {other}");
    CopyError::Archive(Error::new(ErrorKind::Failed, message))
}
