//! `SHA256SUMS` as a stream, in the order of the bytes of its paths: however many files there are, a bounded part of them is in
//! memory. What is read of one may have been changed by anybody.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    path::PathBuf,
};

pub use decryptor_wasm::layout::SUMS;
use decryptor_wasm::{
    Error, ErrorKind, FileEntry, Result, layout::is_safe_path, limits::MAX_SUM_LINE,
};

/// Hex digits of a digest.
const DIGEST: usize = 64;
/// Bytes of lines that are sorted in memory at once.
const AT_ONCE: usize = 8 * 1024 * 1024;
/// Files that are merged at once.
const FILES: usize = 64;

/// A file, and the hex SHA-256 of what is stored of it. They are in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumLine {
    /// From the folder of `SHA256SUMS`.
    pub path: String,
    /// 64 lower-case digits.
    pub sha256: String,
}

/// Lines in their order, from anywhere.
pub type SumLines<'l> = Box<dyn Iterator<Item = Result<SumLine>> + 'l>;

impl SumLine {
    /// Of a file.
    pub fn new(path: &str, sha256: &str) -> Self {
        SumLine {
            path: path.to_owned(),
            sha256: sha256.to_owned(),
        }
    }

    /// Parses a line; the error says why it is no line, or that it names a path that no archive holds.
    fn parse(text: &[u8]) -> std::result::Result<Self, &'static str> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let text = text.strip_suffix(b"\n");
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let parts = text.and_then(|text| text.split_at_checked(DIGEST));
        let parts = parts.and_then(|(sha256, path)| Some((sha256, path.strip_prefix("  ")?)));
        match parts.filter(|(sha256, _)| sha256.bytes().all(digit)) {
            None => Err("is no line of it"),
            Some((_, path)) if !is_safe_path(path) => Err("names a path that no backup holds"),
            Some((sha256, path)) => Ok(SumLine::new(path, sha256)),
        }
    }

    /// As it is stored.
    pub fn write(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        writeln!(out, "{}  {}", self.sha256, self.path)
    }
}

impl From<&FileEntry> for SumLine {
    fn from(file: &FileEntry) -> Self {
        SumLine::new(&file.path, &file.sha256)
    }
}

/// Reads lines from a file; refuses what is none, and what is not in its order.
pub fn read(file: impl Read + 'static) -> SumLines<'static> {
    let mut input = BufReader::new(file);
    let (mut last, mut text, mut ended) = (String::new(), Vec::new(), false);
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        text.clear();
        let read = (&mut input)
            .take(MAX_SUM_LINE as u64 + 1)
            .read_until(b'\n', &mut text);
        let line = match read {
            Ok(0) => return None,
            Ok(_) => SumLine::parse(&text).and_then(|line| match line.path > last {
                true => Ok(line),
                false => Err("is there twice, or not in its order"),
            }),
            Err(e) => {
                ended = true;
                return Some(Err(failed(&e)));
            }
        };
        let line = match line {
            Ok(line) => line,
            Err(what) => {
                ended = true;
                let shown: String = String::from_utf8_lossy(&text).chars().take(120).collect();
                return Some(Err(Error::damaged(format!(
                    "{:?} {what}; the file was changed: use another copy of the backup",
                    shown.trim_end()
                ))
                .at(SUMS)));
            }
        };
        line.path.clone_into(&mut last);
        Some(Ok(line))
    }))
}

/// Lines of several sources, each in its order, in one.
pub fn merge<'l>(mut sources: Vec<SumLines<'l>>) -> SumLines<'l> {
    let mut heads = BinaryHeap::new();
    let mut failure = None;
    for (at, source) in sources.iter_mut().enumerate() {
        match source.next() {
            Some(Ok(line)) => heads.push(Reverse((line, at))),
            Some(Err(error)) => failure = Some(error),
            None => {}
        }
    }
    Box::new(std::iter::from_fn(move || {
        if let Some(error) = failure.take() {
            heads.clear();
            return Some(Err(error));
        }
        let Reverse((line, at)) = heads.pop()?;
        match sources[at].next() {
            Some(Ok(next)) => heads.push(Reverse((next, at))),
            Some(Err(error)) => failure = Some(error),
            None => {}
        }
        Some(Ok(line))
    }))
}

/// Takes lines in any order.
pub struct Sorter {
    /// Where those go for which there is no room.
    folder: PathBuf,
    /// Lines as they are stored.
    waiting: Vec<u8>,
    /// Where each of them begins.
    begins: Vec<u32>,
    /// Sorted files; each level is merged of files of the one before.
    levels: Vec<Vec<File>>,
}

