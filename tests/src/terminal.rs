//! A terminal for commands that ask.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Runs the command on a pseudo-terminal and types `lines`, each when a question (text that ends in `: `) appears.
const PROGRAM: &str = r#"
import json, os, pty, select, sys, time
spec = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    os.execv(spec["command"][0], spec["command"])
shown, fresh, deadline = b"", b"", time.time() + 300
while time.time() < deadline:
    try:
        if select.select([fd], [], [], 0.2)[0]:
            data = os.read(fd, 65536)
            if not data: break
            shown += data; fresh += data
        elif spec["lines"] and fresh.rstrip(b"\r\n").endswith(b": "):
            os.write(fd, spec["lines"].pop(0).encode()); fresh = b""
    except OSError:
        break
status = os.waitpid(pid, 0)[1]
print(json.dumps({"shown": shown.decode(), "code": os.waitstatus_to_exitcode(status)}))
"#;

/// The text on the terminal, and the exit code (negative: the signal); `None` (and a line that says so) without python3, which
/// gives the terminal.
///
/// # Panics
/// When the command cannot be run.
#[must_use]
pub fn on_terminal(program: &Path, args: &[&str], lines: &[&str]) -> Option<(String, i64)> {
    let python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = crate::need::need("python", python.ok())?;
    let command = [&[program.to_str().unwrap()], args].concat();
    let spec = serde_json::json!({"command": command, "lines": lines});
    child
        .stdin
        .take()
        .unwrap()
        .write_all(spec.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    Some((
        told["shown"].as_str().unwrap().to_owned(),
        told["code"].as_i64().unwrap(),
    ))
}
