//! What is left to a later run is reported, and such a run is not complete.

use super::*;
use crate::test_support::Aftermath;

#[tokio::test(flavor = "multi_thread")]
async fn a_day_whose_file_another_program_replaces_meanwhile_is_left_and_done_by_the_next_run() {
    for aftermath in [Aftermath::Deleted, Aftermath::Torn] {
        let mut world = world().await;
        world.nightly().await;
        let file = world.a_file(Table::Events, day(DAY)).await;
        world.rewrite_before_read(&file, aftermath);
        let report = maintain(&world).await;
        assert!(!report.is_complete() && report.faults.is_empty(), "{aftermath:?}: {report}");
        assert!(report.to_string().contains("LEFT to a later run"), "{report}");
        assert!(maintain(&world).await.is_complete());
        assert_eq!(rows(&world, DAY).await.1.len(), 1);
    }
}
