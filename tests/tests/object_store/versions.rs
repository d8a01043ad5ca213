//! Buckets that keep versions.

use crate::work::{KEY, Work};
use pryv_backup_tests::{object_store::ObjectStore, sampled::Stage};

#[test]
fn what_was_overwritten_or_deleted_is_read_as_it_was() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.locked_bucket("locked");
    let work = Work::of(&stage, &store);
    let place = "s3://locked/chain";
    work.backup(place, &["--incremental"]);
    work.backup(place, &["--incremental"]);
    let before = work.content(place);
    for object in store.list("locked", "chain/") {
        match object.key.contains("volume") {
            true => store.delete("locked", &object.key),
            false => store.put("locked", &object.key, b"encrypted by somebody else"),
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
