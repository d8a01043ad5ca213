//! Comma-separated values (RFC 4180) that a spreadsheet may open: no cell of it is a formula.

use std::io::{self, Write};

use decryptor_wasm::integrity::{Record, unquote};

use super::columns::{OTHER, OutputColumn, others};

/// First characters by which a spreadsheet takes a text for a formula, in ASCII and in the full-width forms of Asian keyboards.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Writes the names of the columns.
pub fn header(columns: &[OutputColumn], out: &mut dyn Write) -> io::Result<()> {
    let names = columns.iter().map(|column| column.name);
    let names: Vec<&str> = names.chain([OTHER]).collect();
    write!(out, "{}\r\n", names.join(","))
}

/// Writes a record as a row.
pub fn row(columns: &[OutputColumn], record: &Record<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut row = String::new();
    for column in columns {
        if let Some(value) = column.of(record) {
            cell(value, &mut row);
        }
        row.push(',');
    }
    if let Some(object) = others(columns, record) {
        cell(&object, &mut row);
    }
    row += "\r\n";
    out.write_all(row.as_bytes())
}

/// A number, true or false as it is; anything else in quotes, strings as what they say.
fn cell(json: &str, out: &mut String) {
    match json.as_bytes().first() {
        Some(b'"') => text(&unquote(json), out),
        Some(b'{' | b'[') => quoted(json, out),
        _ => out.push_str(json),
    }
}

/// A text that could be a formula gets an apostrophe in front, which spreadsheets take for "this is text".
fn text(text: &str, out: &mut String) {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    if start.starts_with(FORMULA) || text.starts_with(['\t', '\r', '\n']) {
        quoted(&format!("'{text}"), out);
    } else {
        quoted(text, out);
    }
}

/// Always in quotes: where the separator is another than the comma, an open text could begin a cell of its own.
fn quoted(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        let mut out = String::new();
        cell(json, &mut out);
        out
    }

    #[test]
    fn no_text_is_a_formula() {
        for (json, due) in [
            (r#""plain, with \"quotes\"""#, r#""plain, with ""quotes""""#),
            (r#""=1+1""#, r#""'=1+1""#),
            (r#""+41 21 000""#, r#""'+41 21 000""#),
            (r#""-5""#, r#""'-5""#),
            (r#""@SUM(A1)""#, r#""'@SUM(A1)""#),
            (r#""\t=1""#, "\"'\t=1\""),
            (r#""\r=1""#, "\"'\r=1\""),
            (r#""  =1""#, r#""'  =1""#),
            (r#""\u00a0=1""#, "\"'\u{a0}=1\""),
            (r#""\u0001=1""#, "\"'\u{1}=1\""),
            (r#""＝1""#, r#""'＝1""#),
            (r#""a;=1""#, r#""a;=1""#),
            ("-5", "-5"),
            ("1e400", "1e400"),
            ("true", "true"),
            (r#"["=1"]"#, r#""[""=1""]""#),
            (r#""""#, r#""""#),
        ] {
            assert_eq!(shown(json), due, "{json}");
        }
    }

    #[test]
    fn what_has_no_column_is_in_the_last() {
        let columns = super::super::columns::of("profile").unwrap();
        let mut out = Vec::new();
        header(columns, &mut out).unwrap();
        let record = br#"{"id":"a","b":null,"data":{"x":1},"c":"\u0064","e":2}"#;
        row(columns, &Record::parse(record).unwrap(), &mut out).unwrap();
        let due = "id,data,other\r\n\"a\",\"{\"\"x\"\":1}\",\"{\"\"c\"\":\"\"\\u0064\"\",\"\"e\"\":2}\"\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), due);
    }
}
