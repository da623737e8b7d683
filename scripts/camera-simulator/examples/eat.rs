//! x
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::*;
use std::time::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let every = Duration::from_millis(a[2].parse().unwrap());
    let count: u64 = a[3].parse().unwrap();
    let mut c = ClientConfig::new();
    c.set("bootstrap.servers", &a[1])
        .set("group.id", "camera-speeds")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    for kv in &a[4..] {
        let (k, v) = kv.split_once('=').unwrap();
        c.set(k, v);
    }
    let c: BaseConsumer = c.create().unwrap();
    c.subscribe(&["camera-events"]).unwrap();
    let (mut n, mut bytes) = (0u64, 0);
    let mut start = Instant::now();
    let mut last = Instant::now();
    while n < count {
        if let Some(m) = c.poll(Duration::from_millis(20)) {
            let m = m.unwrap();
            if n == 0 {
                println!("first after {:?}", start.elapsed());
                start = Instant::now();
                last = start;
            }
            n += 1;
            bytes += m.payload().map_or(0, <[u8]>::len);
        }
        if n > 0 && last.elapsed() >= every {
            last = Instant::now();
            c.commit_consumer_state(CommitMode::Sync).unwrap();
        }
    }
    c.commit_consumer_state(CommitMode::Sync).unwrap();
    let s = start.elapsed().as_secs_f64();
    println!("{n} records, {bytes} bytes in {s:.2}s = {:.0}/s", n as f64 / s);
}
