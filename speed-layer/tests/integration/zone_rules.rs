//! Rules of the time zone that change while a topic is consumed: every row is in the day, and every window has the bounds,
//! that follow from the rules in the lake, whichever programs wrote them and wherever they died.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lake_config::Settings;
use lake_delta::{Lake, TableLog, read};
use lake_model::calendar::TzRelease;
use lake_model::{Calendar, Day, Speed, Timestamp, WindowSize, ZoneRules};
use lake_runtime::RandomIds;
use lake_tables::identity::LakeIdentity;
use lake_tables::{Table, avg_speed, zone_rules};
use lake_testing::stores::{FailingFrom, Failure};
use lake_testing::{ManualClock, default_options};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::Value;
use speed_layer::tables::Tables;
use tokio::task::LocalSet;

use crate::log_source::Topic;
use crate::rivals::{instance_on, until};
use crate::support::{MINUTE_US, event, run_on};

const DAY_MINUTES: i64 = 1440;
/// Events of a partition are so many minutes apart.
const STEP_MINUTES: i64 = 25;
/// The minute of the first event: on 30 September 2024.
const FIRST_MINUTE: i64 = -4 * DAY_MINUTES;
/// The end of the topic before the rules change, on 2 October: that day and the next keep the bounds that they have.
const EARLIER_END: i64 = 102;
const END: i64 = 380;

fn settings() -> Settings {
    let mut settings = crate::support::settings();
    settings.pipeline.timezone = "Asia/Almaty".to_owned();
    settings
}

fn rules(release: &str, zone: &str) -> ZoneRules {
    let bundled = ZoneRules::bundled(zone).unwrap();
    ZoneRules::from_tzif(TzRelease::new(release), bundled.tzif()).unwrap()
}

/// The rules of Almaty before 2024, which are those of Omsk still, and since.
fn old() -> ZoneRules {
    rules("2023c", "Asia/Omsk")
}

fn new() -> ZoneRules {
    rules("2024a", "Asia/Almaty")
}

/// The lake on `store`, whose clock stands at 1 October.
fn lake_on(store: Arc<dyn ObjectStore>) -> Lake {
    let now = Timestamp::from_micros((20_000 - 3) * DAY_MINUTES * MINUTE_US);
    Lake::on_store(store, Arc::new(ManualClock::at(now)), Arc::new(RandomIds), default_options())
}

/// Two partitions up to the offset `end`. The second has an event of a day that is far ahead, at its offset 7.
fn topic(end: i64) -> Arc<Topic> {
    let mut topic = Topic::default();
    for partition in 0..2 {
        let minute = |offset| match (partition, offset) {
            (1, 7) => 9 * DAY_MINUTES,
            _ => FIRST_MINUTE + STEP_MINUTES * offset + i64::from(partition),
        };
        let camera = |offset| format!("KV{}", offset % 2);
        let records = (0..end).map(|o| event(o, &camera(o), minute(o), 40_000 + o * 77)).collect();
        topic.partitions.insert(partition, (records, end));
    }
    Arc::new(topic)
}

async fn opened(lake: &Lake, rules: &ZoneRules) -> Tables {
    Tables::open_with_rules(lake, LakeIdentity::of(&settings()), rules).await.unwrap()
}

async fn run_to_end(lake: &Lake, topic: &Arc<Topic>, rules: &ZoneRules) {
    run_on(opened(lake, rules).await, topic, &settings()).await;
}

async fn in_force(lake: &Lake) -> Calendar {
    let events = TableLog::open(lake, Table::Events).await.unwrap();
    let averages = TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    let [events, averages] =
        [events, averages].map(|log| zone_rules::calendar_of(log.state()).unwrap().unwrap());
    assert_eq!(events, averages);
    events
}

/// Offsets of events by partition and day.
type Events = BTreeMap<(i32, Day), Vec<i64>>;
/// Count and sum by day, partition, camera, start and end of the window.
type Averages = BTreeMap<(Day, i32, String, Timestamp, Timestamp), (u64, u64)>;

/// What the tables hold.
async fn held(lake: &Lake) -> (Events, Averages) {
    let (mut events, mut averages) = (Events::new(), Averages::new());
    let log = TableLog::open(lake, Table::Events).await.unwrap();
    for file in log.state().files() {
        let offsets = read::collect(lake, Table::Events, [file], &[], lake_tables::offsets);
        for (partition, offset) in offsets.await.unwrap() {
            let day = file.partition.unwrap();
            events.entry((partition.0, day)).or_default().push(offset.0);
        }
    }
    events.values_mut().for_each(|offsets| offsets.sort_unstable());
    let log = TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    for file in log.state().files() {
        for row in read::collect(lake, Table::AvgSpeed, [file], &[], avg_speed::rows).await.unwrap()
        {
            let (window, partition) = (row.window, row.kafka_partition.unwrap().0);
            let camera = row.camera_id.to_string();
            let key = (file.partition.unwrap(), partition, camera, window.start, window.end);
            let sums = (row.summary.count(), row.summary.sum_thousandths());
            assert_eq!(averages.insert(key, sums), None, "a window is there once");
        }
    }
    (events, averages)
}

