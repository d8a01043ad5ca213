//! Numbers in order: however many, a bounded part of them is in memory.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

/// The number of a record, and that of its content (0 where the content is not compared).
pub type Entry = (u64, u64);

/// Entries that are sorted in memory at once.
const AT_ONCE: usize = 512 * 1024;
/// Bytes that are read or written at once.
const PIECE: usize = 64 * 1024;

/// Collects entries in any order.
#[derive(Default)]
pub struct EntryCollector {
    waiting: Vec<Entry>,
    runs: Vec<Stored>,
}

/// Entries in a file, sorted.
#[derive(Clone)]
pub struct Stored {
    file: Arc<File>,
    offset: u64,
    count: u64,
    /// Whether the contents are there too.
    contents: bool,
}

/// Entries, sorted.
pub enum Sorted {
    /// Few.
    Memory(Vec<Entry>),
    /// Many.
    File(Stored),
}

/// Walks over sorted entries.
pub enum Walk<'a> {
    /// In memory.
    Memory(std::slice::Iter<'a, Entry>),
    /// In a file.
    File(EntryReader),
}

/// See [`Walk`].
pub struct EntryReader {
    stored: Stored,
    next: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl EntryCollector {
    /// Adds some entries; `folder` is where they go when they become many.
    pub fn add(&mut self, entries: &mut Vec<Entry>, folder: &Path) -> io::Result<()> {
        if self.waiting.is_empty() {
            std::mem::swap(&mut self.waiting, entries);
        } else {
            self.waiting.append(entries);
        }
        if self.waiting.len() >= AT_ONCE {
            self.spill(folder)?;
        }
        Ok(())
    }

    fn spill(&mut self, folder: &Path) -> io::Result<()> {
        self.waiting.sort_unstable();
        let entries = self.waiting.iter().copied().map(Ok);
        self.runs.push(Stored::write(folder, entries)?);
        self.waiting.clear();
        Ok(())
    }

    /// All of them in order.
    pub fn finish(mut self, folder: &Path) -> io::Result<Sorted> {
        if self.runs.is_empty() {
            self.waiting.sort_unstable();
            return Ok(Sorted::Memory(self.waiting));
        }
        self.spill(folder)?;
        let mut readings: Vec<EntryReader> = self.runs.iter().map(Stored::read).collect();
        let mut heads = BinaryHeap::new();
        for (i, reading) in readings.iter_mut().enumerate() {
            heads.extend(reading.step()?.map(|entry| Reverse((entry, i))));
        }
        let merged = std::iter::from_fn(|| {
            let Reverse((entry, i)) = heads.pop()?;
            match readings[i].step() {
                Ok(next) => heads.extend(next.map(|entry| Reverse((entry, i)))),
                Err(e) => return Some(Err(e)),
            }
            Some(Ok(entry))
        });
        Stored::write(folder, merged).map(Sorted::File)
    }
}

impl Sorted {
    /// From the first to the last.
    pub fn walk(&self) -> Walk<'_> {
        match self {
            Sorted::Memory(entries) => Walk::Memory(entries.iter()),
            Sorted::File(stored) => Walk::File(stored.read()),
        }
    }
}

impl Default for Sorted {
    fn default() -> Self {
        Sorted::Memory(Vec::new())
    }
}

impl Walk<'_> {
    /// The next entry.
    pub fn step(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Walk::Memory(entries) => Ok(entries.next().copied()),
            Walk::File(reading) => reading.step(),
        }
    }
}

impl Stored {
    /// A part of a file.
    pub fn new(file: Arc<File>, offset: u64, count: u64, contents: bool) -> Self {
        Stored {
            file,
            offset,
            count,
            contents,
        }
    }

