//! Failures: exit codes, and JSON for programs.

use decryptor_wasm::Value;
use pryv_backup_engine::failure::{Failure, FailureKind};
use serde_json::json;

use super::advice::say;

/// The exit code of the process for what came of an operation; without a problem 0.
pub fn exit_code(problem: Option<FailureKind>) -> u8 {
    match problem {
        None => 0,
        Some(FailureKind::Usage) => 2,
        Some(FailureKind::Key) => 3,
        Some(FailureKind::Damaged) => 4,
        Some(FailureKind::Losses) => 5,
        Some(FailureKind::Interrupted(signal)) => 128 + signal,
        Some(_) => 1,
    }
}

/// `{"event":"error","code":…,"kind":…,"exitCode":…,"message":…}`, and the path, run, user or numbers that it is about.
pub fn json(failure: &Failure) -> serde_json::Value {
    let mut json = json!({
        "event": "error",
        "code": failure.code(),
        "kind": failure.kind().name(),
        "exitCode": exit_code(Some(failure.kind())),
        "message": say(failure.sentence()),
    });
    for (field, value) in failure.context() {
        json[field.name()] = match value {
            Value::Text(text) => text.as_str().into(),
            Value::Number(number) => (*number).into(),
        };
    }
    json
}

#[cfg(test)]
mod tests {
    use decryptor_wasm::{Code, Error, Field};
    use pryv_backup_engine::{archive::ArchiveError, platform::ExportError};

    use super::*;

    #[test]
    fn json_tells_code_kind_and_what_it_is_about() {
        let error = Error::of(Code::NoSuchUser).with(Field::User, "u");
        assert_eq!(
            json(&error.into()),
            json!({
                "event": "error", "code": "no-such-user", "kind": "usage", "exitCode": 2, "user": "u",
                "message": "no user \"u\" in this archive; --list shows its users",
            })
        );
        let exists = ArchiveError::Exists("o".into());
        let export = ExportError::User {
            username: "u".into(),
            source: Box::new(ExportError::Sink(Box::new(exists))),
        };
        let json = json(&export.into());
        assert_eq!(json["code"], "output-exists");
        assert_eq!(json["user"], "u");
        assert_eq!(json["exitCode"], 2);
    }
}
