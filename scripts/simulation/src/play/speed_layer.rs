//! Situations of the speed layer: zombies, fences, restarts, windows that close.

use std::time::Duration;

use lake_model::KafkaPartition;

use crate::director::Director;
use crate::process::Death;
use crate::producer::{HOUR_US, MINUTE_US};

/// Dead letters that land ahead of the events.
const LETTERS_AHEAD: usize = 5;

pub(super) async fn zombie(director: &mut Director) {
    director.fill_slots();
    director.producer.burst(25);
    director.settle(Duration::from_millis(1_200)).await;
    // What it is to commit when it wakes.
    director.producer.burst(15);
    director.settle(Duration::from_millis(200)).await;
    let Some(name) = director.freeze_an_owner() else { return };
    director.producer.burst(15);
    // Long enough for its expulsion, and for others to take its partitions and commit.
    for _ in 0..80 {
        director.settle(Duration::from_millis(500)).await;
        let owners = director.world.broker.owners();
        let is_out = owners.iter().all(|(owner, _)| *owner != name);
        if is_out && owners.iter().any(|(_, partitions)| !partitions.is_empty()) {
            break;
        }
    }
    director.producer.burst(10);
    let wait = Duration::from_millis(director.below(4_000));
    director.settle(wait).await;
    director.thaw(&name);
    director.settle(Duration::from_secs(3)).await;
}

pub(super) async fn seldom_writer(director: &mut Director) {
    director.fill_slots();
    director.world.broker.add_partition();
    director.settle(Duration::from_secs(6)).await;
    let owners = director.world.broker.owners();
    let mut partitions = owners.iter().filter_map(|(_, owned)| owned.first().copied());
    let (Some(seldom), Some(often)) = (partitions.next(), partitions.next()) else { return };
    // Entries go with a checkpoint once they are old enough.
    let kept_us = i64::try_from(director.world.settings.lake.log_retention.as_micros());
    let end_us = director.world.clock.now_us() + 2 * kept_us.unwrap_or(0).min(6 * HOUR_US);
    while director.world.clock.now_us() < end_us {
        director.producer.bad_ones(often, 1);
        director.settle(Duration::from_millis(800)).await;
    }
    director.producer.bad_ones(seldom, 2);
    director.settle(Duration::from_secs(4)).await;
}

pub(super) async fn fenced_while_fetching(director: &mut Director) {
    for _ in 0..5 {
        let partition = director.any_partition();
        if let Some(reset) = director.reset_watermark(partition) {
            director.world.faults.spare(reset.name());
        }
        // There is always something that is fetched and not landed, and something that is not fetched yet.
        for _ in 0..8 {
            let now_us = director.world.clock.now_us();
            director.producer.events_at(partition, now_us, MINUTE_US, 2);
            let wait = Duration::from_millis(director.below(250));
            director.settle(wait).await;
        }
    }
}

pub(super) async fn different_offsets(director: &mut Director) {
    // Dies once it has committed to one of the tables and not to the other.
    let path = ["events/_delta_log/", "avg_speed/_delta_log/"]
        [usize::try_from(director.below(2)).unwrap_or(0)];
    let death = Death::Put { path, nth: 1, after_effect: true };
    director.doom_all(death);
    director.producer.burst(20);
    director.settle(Duration::from_secs(12)).await;
}

pub(super) async fn cut_below_landed(director: &mut Director) {
    let partition = director.any_partition();
    director.producer.burst(20);
    director.settle(Duration::from_secs(9)).await;
    let mut most = 15;
    if director.below(2) == 0 {
        dead_letters_ahead(director, partition).await;
        most = LETTERS_AHEAD as u64;
    }
    let offsets = director.below(most) + 2;
    director.world.broker.cut(partition, i64::try_from(offsets).unwrap_or(2));
    for _ in 0..6 {
        let now_us = director.world.clock.now_us();
        director.producer.events_at(partition, now_us, MINUTE_US, 4);
        let wait = Duration::from_millis(director.below(2_500));
        director.settle(wait).await;
    }
}

/// Ends instances once they have landed the partition's dead letters, and its events not yet.
async fn dead_letters_ahead(director: &mut Director, partition: KafkaPartition) {
    let path = "dead_letters/_delta_log/";
    director.doom_all(Death::Put { path, nth: 1, after_effect: true });
    director.producer.bad_ones(partition, LETTERS_AHEAD);
    for _ in 0..100 {
        director.settle(Duration::from_millis(100)).await;
        let next = |table| director.world.next_offset(table, partition);
        if next("dead_letters") > next("events") {
            director.world.trace.count("dead letters ahead of events");
            break;
        }
    }
}

pub(super) async fn closed_window(director: &mut Director) {
    let settings = &director.world.settings;
    let lateness_us = i64::try_from(settings.speed.allowed_lateness.as_micros()).unwrap_or(0);
    // The first 5 minutes of an hour are closed by a watermark within that hour, shifted by the lateness.
    let now_us = director.world.clock.now_us();
    let hour_us = (now_us - lateness_us).div_euclid(HOUR_US) * HOUR_US - HOUR_US;
    let partition = director.world.broker.add_partition();
    let window_us = hour_us + 2 * MINUTE_US;
    director.producer.events_at(partition, window_us, MINUTE_US, 4);
    director.settle(Duration::from_secs(6)).await;
    director.producer.events_at(partition, hour_us + lateness_us + 20 * MINUTE_US, MINUTE_US, 2);
    director.settle(Duration::from_secs(6)).await;
    director.kill_all();
    director.settle(Duration::from_secs(2)).await;
    // Of these the first are late, and the others belong to the same file.
    director.producer.events_at(partition, window_us, MINUTE_US, 3);
    director.producer.events_at(partition, hour_us + 40 * MINUTE_US, 10 * MINUTE_US, 4);
    director.settle(Duration::from_secs(8)).await;
}
