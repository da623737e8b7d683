//! Told to stop while the store is away: the engine ends within `speed.shutdown_timeout`, and a later start completes
//! the tables. Time is simulated.

use std::sync::Arc;
use std::time::Duration;

use lake_config::Settings;
use lake_testing::lake_on;
use lake_testing::stores::{FailingFrom, Failure};
use object_store::memory::InMemory;
use speed_layer::tables::Tables;
use speed_layer::{Engine, EngineError};
use tokio::time::{Instant, sleep};

use crate::exactly_once::merged;
use crate::log_source::{LogSource, Order};
use crate::oracle::expected;
use crate::support::{held, run_to_end, settings, topic};

/// More than the engine needs for the whole topic.
const STOP_AFTER: Duration = Duration::from_secs(10);

/// Settings under which little is tried again while the store is away.
fn unhurried() -> Settings {
    let mut settings = settings();
    settings.speed.commit_interval = Duration::from_millis(500);
    settings.speed.landing_interval = Duration::from_millis(700);
    settings.speed.position_interval = Duration::from_secs(2);
    settings
}

struct Stopped {
    ended: Result<(), EngineError>,
    /// From the request to stop on.
    took: Duration,
    lake: Arc<InMemory>,
}

/// Tells an engine to stop whose store is away from the operation on that comes after `sound` others, the tables
/// being open by then.
async fn stop_in_an_outage(failure: Failure, sound: u64) -> Stopped {
    let lake = Arc::new(InMemory::new());
    let store = FailingFrom::on(lake.clone(), failure, u64::MAX);
    let (source, orders) = LogSource::new(&topic(), 5);
    assert!(orders.send(Order::Assign(vec![0, 1])).is_ok());
    let settings = unhurried();
    let tables = Tables::open(&lake_on(store.clone()), &settings).await.unwrap();
    store.fail_after(sound);
    let started = Instant::now();
    let ended = Engine::new(source, tables, &settings).unwrap().run(sleep(STOP_AFTER)).await;
    Stopped { ended, took: started.elapsed() - STOP_AFTER, lake }
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_in_an_outage_it_ends_in_time_and_a_later_start_completes_the_tables() {
    let limit = settings().speed.shutdown_timeout;
    let (mut in_time, mut too_late) = (0, 0);
    for sound in 0..60 {
        for failure in [Failure::Error, Failure::Hang] {
            let Stopped { ended, took, lake } = stop_in_an_outage(failure, sound).await;
            assert!(took <= limit, "{failure:?} after {sound}: {took:?}");
            match ended {
                Ok(()) => in_time += 1,
                Err(EngineError::OutOfTime(_)) => too_late += 1,
                Err(error) => panic!("{failure:?} after {sound}: {error}"),
            }
            run_to_end(lake_on(lake.clone()), &topic(), &settings()).await;
            let held = merged(held(&lake_on(lake)).await);
            assert_eq!(held, expected(&topic()), "{failure:?} after {sound}");
        }
    }
    assert!(in_time > 0 && too_late > 40, "{in_time} in time, {too_late} too late");
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_partitions_are_loaded_it_ends_without_an_error() {
    for failure in [Failure::Error, Failure::Hang] {
        let Stopped { ended, took, .. } = stop_in_an_outage(failure, 0).await;
        assert!(ended.is_ok() && took == settings().speed.shutdown_timeout, "{ended:?} {took:?}");
    }
}
