//! Buckets that keep versions.

use crate::work::{KEY, Work};

#[test]
fn what_was_overwritten_or_deleted_is_read_as_it_was() {
    let Some(work) = Work::new() else { return };
    let work = work.with(work.store.locked());
    let place = &work.at("chain");
    work.backup(place, &["--incremental"]);
    work.backup(place, &["--incremental"]);
    let before = work.content(place);
    for object in work.bucket.list("chain/") {
        match object.key.contains("volume") {
            true => work.bucket.delete(&object.key),
            false => work.bucket.put(&object.key, b"encrypted by somebody else"),
        }
    }
    let said = work.ends(&[&["verify", place], &KEY[..]].concat(), 0);
    assert!(
        said.contains("overwritten or deleted in the store"),
        "{said}"
    );
    assert!(work.content(place) == before);
    work.backup(place, &["--incremental"]);
    assert!(work.content(place) == before);
    let early = [&["verify", place, "--as-of", "2020"], &KEY[..]].concat();
    assert!(work.ends(&early, 2).contains(place));
}