impl Sorter {
    /// Without a line.
    pub fn new(folder: PathBuf) -> Self {
        Sorter {
            folder,
            waiting: Vec::new(),
            begins: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Adds the line of a file.
    pub fn add(&mut self, path: &str, sha256: &str) -> Result<()> {
        self.begins.push(self.waiting.len() as u32);
        for part in [sha256, "  ", path, "\n"] {
            self.waiting.extend_from_slice(part.as_bytes());
        }
        if self.waiting.len() < AT_ONCE {
            return Ok(());
        }
        let mut file = self.spill()?;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let files = &mut self.levels[level];
            files.push(file);
            if files.len() < FILES {
                break;
            }
            let files = std::mem::take(files);
            file = self.write(merge(files.into_iter().map(read).collect()))?;
        }
        Ok(())
    }

    /// All lines in their order; `see` is shown each.
    pub fn finish(mut self, see: &mut dyn FnMut(&SumLine) -> Result<()>) -> Result<File> {
        let mut files = vec![self.spill()?];
        files.extend(std::mem::take(&mut self.levels).into_iter().flatten());
        let merged = merge(files.into_iter().map(read).collect());
        self.write(Box::new(merged.map(|line| {
            let line = line?;
            see(&line)?;
            Ok(line)
        })))
    }

    /// Those that wait, in a file.
    fn spill(&mut self) -> Result<File> {
        let mut begins = std::mem::take(&mut self.begins);
        let line = |begin: u32| {
            let rest = self.waiting.get(begin as usize..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            &rest[..end.unwrap_or(rest.len())]
        };
        begins.sort_unstable_by_key(|begin| line(*begin).get(DIGEST..));
        let file = self.file(|out| {
            let mut lines = begins.iter().map(|begin| line(*begin));
            let written = lines.try_for_each(|line| {
                out.write_all(line)?;
                out.write_all(b"\n")
            });
            written.map_err(|e| failed(&e))
        })?;
        self.waiting.clear();
        Ok(file)
    }

    fn write(&self, lines: SumLines<'_>) -> Result<File> {
        self.file(|out| {
            for line in lines {
                line?.write(out).map_err(|e| failed(&e))?;
            }
            Ok(())
        })
    }

    /// A file without a name: it goes with the process, however that ends.
    fn file(&self, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<File> {
        let file = tempfile::tempfile_in(&self.folder).map_err(|e| failed(&e))?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        write(&mut out)?;
        let file = out.into_inner().map_err(|e| failed(e.error()));
        file.and_then(|mut file| file.rewind().map(|()| file).map_err(|e| failed(&e)))
    }
}

fn failed(error: &io::Error) -> Error {
    Error::new(ErrorKind::Failed, error.to_string()).at(SUMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> SumLine {
        SumLine::new(path, &"ab".repeat(32))
    }

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn many_lines_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path().to_owned());
        let count = 3 * AT_ONCE as u64 / 100;
        let path = |n: u64| {
            format!(
                "users/{:016x}/attachments/a",
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
        };
        for n in 0..count {
            sorter.add(&path(n), &"ab".repeat(32)).unwrap();
        }
        let (mut seen, mut all) = (0, Vec::new());
        let sorted = sorter.finish(&mut |_| {
            seen += 1;
            Ok(())
        });
        all.extend(read(sorted.unwrap()).map(|line| line.unwrap().path));
        let mut due: Vec<String> = (0..count).map(path).collect();
        due.sort();
        assert!(all == due && seen == count);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let digest = "ab".repeat(32);
        let good = format!("{digest}  FORMAT.md\n{digest}  increments/0002/users/a b/x\n");
        assert!(read(file(&good)).all(|line| line.is_ok()));
        for bad in [
            format!("{digest}  increments/0004/../../../../dev/zero\n"),
            format!("{digest}  /dev/zero\n"),
            format!("{digest}  b\n{digest}  a\n"),
            format!("{digest}  a\n{digest}  a\n"),
            format!("{digest}  a"),
            format!("{digest} *a\n"),
            format!("{}  a\n", digest.to_uppercase()),
            format!("{digest}  {}\n", "a/".repeat(1000)),
            "\n".to_owned(),
        ] {
            let lines: Vec<_> = read(file(&bad)).collect();
            let last = lines.last().unwrap();
            let kind = last.as_ref().err().map(Error::kind);
            assert_eq!(kind, Some(ErrorKind::Damaged), "{bad}");
        }
    }

    #[test]
    fn an_error_of_one_source_ends_all() {
        let good = || -> SumLines<'static> { Box::new([Ok(line("a")), Ok(line("c"))].into_iter()) };
        let bad: SumLines<'static> =
            Box::new([Ok(line("b")), Err(Error::damaged("x"))].into_iter());
        let paths: Vec<_> = merge(vec![good(), bad])
            .map(|line| line.map(|line| line.path).ok())
            .collect();
        assert_eq!(paths, [Some("a".into()), Some("b".into()), None]);
        assert_eq!(merge(vec![good(), good()]).count(), 4);
    }
}
