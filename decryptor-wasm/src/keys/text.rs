//! Text files as editors of all systems write them.

use zeroize::Zeroizing;

/// The text of a file in UTF-8 or UTF-16, without its byte order mark; none where it is no text.
pub(super) fn text(file: &[u8]) -> Option<Zeroizing<String>> {
    let text = match file {
        [0xff, 0xfe, ..] | [_, 0, ..] => utf16(file, u16::from_le_bytes),
        [0xfe, 0xff, ..] | [0, _, ..] => utf16(file, u16::from_be_bytes),
        _ => std::str::from_utf8(file).ok().map(str::to_owned),
    };
    let mut text = Zeroizing::new(text?);
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Some(text)
}

fn utf16(file: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let pairs = file.chunks_exact(2);
    let units = Zeroizing::new(pairs.map(|p| unit([p[0], p[1]])).collect::<Vec<u16>>());
    String::from_utf16(&units).ok()
}