    /// Bytes of an entry.
    pub fn width(contents: bool) -> u64 {
        if contents { 16 } else { 8 }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the contents are there too.
    pub fn contents(&self) -> bool {
        self.contents
    }

    fn write(
        folder: &Path,
        entries: impl Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<Stored> {
        // Without a name: it goes with the process, however that ends.
        let mut out = BufWriter::with_capacity(PIECE, tempfile::tempfile_in(folder)?);
        let mut count = 0;
        for entry in entries {
            put(&mut out, entry?, true)?;
            count += 1;
        }
        let file = out.into_inner().map_err(|e| e.into_error())?;
        Ok(Stored::new(Arc::new(file), 0, count, true))
    }

    /// Begins to read.
    pub fn read(&self) -> EntryReader {
        EntryReader {
            stored: self.clone(),
            next: 0,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// The entries from `from` on, at most `count`.
    fn part(&self, from: u64, count: u64, into: &mut Vec<u8>) -> io::Result<()> {
        let width = Self::width(self.contents);
        let count = count.min(self.count.saturating_sub(from));
        into.resize((count * width) as usize, 0);
        self.file.read_exact_at(into, self.offset + from * width)
    }
}

impl EntryReader {
    /// The next entry.
    pub fn step(&mut self) -> io::Result<Option<Entry>> {
        if self.at == self.buffer.len() {
            if self.next == self.stored.count {
                return Ok(None);
            }
            let width = Stored::width(self.stored.contents);
            let many = PIECE as u64 / width;
            self.stored.part(self.next, many, &mut self.buffer)?;
            self.next += self.buffer.len() as u64 / width;
            self.at = 0;
        }
        let entry = entry(&self.buffer[self.at..], self.stored.contents);
        self.at += Stored::width(self.stored.contents) as usize;
        Ok(Some(entry))
    }
}

/// Entries that are looked up by their number.
pub enum Lookup {
    /// Few: all of them.
    Memory(Vec<Entry>),
    /// Many: the first number of each page.
    Paged(Stored, Vec<u64>),
}

/// Entries of a page.
const PAGE: u64 = 256;

impl Lookup {
    /// Of these.
    pub fn new(stored: &Stored) -> io::Result<Self> {
        if stored.count <= AT_ONCE as u64 {
            let mut reading = stored.read();
            let mut entries = Vec::with_capacity(stored.count as usize);
            while let Some(entry) = reading.step()? {
                entries.push(entry);
            }
            return Ok(Lookup::Memory(entries));
        }
        let mut reading = stored.read();
        let mut firsts = Vec::new();
        let mut at = 0;
        while let Some((number, _)) = reading.step()? {
            if at % PAGE == 0 {
                firsts.push(number);
            }
            at += 1;
        }
        Ok(Lookup::Paged(stored.clone(), firsts))
    }

    /// The content of the record with this number.
    pub fn get(&self, number: u64) -> io::Result<Option<u64>> {
        let (stored, firsts) = match self {
            Lookup::Memory(entries) => return Ok(find(entries, number)),
            Lookup::Paged(stored, firsts) => (stored, firsts),
        };
        let Some(page) = firsts
            .partition_point(|first| *first <= number)
            .checked_sub(1)
        else {
            return Ok(None);
        };
        let mut buffer = Vec::new();
        stored.part(page as u64 * PAGE, PAGE, &mut buffer)?;
        let width = Stored::width(stored.contents) as usize;
        let entries: Vec<Entry> = buffer
            .chunks_exact(width)
            .map(|bytes| entry(bytes, stored.contents))
            .collect();
        Ok(find(&entries, number))
    }
}

fn find(entries: &[Entry], number: u64) -> Option<u64> {
    let at = entries
        .binary_search_by_key(&number, |entry| entry.0)
        .ok()?;
    entries.get(at).map(|entry| entry.1)
}

/// Writes an entry as it is stored.
pub fn put(out: &mut impl Write, entry: Entry, contents: bool) -> io::Result<()> {
    out.write_all(&entry.0.to_le_bytes())?;
    if contents {
        out.write_all(&entry.1.to_le_bytes())?;
    }
    Ok(())
}

fn entry(bytes: &[u8], contents: bool) -> Entry {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    (number(0), if contents { number(8) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(sorted: &Sorted) -> Vec<Entry> {
        let mut walk = sorted.walk();
        std::iter::from_fn(|| walk.step().unwrap()).collect()
    }

    #[test]
    fn many_come_back_in_order_and_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = EntryCollector::default();
        let mut all: Vec<Entry> = (0..AT_ONCE as u64 * 2 + 77)
            .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n))
            .collect();
        for part in all.chunks(1000) {
            collector.add(&mut part.to_vec(), folder.path()).unwrap();
        }
        let sorted = collector.finish(folder.path()).unwrap();
        all.sort_unstable();
        assert!(walked(&sorted) == all);
        let Sorted::File(stored) = &sorted else {
            panic!("it should be in a file");
        };
        let lookup = Lookup::new(stored).unwrap();
        assert!(matches!(lookup, Lookup::Paged(..)));
        for (number, content) in all.iter().step_by(10_007).chain(all.last()) {
            assert_eq!(lookup.get(*number).unwrap(), Some(*content));
            assert_eq!(lookup.get(number ^ 1).unwrap(), None);
        }
    }

    #[test]
    fn few_stay_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = EntryCollector::default();
        collector
            .add(&mut vec![(3, 1), (1, 2)], folder.path())
            .unwrap();
        collector.add(&mut vec![(2, 0)], folder.path()).unwrap();
        let sorted = collector.finish(folder.path()).unwrap();
        assert_eq!(walked(&sorted), [(1, 2), (2, 0), (3, 1)]);
        assert_eq!(walked(&Sorted::default()), []);
    }
}
