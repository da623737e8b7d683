//! Plays the situations that are known to be hard.
//!
//! `speed_layer` has those that the speed layer alone gets into, `batch` those of nightly and maintenance runs.

mod batch;
mod speed_layer;

use crate::director::Director;
use crate::scenario::Scenario;

/// Plays `scenario`.
pub async fn play(scenario: Scenario, director: &mut Director) {
    match scenario {
        Scenario::TwoNightliesOnADayOfLateEvents => batch::two_nightlies(director).await,
        Scenario::NewPartitionAgainstFinal => batch::new_partition(director).await,
        Scenario::ZombieAfterItsSuccessorLoaded => speed_layer::zombie(director).await,
        Scenario::FencedWhileFetching => speed_layer::fenced_while_fetching(director).await,
        Scenario::SeldomWriter => speed_layer::seldom_writer(director).await,
        Scenario::TablesAtDifferentOffsets => speed_layer::different_offsets(director).await,
        Scenario::WindowClosedInAnOpenFile => speed_layer::closed_window(director).await,
        Scenario::LogEndsInMarkers => director.ends_in_markers = true,
        Scenario::KilledBeforeBatchRuns => batch::killed_before_batch_runs(director).await,
        Scenario::AnswersOfBatchCommitsLost => batch::lost_answers(director).await,
        Scenario::TwoCompactionsOfOneDay => batch::two_compactions(director).await,
        Scenario::VacuumBesideAnUpload => batch::vacuum_beside_an_upload(director).await,
        Scenario::SuspendedForDays => batch::suspended_for_days(director).await,
        Scenario::LogCutBelowWhatIsLanded => speed_layer::cut_below_landed(director).await,
    }
}
