//! Rows as they are held in memory, and the merge of those of one window.

use lake_model::{Pane, SpeedHistogram, Summary, Window};
use lake_tables::avg_speed::{AvgSpeedRow, Quantiles, Status};

/// A row of the table, less what answers do not need. The histogram stays encoded, which is a tenth of its size
/// and needed only where rows are merged.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) window: Window,
    summary: Summary,
    quantiles: Quantiles,
    status: Status,
    histogram: Option<Box<[u8]>>,
}

/// What is known of a camera in a window, from all of its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MergedWindow {
    /// The window.
    pub(crate) window: Window,
    /// Count, sum, minimum and maximum.
    pub(crate) summary: Summary,
    /// Percentiles, exact in final windows.
    pub(crate) quantiles: Quantiles,
    /// Who computed it.
    pub(crate) status: Status,
}

impl Row {
    pub(super) fn new(row: &AvgSpeedRow) -> Row {
        let encode = |histogram: &SpeedHistogram| histogram.encode().into_boxed_slice();
        Row {
            window: row.window,
            summary: row.summary,
            quantiles: row.quantiles,
            status: row.status,
            histogram: row.histogram.as_ref().map(encode),
        }
    }

    /// Bytes that the row occupies in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Row>() + self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    fn alone(&self) -> MergedWindow {
        MergedWindow {
            window: self.window,
            summary: self.summary,
            quantiles: self.quantiles,
            status: self.status,
        }
    }

    fn pane(&self) -> Pane {
        let decode = |bytes: &[u8]| {
            SpeedHistogram::decode(bytes).expect("the bytes were encoded from a histogram")
        };
        let histogram = self.histogram.as_deref().map(decode).unwrap_or_default();
        Pane { summary: self.summary, histogram }
    }
}

/// The windows of one camera's rows, ascending; rows of the same window are merged.
pub(super) fn merged(mut rows: Vec<&Row>) -> Vec<MergedWindow> {
    rows.sort_by_key(|row| row.window);
    rows.chunk_by(|a, b| a.window.start == b.window.start).map(merge).collect()
}

/// The window of rows that are all of it. A final row counts every event, so that nothing is added to it.
fn merge(rows: &[&Row]) -> MergedWindow {
    let first = rows.iter().find(|row| row.status == Status::Final).unwrap_or(&rows[0]);
    if rows.len() == 1 || first.status == Status::Final {
        return first.alone();
    }
    let mut pane = Pane::default();
    rows.iter().for_each(|row| pane.merge(&row.pane()));
    let quantiles = Quantiles::from(&pane);
    MergedWindow { summary: pane.summary, quantiles, ..first.alone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_model::{KafkaPartition, Speed, Timestamp, WindowSize};
    use proptest::prelude::*;

    fn pane(speeds: &[u32], limit: Option<u32>) -> Pane {
        let mut pane = Pane::default();
        for speed in speeds {
            pane.add(Speed::from_thousandths(*speed), limit.map(Speed::from_thousandths));
        }
        pane
    }

    fn row(partition: i32, pane: Pane) -> AvgSpeedRow {
        let (start, end) = (Timestamp::from_micros(0), Timestamp::from_micros(300_000_000));
        let window = Window { size: WindowSize::FiveMinutes, start, end };
        AvgSpeedRow::provisional("K".into(), window, KafkaPartition(partition), pane, start)
    }

    #[test]
    fn a_final_row_is_not_added_to() {
        let last = AvgSpeedRow { status: Status::Final, ..row(0, pane(&[50_000], None)) };
        let rows = [Row::new(&row(1, pane(&[90_000], None))), Row::new(&last)];
        let windows = merged(rows.iter().collect());
        assert_eq!(windows, [rows[1].alone()]);
    }

    #[test]
    fn what_only_one_partition_knows_of_limits_is_not_known() {
        let rows = [Row::new(&row(0, pane(&[1], Some(0)))), Row::new(&row(1, pane(&[1], None)))];
        assert_eq!(merged(rows.iter().collect())[0].summary.over_limit(), None);
    }

    proptest! {
        #[test]
        fn rows_of_several_partitions_equal_one_row_of_all_events(
            parts in prop::collection::vec(prop::collection::vec(0_u32..=400_000, 1..40), 1..5),
        ) {
            let rows: Vec<Row> = (0..)
                .zip(&parts)
                .map(|(partition, speeds)| Row::new(&row(partition, pane(speeds, Some(60_000)))))
                .collect();
            let all = Row::new(&row(0, pane(&parts.concat(), Some(60_000))));
            prop_assert_eq!(merged(rows.iter().collect()), [all.alone()]);
        }
    }
}
