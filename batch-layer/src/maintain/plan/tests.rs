#![allow(clippy::unwrap_used)]

use lake_tables::Table;

use super::*;
use crate::test_support::{World, day, seen};

const DAY: &str = "2025-04-05";
const TARGET_BYTES: u64 = 256_000_000;
const ENOUGH: SliceLimits = SliceLimits { files: 100, rows: 1000, held_bytes: 1 << 30 };

/// Files that landed one after the other, with so many rows each.
async fn landed(rows: &[usize]) -> Vec<FileEntry> {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    let mut files: Vec<FileEntry> = Vec::new();
    for rows in rows {
        let event = |row| seen("KV1", &format!("2025-04-05T10:00:{row:02}Z"), 50_000);
        let events: Vec<_> = (0..*rows).map(event).collect();
        world.land(&events).await;
        let log = world.log(Table::Events).await;
        let is_new = |file: &&FileEntry| !files.iter().any(|known| known.path == file.path);
        let new = log.state().files_of(day(DAY)).find(is_new).unwrap().clone();
        files.push(new);
    }
    files
}

/// The rows of the files of each slice.
fn rows(files: &[FileEntry], limits: SliceLimits, is_closed: bool) -> Vec<Vec<u64>> {
    let slices = slices(files.iter(), TARGET_BYTES, limits, is_closed);
    slices.iter().map(|slice| slice.iter().map(|file| file.rows).collect()).collect()
}

#[tokio::test]
async fn a_slice_ends_before_the_file_that_would_exceed_a_limit() {
    let files = landed(&[1, 2, 3, 4, 5]).await;
    let whole = vec![vec![1, 2, 3, 4, 5]];
    assert_eq!(rows(&files, ENOUGH, true), whole);
    let of_two = vec![vec![1, 2], vec![3, 4], vec![5]];
    assert_eq!(rows(&files, SliceLimits { files: 2, ..ENOUGH }, true), of_two);
    let of_six_rows = vec![vec![1, 2, 3], vec![4], vec![5]];
    assert_eq!(rows(&files, SliceLimits { rows: 6, ..ENOUGH }, true), of_six_rows);
    let held = files.iter().take(3).map(|file| EXPANSION * file.size).sum();
    let by_bytes = rows(&files, SliceLimits { held_bytes: held, ..ENOUGH }, true);
    assert_eq!(by_bytes[0], [1, 2, 3]);
}

#[tokio::test]
async fn a_file_that_exceeds_a_limit_is_a_slice_of_its_own() {
    let files = landed(&[1, 9, 1]).await;
    let alone = vec![vec![1], vec![9], vec![1]];
    assert_eq!(rows(&files, SliceLimits { rows: 3, ..ENOUGH }, true), alone);
}

#[tokio::test]
async fn the_last_slice_of_an_open_day_waits_for_more_files() {
    let files = landed(&[1, 2, 3, 4, 5]).await;
    assert!(rows(&files, ENOUGH, false).is_empty());
    let full = vec![vec![1, 2], vec![3, 4]];
    assert_eq!(rows(&files, SliceLimits { files: 2, ..ENOUGH }, false), full);
}

#[tokio::test]
async fn a_day_without_files_has_no_slices() {
    assert!(rows(&[], ENOUGH, true).is_empty() && rows(&[], ENOUGH, false).is_empty());
}

#[test]
fn slices_are_as_large_on_any_machine_and_as_many_at_once_as_may_be_held() {
    let of = |max_rows, processors| {
        let Slicing { limits, at_once } = Slicing::of(max_rows, processors);
        (limits.rows, at_once)
    };
    assert_eq!(
        [1, 2, 16, 64].map(|processors| of(8_000_000, processors)),
        [(4_000_000, 1), (4_000_000, 2), (4_000_000, 2), (4_000_000, 2)]
    );
    // Of little room a slice has all, and of much it has no more.
    assert_eq!(
        [of(100_000, 64), of(1, 2), of(1_000_000_000, 1)],
        [(100_000, 1), (1, 1), (4_000_000, 1)]
    );
}
