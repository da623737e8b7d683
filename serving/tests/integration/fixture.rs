//! A lake in memory with a router on it, filled event by event as speed layer and batch would.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use lake_config::Serving;
use lake_config::Settings;
use lake_delta::data_file::NewFile;
use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitOutcome, DataFile, FileUse, Lake, TableLog, data_file};
use lake_model::speed::nearest_rank;
use lake_model::{
    Calendar, Day, KafkaPartition, Pane, Speed, TableVersion, Timestamp, Window, WindowSize,
};
use lake_runtime::telemetry;
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow, Quantiles, Status};
use lake_tables::file_kind::{AvgSpeedFile, ProvisionalGroup};
use lake_testing::stores::{Intercepted, Outage};
use lake_testing::{Observation, lake_on, provisional_rows};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use serving::{App, router};
use tower::ServiceExt;

/// An event as far as averages care.
#[derive(Clone, Debug)]
pub struct Event {
    pub camera: &'static str,
    pub kafka_partition: i32,
    pub time: Timestamp,
    pub speed: Speed,
}

/// An event of partition 0, at a time as on the wire, of so many thousandths of km/h.
pub fn event(camera: &'static str, time: &str, thousandths: u32) -> Event {
    let time = Timestamp::parse(time).unwrap();
    Event { camera, kafka_partition: 0, time, speed: Speed::from_thousandths(thousandths) }
}

impl Event {
    pub fn of_partition(self, kafka_partition: i32) -> Event {
        Event { kafka_partition, ..self }
    }
}

/// An answer with its body read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn content_type(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().unwrap()
    }

    /// The windows of an answer of 200.
    pub fn windows(&self) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()["windows"].as_array().unwrap().clone()
    }

    /// The averages of the windows as they are spelled, since `Value` reads numbers a trifle off.
    pub fn averages(&self) -> Vec<f64> {
        #[derive(Deserialize)]
        struct Windows<'a> {
            #[serde(borrow)]
            windows: Vec<Window<'a>>,
        }
        #[derive(Deserialize)]
        struct Window<'a> {
            #[serde(borrow)]
            avg_speed: &'a RawValue,
        }
        let answer: Windows = serde_json::from_str(&self.body).unwrap();
        answer.windows.iter().map(|window| window.avg_speed.get().parse().unwrap()).collect()
    }

    /// The starts of the windows.
    pub fn starts(&self) -> Vec<String> {
        let start = |window: &Value| window["window_start"].as_str().unwrap().to_owned();
        self.windows().iter().map(start).collect()
    }
}

pub struct Fixture {
    pub lake: Lake,
    pub outage: Arc<Intercepted<Outage>>,
    pub app: App,
    pub router: Router,
    calendar: Calendar,
    log: Option<TableLog>,
    events: Vec<Event>,
    limit: Option<Speed>,
}

impl Fixture {
    /// An empty table in UTC, loaded.
    pub async fn new() -> Fixture {
        let mut fixture = Fixture::without_table(&Settings::default());
        fixture.create_table().await;
        fixture.refresh().await;
        fixture
    }

    /// An empty table, loaded, whose days are those of a zone.
    pub async fn in_zone(zone: &str) -> Fixture {
        Fixture { calendar: Calendar::new(zone).unwrap(), ..Fixture::new().await }
    }

    /// An empty table, loaded, with settings changed from their defaults.
    pub async fn with_settings(change: impl FnOnce(&mut Serving)) -> Fixture {
        let mut settings = Settings::default();
        change(&mut settings.serving);
        let mut fixture = Fixture::without_table(&settings);
        fixture.create_table().await;
        fixture.refresh().await;
        fixture
    }

    /// A lake without the table.
    pub fn without_table(settings: &Settings) -> Fixture {
        let outage = Outage::on(Arc::new(InMemory::new()));
        let lake = lake_on(outage.clone());
        let recorder = telemetry::install_metrics("serving", &settings.pipeline.name);
        let app = App::new(&lake, settings, recorder);
        Fixture {
            router: router(app.clone()),
            lake,
            outage,
            app,
            calendar: Calendar::utc(),
            log: None,
            events: Vec::new(),
            limit: None,
        }
    }

    /// Configures a speed limit of all cameras for events that land from now on.
    pub fn limit(&mut self, thousandths: u32) {
        self.limit = Some(Speed::from_thousandths(thousandths));
    }

    pub async fn create_table(&mut self) {
        let log = TableLog::open_or_create(&self.lake, Table::AvgSpeed, &[]).await;
        self.log = Some(log.unwrap());
    }

    /// What the follower does every interval.
    pub async fn refresh(&self) {
        self.app.store().refresh().await.unwrap();
    }

    /// Lands events as the speed layer does, in one commit, and lets the store see it.
    pub async fn land(&mut self, events: impl IntoIterator<Item = Event>) {
        self.commit_provisional(events).await;
        self.refresh().await;
    }

