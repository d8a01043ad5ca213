//! Names that every system can write.

use crate::limits::MAX_PATH;

/// Whether a relative path can be written on every system without leaving its folder: no absolute path, `..`, `.`, empty part,
/// NUL or control character, backslash, drive letter or other colon, name that Windows reserves, trailing dot or space.
pub fn is_safe_path(path: &str) -> bool {
    !path.is_empty() && path.len() <= MAX_PATH && parts(path).all(is_safe_name)
}

/// The parts of a path between its slashes. Paths are short: `split` takes twice as long to look for the next slash.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let path = rest?;
        let slash = path.bytes().position(|byte| byte == b'/');
        rest = slash.map(|at| &path[at + 1..]);
        Some(&path[..slash.unwrap_or(path.len())])
    })
}

/// The rule of [`is_safe_path`] for one name.
pub fn is_safe_name(name: &str) -> bool {
    let allowed = |byte: u8| {
        !byte.is_ascii_control()
            && !matches!(
                byte,
                b'\\' | b'/' | b':' | b'*' | b'?' | b'"' | b'<' | b'>' | b'|'
            )
    };
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && name.bytes().all(allowed)
        && (name.is_ascii() || !name.contains(char::is_control))
        && !name.ends_with(['.', ' '])
        && !is_reserved(name)
}

fn is_reserved(name: &str) -> bool {
    if !name.starts_with(|first| "cCpPaAnNlL".contains(first)) {
        return false;
    }
    let base = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_uppercase();
    // Windows takes the superscript digits of Latin-1 for digits here.
    let numbered = |prefix: &str| {
        base.strip_prefix(prefix)
            .is_some_and(|n| n.chars().count() == 1 && n.contains(|c| "123456789¹²³".contains(c)))
    };
    matches!(
        base.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) || numbered("COM")
        || numbered("LPT")
}
