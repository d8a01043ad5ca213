//! Copies from and to a store.

use crate::work::Work;
use pryv_backup_tests::{object_store::ObjectStore, sampled::Stage};

#[test]
fn copies_go_either_way() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("chain", &["--incremental"]);
    work.good(&["copy", "chain", "s3://bucket/copy"]);
    stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    work.backup("chain", &["--incremental"]);
    let said = work.good(&["copy", "chain", "s3://bucket/copy", "--json"]);
    assert!(said.contains("\"runsThere\":1"), "{said}");
    work.is_good("s3://bucket/copy");
    work.is_same("chain", "s3://bucket/copy");
    for layout in ["files", "volumes"] {
        let back = &format!("back-{layout}");
        work.good(&["copy", "s3://bucket/copy", back, "--layout", layout]);
        work.is_good(back);
        work.is_same("chain", back);
    }
    // A copy of a store in a store; and a backup that is none of its first runs.
    work.good(&["copy", "s3://bucket/copy", "s3://bucket/again"]);
    work.is_good("s3://bucket/again");
    work.backup("other", &[]);
    let said = work.ends(&["copy", "other", "s3://bucket/copy"], 2);
    assert!(said.contains("nothing was copied"), "{said}");
    work.is_good("s3://bucket/copy");
}