/// What the tables must hold of `topic`, by the days of `calendar`.
fn expected(topic: &Topic, calendar: &Calendar) -> (Events, Averages) {
    let (mut events, mut averages) = (Events::new(), Averages::new());
    for (partition, (records, _)) in &topic.partitions {
        let mut greatest = Timestamp::from_micros(i64::MIN);
        for record in records {
            let value: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
            let time = Timestamp::parse(value["timestamp"].as_str().unwrap()).unwrap();
            let span = calendar.span_at(time);
            events.entry((*partition, span.day)).or_default().push(record.offset);
            // Everything after the event from far ahead is late.
            if time < greatest {
                continue;
            }
            greatest = time;
            let speed = Speed::rounded(value["vehicle_speed"].as_f64().unwrap()).thousandths();
            for size in WindowSize::ALL {
                let window = span.window_at(size, time);
                let camera = value["kvfv_id"].as_str().unwrap().to_owned();
                let key = (span.day, *partition, camera, window.start, window.end);
                let sums = averages.entry(key).or_default();
                *sums = (sums.0 + 1, sums.1 + u64::from(speed));
            }
        }
    }
    (events, averages)
}

/// Asserts that the lake holds `topic` by its rules, and that these are the newer ones where they can be.
async fn assert_sound(lake: &Lake, topic: &Topic, kept: &[&str], changed: &[&str], case: &str) {
    let calendar = in_force(lake).await;
    assert!(held(lake).await == expected(topic, &calendar), "{case}");
    let span = |rules: ZoneRules, day| Calendar::of(rules).span(day);
    for day in kept.iter().map(|day| Day::parse(day).unwrap()) {
        assert_eq!(calendar.span(day), span(old(), day), "{case}");
    }
    for day in changed.iter().map(|day| Day::parse(day).unwrap()) {
        assert_eq!(calendar.span(day), span(new(), day), "{case}");
    }
}

/// Days that have data before the rules change: the last is far ahead.
const KEPT: [&str; 4] = ["2024-09-30", "2024-10-01", "2024-10-02", "2024-10-13"];
const CHANGED: [&str; 3] = ["2024-10-05", "2024-10-06", "2024-12-01"];

#[tokio::test]
async fn an_upgrade_changes_only_days_without_data_and_open_windows_go_on() {
    let lake = lake_on(Arc::new(InMemory::new()));
    run_to_end(&lake, &topic(EARLIER_END), &old()).await;
    let before = held(&lake).await;
    run_to_end(&lake, &topic(END), &new()).await;
    assert_sound(&lake, &topic(END), &KEPT, &CHANGED, "upgraded").await;
    let after = held(&lake).await.1;
    let continued = |(key, sums): &(&_, &(u64, u64))| after[*key].0 > sums.0;
    assert!(before.1.iter().any(|sums| continued(&sums)), "a window was open over the upgrade");
    // The former program goes on, and takes nothing back.
    run_to_end(&lake, &topic(END + 60), &old()).await;
    assert_sound(&lake, &topic(END + 60), &KEPT, &CHANGED, "the former program").await;
}

#[tokio::test]
async fn programs_of_two_releases_side_by_side_agree() {
    LocalSet::new()
        .run_until(async {
            let lake = lake_on(Arc::new(InMemory::new()));
            run_to_end(&lake, &topic(EARLIER_END), &old()).await;
            let topic = topic(END);
            let former = instance_on(opened(&lake, &old()).await, &topic, &settings());
            former.assign(&[0]);
            let newer = instance_on(opened(&lake, &new()).await, &topic, &settings());
            newer.assign(&[1]);
            let ends = topic.ends().into_iter().collect::<Vec<_>>();
            until(&lake, |held| held.offsets == ends && held.averaged_offsets == ends).await;
            former.stop().await;
            newer.stop().await;
            assert_sound(&lake, &topic, &KEPT, &[], "side by side").await;
        })
        .await;
}

#[tokio::test]
async fn a_program_that_runs_on_while_the_rules_change_is_fenced_where_days_changed() {
    LocalSet::new()
        .run_until(async {
            let mut commits_once = settings();
            commits_once.speed.commit_interval = Duration::from_secs(3600);
            commits_once.speed.landing_interval = Duration::from_secs(3600);
            commits_once.speed.position_interval = Duration::from_secs(3600);
            for (settings, case) in [(commits_once, "fenced at its end"), (settings(), "fenced")] {
                let lake = lake_on(Arc::new(InMemory::new()));
                run_to_end(&lake, &topic(EARLIER_END), &old()).await;
                let topic = topic(END);
                // Both have the tables open before any of the days that change is consumed.
                let former = opened(&lake, &old()).await;
                opened(&lake, &new()).await;
                run_on(former, &topic, &settings).await;
                assert_sound(&lake, &topic, &KEPT, &CHANGED, case).await;
            }
        })
        .await;
}

#[tokio::test]
async fn wherever_a_program_with_newer_rules_dies_another_completes_the_tables() {
    let (earlier, topic) = (topic(10), topic(30));
    let mut crashes = 0;
    for at in 1.. {
        let mut all_finished = true;
        for (failure, next) in [(Failure::Hang, old()), (Failure::HangAfterEffect, new())] {
            let inner = Arc::new(InMemory::new());
            run_to_end(&lake_on(inner.clone()), &earlier, &old()).await;
            let store = FailingFrom::on(inner.clone(), failure, at);
            let (failing, newer) = (lake_on(store.clone()), new());
            let finished = tokio::select! {
                () = run_to_end(&failing, &topic, &newer) => true,
                () = store.struck() => false,
            };
            run_to_end(&lake_on(inner.clone()), &topic, &next).await;
            let case = format!("{failure:?} at {at}");
            assert_sound(&lake_on(inner), &topic, &KEPT[..1], &[], &case).await;
            all_finished &= finished;
            crashes += u32::from(!finished);
        }
        if all_finished || at > 400 {
            break;
        }
    }
    assert!(crashes > 30, "only {crashes} crashes were tried");
}
