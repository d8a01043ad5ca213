//! Makes a sentence of a code and its context.
//!
//! Gaps of a sentence: `{path}` is the value of that field, `{path:?}` the same in quotes with what is not printable escaped. `[…]` is
//! left out where a gap in it has no value; `[…|…]` is the first of the two whose gaps all have one.

use std::fmt::{self, Write};

use super::{Error, ErrorKind, Field, Value, advice};

impl Error {
    /// Appends the sentence, without the advice.
    pub(super) fn describe(&self, out: &mut String) {
        let sentence = self.code.row().sentence;
        if self.code.kind() == ErrorKind::Key {
            self.fill("[run {run}: ]", out);
        }
        if !sentence.contains("{path") {
            self.fill("[{path}: ]", out);
        }
        self.fill(sentence, out);
        if !sentence.contains("{state}") {
            self.fill("[; the state of run {state} needs run {run}]", out);
        }
    }

    /// The advice for users of the command line; it continues the sentence.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let own = advice::of(self.code);
        let mut out = String::new();
        self.fill(own, &mut out);
        if !own.contains("{instead}") {
            self.fill(advice::INSTEAD, &mut out);
        }
        (!out.is_empty()).then_some(out)
    }

    /// Appends a template; false, with nothing appended, where a gap outside of brackets has no value.
    fn fill(&self, template: &str, out: &mut String) -> bool {
        let start = out.len();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '[']) {
            let (text, marked) = rest.split_at(at);
            out.push_str(text);
            let end = if marked.starts_with('{') { '}' } else { ']' };
            let (inside, after) = marked[1..].split_once(end).unwrap_or((&marked[1..], ""));
            rest = after;
            if end == ']' {
                let (first, second) = inside.split_once('|').unwrap_or((inside, ""));
                if !self.fill(first, out) {
                    self.fill(second, out);
                }
            } else if !self.gap(inside, out) {
                out.truncate(start);
                return false;
            }
        }
        out.push_str(rest);
        true
    }

    fn gap(&self, name: &str, out: &mut String) -> bool {
        let (name, quoted) = name.strip_suffix(":?").map_or((name, false), |n| (n, true));
        let value = Field::named(name).and_then(|field| self.value(field));
        let written = match value {
            None => return false,
            Some(Value::Text(text)) if quoted => write!(out, "{text:?}"),
            Some(Value::Text(text)) => out.write_str(text),
            Some(Value::Number(number)) => write!(out, "{number}"),
        };
        written.is_ok()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sentence = String::new();
        self.describe(&mut sentence);
        f.write_str(&sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    #[test]
    fn a_sentence_is_made_of_a_code_and_its_context() {
        let said = |error: &Error| (error.to_string(), error.advice().unwrap_or_default());
        let cut = Error::of(Code::FrameCut).with(Field::Number, 7_u64);
        assert_eq!(
            said(&cut).0,
            "the file ends inside frame 7; it was cut short"
        );
        let needed = cut.at("users/u/x").in_run(2).with(Field::Run, 2_u64);
        let needed = needed.with(Field::State, 4_u64).with(Field::Instead, 1_u64);
        assert_eq!(
            said(&needed),
            (
                "increments/0002/users/u/x: the file ends inside frame 7; it was cut short; the state of run 4 needs run 2".into(),
                "; --at 1 for the state before".into()
            )
        );
        let user = Error::of(Code::NoSuchUser).with(Field::User, "a\nb");
        assert_eq!(said(&user).0, "no user \"a\\nb\" in this archive");
        assert_eq!(said(&user).1, "; --list shows its users");
    }

    #[test]
    fn parts_of_a_sentence_depend_on_what_is_known() {
        let none = Error::of(Code::NoSuchRun).with(Field::Run, 3_u64);
        assert_eq!(
            none.to_string(),
            "there is no run 3 in this chain: it has one run"
        );
        let two = none.with(Field::Limit, 2_u64);
        assert_eq!(
            two.to_string(),
            "there is no run 3 in this chain: it has the runs 1 to 2"
        );
        let wrong = Error::of(Code::WrongPrivateKey).with(Field::Key, "k");
        let other = wrong
            .clone()
            .with(Field::Expected, "e")
            .with(Field::Run, 3_u64);
        let says = "wrong private key: the archive was not made for the key k";
        assert_eq!(wrong.to_string(), says);
        assert_eq!(
            other.to_string(),
            format!("run 3: {says} (it opens with: e)")
        );
    }

    #[test]
    fn no_sentence_names_a_flag_and_every_gap_is_a_field() {
        for code in Code::all() {
            let row = code.row();
            let commands = ["openssl", "ssh-keygen"];
            let flagged = row.sentence.contains(" --") || row.sentence.contains("PRYV_BACKUP_");
            assert!(
                !flagged || commands.iter().any(|c| row.sentence.contains(c)),
                "{code:?}"
            );
            for text in [row.sentence, advice::of(*code)] {
                for gap in text.split('{').skip(1) {
                    let name = gap.split_once('}').unwrap().0;
                    let name = name.strip_suffix(":?").unwrap_or(name);
                    assert!(Field::named(name).is_some(), "{code:?}: {name}");
                }
            }
        }
    }
}
