//! Uploads of many parts that a killed run leaves.

use crate::work::{BACKUP, KEY, Work};
use pryv_backup_tests::object_store::Fault;

#[test]
fn uploads_of_a_killed_run_are_given_up_by_the_next() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("chain");
    work.chain(place, 1);
    work.stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1, content = '\"' || hex(randomblob(12000000)) || '\"' \
         WHERE rowid = (SELECT min(rowid) FROM events)",
    );
    let args = [&BACKUP[..], &[place, "--incremental"]].concat();
    let killed = work.is_killed(&args, |_, first| match first.contains("partNumber=2") {
        true => Fault::Cut(1000),
        false => Fault::None,
    });
    assert!(killed, "it sent no second part");
    // That of somebody else is none of its business.
    work.bucket.begin_upload("chain/volume-0001.tar");
    assert_eq!(work.bucket.uploads(), 2);
    work.good(&[&["verify", place], &KEY[..]].concat());
    work.backup(place, &["--incremental"]);
    assert_eq!(work.bucket.uploads(), 1);
    work.is_good(place);
    // Nothing of the work stays on this host.
    assert_eq!(work.places_at_work(), 0);
}
