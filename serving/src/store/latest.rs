//! The latest 5-minute window of each camera.
//!
//! It is in the latest day that the camera has rows in, and there in one of the last files that hold 5-minute
//! windows: files are read from the latest hour backwards until every camera asked for is found. What is found is kept with
//! the day, whose files do not change under it.

use std::collections::BTreeMap;
use std::sync::Arc;

use lake_delta::LakeError;
use lake_model::Day;

use super::files::{FileCache, FileRows};
use super::index::{DayFiles, Index};
use super::rows::{self, MergedWindow, Row};

/// The cameras given with their latest day, each with its latest window.
pub(super) async fn windows(
    cache: &FileCache,
    index: &Index,
    cameras: Vec<(Arc<str>, Option<Day>)>,
) -> Result<Vec<(Arc<str>, Option<MergedWindow>)>, Arc<LakeError>> {
    let mut by_day: BTreeMap<Option<Day>, Vec<Arc<str>>> = BTreeMap::new();
    for (camera, day) in &cameras {
        by_day.entry(*day).or_default().push(Arc::clone(camera));
    }
    for (day, cameras) in by_day {
        if let Some(files) = index.day(day) {
            find(cache, files, cameras).await?;
        }
    }
    let found = |camera: &str, day| *index.day(day)?.latest().get(camera)?;
    let answer = |(camera, day): (Arc<str>, _)| {
        let window = found(&camera, day);
        (camera, window)
    };
    Ok(cameras.into_iter().map(answer).collect())
}

/// Finds the latest windows of `cameras` among a day's files and keeps them with the day.
async fn find(
    cache: &FileCache,
    day: &DayFiles,
    mut cameras: Vec<Arc<str>>,
) -> Result<(), Arc<LakeError>> {
    {
        let found = day.latest();
        cameras.retain(|camera| !found.contains_key(camera));
    }
    for group in day.latest_first() {
        if cameras.is_empty() {
            break;
        }
        let wanted =
            group.into_iter().filter(|file| cameras.iter().any(|camera| file.may_hold(camera)));
        let files = cache.load(wanted).await?;
        let mut found = day.latest();
        cameras.retain(|camera| match latest_in(&files, camera) {
            Some(window) => {
                found.insert(Arc::clone(camera), Some(window));
                false
            }
            None => true,
        });
    }
    day.latest().extend(cameras.into_iter().map(|camera| (camera, None)));
    Ok(())
}

fn latest_in(files: &[Arc<FileRows>], camera: &str) -> Option<MergedWindow> {
    let rows: Vec<&Row> = files.iter().flat_map(|file| file.latest(camera)).collect();
    rows::merged(rows).pop()
}
