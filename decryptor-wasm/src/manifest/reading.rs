//! Reads `manifest.json` piece by piece: its lists of users and of files, which may be long, are taken item by item.

use super::{FileEntry, InventoryFiles, Manifest, UserEntry, UserList, parse};
use crate::{Error, Result};

/// A manifest that is being read. What it says beside the items of the two lists is kept as it is written, and read in the end.
#[derive(Default)]
pub(crate) struct ManifestReading {
    /// The manifest with these lists empty.
    rest: Vec<u8>,
    users: UserList,
    files: InventoryFiles,
    /// The item that is being read, and how many of its list were.
    item: Vec<u8>,
    items: u64,
    /// The list that it is of.
    list: Option<List>,
    /// Objects and lists that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The last string at the depth of the names that matter, and whether a colon followed it.
    name: Vec<u8>,
    named: bool,
    in_inventory: bool,
}

#[derive(Clone, Copy)]
enum List {
    Users,
    Files,
}

impl List {
    /// How many objects and lists are open around its items.
    fn depth(self) -> usize {
        match self {
            List::Users => 2,
            List::Files => 3,
        }
    }
}

impl ManifestReading {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When an item cannot be read.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            match self.list {
                Some(list) => self.take_item(list, *byte)?,
                None => self.take(*byte),
            }
        }
        Ok(())
    }

    /// The manifest, and what was written of it but for the items of the two lists.
    ///
    /// # Errors
    /// See [`Manifest::parse`].
    pub(crate) fn finish(self) -> Result<(Manifest, Vec<u8>)> {
        let mut manifest = Manifest::parse(&self.rest)?;
        // A manifest that spells the name of a list with escapes has it in the rest, and none here.
        if manifest.users.is_empty() {
            manifest.users = self.users;
            manifest.users.shrink();
        }
        let inventory = manifest.inventory.as_mut();
        if let Some(inventory) = inventory.filter(|all| all.files.is_empty()) {
            inventory.files = self.files;
            inventory.files.shrink();
        }
        Ok((manifest, self.rest))
    }

    /// A byte that is in none of the two lists.
    fn take(&mut self, byte: u8) {
        self.rest.push(byte);
        if self.in_string {
            self.in_string(byte);
            if self.in_string && self.depth <= 2 {
                self.name.push(byte);
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.name.clear();
                self.named = false;
            }
            b':' => self.named = true,
            b'{' | b'[' => {
                let name = if self.named {
                    self.name.as_slice()
                } else {
                    b""
                };
                self.list = match (self.depth, byte, name) {
                    (1, b'[', b"users") => Some(List::Users),
                    (2, b'[', b"files") if self.in_inventory => Some(List::Files),
                    _ => None,
                };
                if self.depth == 1 {
                    self.in_inventory = byte == b'{' && name == b"inventory";
                }
                self.depth += 1;
                self.named = false;
                self.items = 0;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.named = false;
            }
            b',' => self.named = false,
            _ => {}
        }
    }

    /// A byte of one of the two lists.
    fn take_item(&mut self, list: List, byte: u8) -> Result<()> {
        if self.in_string {
            self.in_string(byte);
            self.item.push(byte);
            return Ok(());
        }
        let outside = self.depth == list.depth();
        match byte {
            b',' if outside => return self.end_item(list),
            b'}' | b']' if outside => {
                let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
                let is_blank = self.item.iter().all(is_space);
                if !(is_blank && self.items == 0) {
                    self.end_item(list)?;
                }
                self.item.clear();
                self.list = None;
                self.take(byte);
                return Ok(());
            }
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.item.push(byte);
        Ok(())
    }

    fn in_string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    fn end_item(&mut self, list: List) -> Result<()> {
        match list {
            List::Users => self.users.push(&item::<UserEntry>(&self.item)?),
            List::Files => self.files.push(&item::<FileEntry>(&self.item)?),
        }
        self.items += 1;
        self.item.clear();
        Ok(())
    }
}

fn item<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    parse(json, "manifest.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifest that comes of these pieces, as JSON.
    fn read(json: &str, length: usize) -> Result<String> {
        let mut reading = ManifestReading::default();
        for piece in json.as_bytes().chunks(length) {
            reading.push(piece)?;
        }
        let (manifest, _) = reading.finish()?;
        Ok(serde_json::to_string(&manifest).unwrap())
    }

    const FILE: &str = r#"{"path":"users/\"],[{/x","size":1,"sha256":"","contentSize":0}"#;

    #[test]
    fn a_manifest_reads_as_it_does_in_one_piece() {
        for json in [
            r#"{"formatVersion":1}"#.to_owned(),
            r#"{"formatVersion":1,"users":[],"inventory":{"v":1,"files":[ ]}}"#.to_owned(),
            format!(
                r#"{{"a":{{"users":[1]}},"b":"users","users": [ {{"userId":"a,]\\","chunks":{{"events":["x"]}}}} , {{"userId":"b"}}],
                "inventory":{{"files":[{FILE},{FILE}],"v":1}},"formatVersion":1,"losses":[{{"what":"{{["}}]}}"#
            ),
            r#"{"\u0075sers":[{"userId":"u"}],"formatVersion":1}"#.to_owned(),
        ] {
            let whole = serde_json::to_string(&Manifest::parse(json.as_bytes()).unwrap()).unwrap();
            for length in [1, 3, 1000] {
                assert_eq!(read(&json, length).unwrap(), whole, "{json}");
            }
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for json in [
            "",
            "[",
            r#"{"formatVersion":1,"users":[,]}"#,
            r#"{"formatVersion":1,"users":[{"userId":"a"},]}"#,
            r#"{"formatVersion":1,"users":[{"userId":"a"]}"#,
            r#"{"formatVersion":1,"users":[{"userId":"a"}}}"#,
            r#"{"formatVersion":1,"users":[{"userId":"a"}"#,
            r#"{"formatVersion":1,"users":[5]}"#,
            "{\"formatVersion\":1,\"users\":[\u{c}]}",
            r#"{"formatVersion":1,"users":[],"users":[{"userId":"a"}]}"#,
            r#"{"formatVersion":1,"\u0075sers":[{"userId":"b"}],"users":[{"userId":"a"}]}"#,
            r#"{"formatVersion":1,"inventory":{"v":1,"\u0066iles":[],"files":[]}}"#,
            r#"{"formatVersion":1,"users":{"userId":"a"}}"#,
            r#"{"formatVersion":1,"inventory":{"v":1,"files":[],"files":[]}}"#,
            r#"{"formatVersion":1,"inventory":[{"files":[]}]}"#,
            r#"{"formatVersion":2,"users":[]}"#,
        ] {
            assert!(Manifest::parse(json.as_bytes()).is_err(), "{json}");
            assert!(read(json, 1).is_err(), "{json}");
        }
    }
}