    /// Lands events as the speed layer does, in one commit: files of groups that changed are rewritten.
    pub async fn commit_provisional(&mut self, events: impl IntoIterator<Item = Event>) {
        let new: Vec<Event> = events.into_iter().collect();
        self.events.extend(new.iter().cloned());
        let touched: Vec<_> = self.provisional(&new).into_keys().collect();
        let mut groups = self.provisional(&self.events);
        groups.retain(|group, _| touched.contains(group));
        let mut files = Vec::new();
        for (group, rows) in &groups {
            let new = group.new_file(self.lake.unique_id());
            files.push(self.write(new, rows).await);
        }
        let is_replaced = |file: &FileEntry| match AvgSpeedFile::tagged(file) {
            Some(AvgSpeedFile::Provisional(group)) => touched.contains(&group),
            _ => false,
        };
        self.commit(files, is_replaced).await;
    }

    /// Makes a day final as the batch does, from all of its events, and lets the store see it.
    pub async fn finalize(&mut self, day: &str) {
        let day = Day::parse(day).unwrap();
        let rows = self.finals(day);
        let mut files = Vec::new();
        for size in WindowSize::ALL {
            let rows: Vec<_> = rows.iter().filter(|row| row.window.size == size).cloned().collect();
            let id = self.lake.unique_id();
            let new = AvgSpeedFile::new_final(day, "run", size, id);
            files.push(self.write(new, &rows).await);
        }
        let folder = format!("event_date={day}/");
        self.commit(files, |file| file.path.starts_with(&folder)).await;
        self.refresh().await;
    }

    /// Commits a file of rows at any path.
    pub async fn add_file(&mut self, path: &str, day: &str, rows: &[AvgSpeedRow]) {
        let new = NewFile {
            path: path.to_owned(),
            partition: Some(Day::parse(day).unwrap()),
            file_use: FileUse::LongLived,
            tags: BTreeMap::new(),
        };
        let file = self.write(new, rows).await;
        self.commit(vec![file], |_| false).await;
    }

    /// The active files.
    pub fn paths(&self) -> Vec<String> {
        self.log.as_ref().unwrap().state().files().map(|file| file.path.clone()).collect()
    }

    /// Deletes a data file from the store, as vacuum does.
    pub async fn delete(&self, path: &str) {
        self.lake.table_store(Table::AvgSpeed).delete(&Path::from(path)).await.unwrap();
    }

    /// Damages a data file.
    pub async fn damage(&self, path: &str) {
        let size = self.log.as_ref().unwrap().state().file(path).unwrap().size;
        let garbage = PutPayload::from(vec![b'x'; usize::try_from(size).unwrap()]);
        let store = self.lake.table_store(Table::AvgSpeed);
        store.put(&Path::from(path), garbage).await.unwrap();
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.ask(Method::GET, uri).await
    }

    /// The averages of a camera; `from` and `to` go into the query as they are.
    pub async fn averages(&self, camera: &str, from: &str, to: &str, interval: &str) -> Answer {
        self.get(&format!("/kvfv/{camera}/avg-speed?from={from}&to={to}&interval={interval}")).await
    }

    pub async fn ask(&self, method: Method, uri: &str) -> Answer {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, body: String::from_utf8(body.into()).unwrap() }
    }

    /// The provisional rows of events by the file that they are in.
    fn provisional(&self, events: &[Event]) -> BTreeMap<ProvisionalGroup, Vec<AvgSpeedRow>> {
        let observed = events.iter().map(|event| Observation {
            camera: event.camera,
            kafka_partition: KafkaPartition(event.kafka_partition),
            time: event.time,
            speed: event.speed,
        });
        provisional_rows(&self.calendar, observed, |_| self.limit, self.lake.now())
    }

    fn finals(&self, day: Day) -> Vec<AvgSpeedRow> {
        let span = self.calendar.span(day);
        let mut speeds: BTreeMap<(&str, Window), Vec<Speed>> = BTreeMap::new();
        for event in self.events.iter().filter(|event| span.contains(event.time)) {
            for size in WindowSize::ALL {
                let window = span.window_at(size, event.time);
                speeds.entry((event.camera, window)).or_default().push(event.speed);
            }
        }
        let row = |((camera, window), speeds): ((&str, Window), Vec<Speed>)| {
            let mut pane = Pane::default();
            speeds.iter().for_each(|speed| pane.add(*speed, self.limit));
            let now = self.lake.now();
            AvgSpeedRow {
                kafka_partition: None,
                status: Status::Final,
                events_version: Some(TableVersion(1)),
                histogram: None,
                quantiles: exact(speeds),
                ..AvgSpeedRow::provisional(camera.into(), window, KafkaPartition(0), pane, now)
            }
        };
        speeds.into_iter().map(row).collect()
    }

    async fn write(&self, new: NewFile, rows: &[AvgSpeedRow]) -> DataFile {
        let batch = avg_speed::batch(rows);
        data_file::write(&self.lake, Table::AvgSpeed, new, &batch).await.unwrap()
    }

    async fn commit(&mut self, files: Vec<DataFile>, is_replaced: impl Fn(&FileEntry) -> bool) {
        let log = self.log.as_mut().unwrap();
        let replaced: Vec<_> =
            log.state().files().filter(|file| is_replaced(file)).cloned().collect();
        let commit = Commit::new(&self.lake, "TEST").add(files).remove(replaced);
        let outcome = log.try_commit(&commit).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
    }
}

/// Percentiles by nearest rank.
pub fn exact(mut speeds: Vec<Speed>) -> Quantiles {
    speeds.sort_unstable();
    let rank = |percent| nearest_rank(speeds.len() as u64, percent);
    Quantiles::by(|percent| speeds[usize::try_from(rank(percent)).unwrap() - 1])
}
