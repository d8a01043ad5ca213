//! Events, their versions, what is left of deleted ones, and their files.

use super::Row;
use super::records::{Maker, ODD, hash, quote};
use decryptor_wasm::integrity::Hashed;

impl Maker<'_> {
    pub(super) fn events(&mut self) {
        let shared = self.random.id();
        for n in 0..80 {
            let id = self.random.id();
            let own = self.random.id();
            // Two events list the same file.
            let files: Vec<String> = match n % 8 {
                0 => vec![own],
                1 if n < 16 => vec![own, shared.clone()],
                _ => Vec::new(),
            };
            let row = self.event(&id, n, &files);
            for version in 0..n % 3 {
                let mut past = row.clone();
                past.retain(|(name, _)| *name != "id" && *name != "modified");
                let past_id = self.random.id();
                past.insert(0, ("id", quote(&past_id)));
                past.push(("head_id", quote(&id)));
                past.push(("modified", format!("15000000{version:02}.5")));
                self.finish_event(past, n);
            }
            self.finish_event(row, n);
        }
        for (n, more) in [
            vec![],
            vec![("modified", self.time()), ("modified_by", quote("x"))],
            vec![("type", quote("note/txt")), ("time", self.time())],
        ]
        .into_iter()
        .enumerate()
        {
            let mut row = vec![
                ("id", quote(&self.random.id())),
                ("deleted", format!("170000000{n}.25")),
            ];
            row.extend(more);
            self.finish_event(row, 1);
        }
        if self.sqlite {
            let mut row = vec![
                ("id", quote(&self.random.id())),
                ("stream_ids", "[\"s0\"]".to_owned()),
                ("time", self.time()),
                ("type", quote("note/txt")),
                ("content", "\"a\\u0000b\"".to_owned()),
            ];
            row.extend(self.author());
            self.finish_event(row, 1);
        }
    }

    fn event(&mut self, id: &str, n: usize, files: &[String]) -> Row {
        let time = match n % 9 {
            0 => "-12345.678".to_owned(),
            1 => "0".to_owned(),
            _ => self.time(),
        };
        let end = match n % 4 {
            0 => "null".to_owned(),
            1 => format!("{}.5", 1_800_000_000 + n),
            _ => time.clone(),
        };
        let mut row = vec![
            ("id", quote(id)),
            (
                "stream_ids",
                format!("[\"s{}\",\"s{}\"]", n % 24, (n + 7) % 24),
            ),
            ("time", time),
            ("end_time", end),
            ("type", quote("test/odd")),
            ("content", ODD[n % ODD.len()].to_owned()),
            ("client_data", format!("{{\"x\":{}}}", self.odd())),
            ("trashed", (n % 11 == 5).to_string()),
        ];
        if n.is_multiple_of(3) {
            row.push(("description", quote("\\N \t\r\n \\ \u{7f}")));
        }
        if !files.is_empty() {
            let listed: Vec<String> = files
                .iter()
                .map(|file| {
                    // Of the same id always the same, some empty.
                    let id_bytes = file.as_bytes();
                    let length = usize::from(id_bytes[1]) * 11 * usize::from(id_bytes[2] % 16);
                    let content = vec![id_bytes[0]; length];
                    let sum: [u8; 32] = sha256(&content);
                    let hash = decryptor_wasm::integrity::attachment(&sum);
                    let size = content.len();
                    self.user.attachments.push((id.to_owned(), file.clone(), content));
                    format!("{{\"id\":\"{file}\",\"fileName\":\"\u{fc}\u{1f4ce}.txt\",\"type\":\"text/plain\",\"size\":{size},\"integrity\":\"{hash}\"}}")
                })
                .collect();
            row.push(("attachments", format!("[{}]", listed.join(","))));
        }
        row.extend(self.author());
        row
    }

    /// Some have no hash, as on any platform.
    fn finish_event(&mut self, mut row: Row, n: usize) {
        if n % 5 != 4 {
            let hash = hash(Hashed::Event, &row);
            row.push(("integrity", hash));
        }
        self.put("events", row);
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hex = pryv_backup_engine::archive::sha256_hex(bytes);
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}
