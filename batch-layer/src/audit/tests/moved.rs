//! Files that another program replaces while the audit reads.

use super::*;
use crate::test_support::Aftermath;

#[tokio::test]
async fn a_file_that_was_replaced_since_the_log_was_read_is_no_finding_whatever_became_of_it() {
    for aftermath in [Aftermath::Deleted, Aftermath::Torn] {
        let mut world = world().await;
        world.nightly().await;
        let file = world.a_file(Table::Events, day(DAY)).await;
        world.rewrite_before_read(&file, aftermath);
        let report = audit(&world).await;
        assert!(report.is_ok(), "{aftermath:?}: {report}");
        assert!(world.log(Table::Events).await.state().file(&file.path).is_none());
    }
}
