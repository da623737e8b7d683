//! Comparing what was recomputed with what the table holds.

use std::collections::BTreeMap;

use lake_model::{TableVersion, Timestamp};

use super::figures::{Difference, Figures, Key};
use super::final_rows::FinalRow;
use super::report::VerifyReport;

/// Compares the windows of a range of cameras and adds to the report what is found.
pub(super) fn compare(
    mut recomputed: BTreeMap<Key, Figures>,
    rows: Vec<FinalRow>,
    events_version: Option<TableVersion>,
    report: &mut VerifyReport,
) {
    for row in rows {
        report.compared += 1;
        // A second row of the same window finds nothing here, and differs.
        let expected = recomputed.remove(&row.key);
        let equal = expected.as_ref().is_some_and(|expected| expected.same_bits(&row.figures));
        let fault = fault(&row, events_version);
        if !equal || fault.is_some() {
            report.differ(difference(row.key, expected, Some(row.figures), fault));
        }
    }
    for (key, figures) in recomputed {
        report.compared += 1;
        report.differ(difference(key, Some(figures), None, None));
    }
}

fn difference(
    key: Key,
    recomputed: Option<Figures>,
    published: Option<Figures>,
    fault: Option<String>,
) -> Difference {
    Difference {
        camera: key.camera,
        window_size: key.size,
        window_start: Timestamp::from_micros(key.start),
        recomputed,
        published,
        fault,
    }
}

/// What is wrong with a final row beside its figures.
fn fault(row: &FinalRow, events_version: Option<TableVersion>) -> Option<String> {
    if row.status != "final" {
        Some(format!("status is {:?}", row.status))
    } else if let Some(partition) = row.kafka_partition {
        Some(format!("kafka_partition is {partition}, and should be null"))
    } else if row.events_version != events_version {
        Some(format!(
            "events_version is {:?}, and the run has {:?}",
            row.events_version.map(|version| version.0),
            events_version.map(|version| version.0)
        ))
    } else {
        None
    }
}
