//! What ties a lake to one pipeline for as long as it lives: the time zone of its days, the topic by its name and by
//! Kafka's ids, and the pipeline's name, which is in the app ids of its offsets.
//!
//! All of them are properties of every table. A table that was created with others is refused, since its days or its
//! offsets would not be those of the settings. One that lacks a property, as earlier releases left out the pipeline's name
//! and Kafka's ids, is accepted, unless its offsets are of another pipeline, and is given it by the next speed layer that
//! opens it. Zones are equal if their days are, whatever they are called. A lake that holds nothing yet is anybody's: the
//! next speed layer that opens it makes it its own.

mod group;
mod rename;

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog, TableState};
use lake_model::{Calendar, KafkaPartition, TopicIdentity, ZoneRules};

use crate::txn::AppIds;
use crate::{Table, zone_rules};

/// The time zone whose days the tables count.
const TIME_ZONE: &str = "lambdalake.timezone";
/// The topic whose offsets the tables hold.
const TOPIC: &str = "lambdalake.topic";
/// The pipeline whose app ids the offsets have.
const PIPELINE: &str = "lambdalake.pipeline";
/// Kafka's ids of the topic and of the cluster.
const TOPIC_ID: &str = "lambdalake.kafkaTopicId";
const CLUSTER_ID: &str = "lambdalake.kafkaClusterId";

/// The pipeline that a lake belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeIdentity {
    pipeline: String,
    topic: String,
    time_zone: String,
    kafka: TopicIdentity,
}

impl LakeIdentity {
    /// The pipeline that the settings describe; which topic its topic is, is not known.
    pub fn of(settings: &Settings) -> LakeIdentity {
        LakeIdentity {
            pipeline: settings.pipeline.name.clone(),
            topic: settings.kafka.topic.clone(),
            time_zone: settings.pipeline.timezone.clone(),
            kafka: TopicIdentity::default(),
        }
    }

    /// The pipeline on this very topic.
    #[must_use]
    pub fn on(self, kafka: TopicIdentity) -> LakeIdentity {
        LakeIdentity { kafka, ..self }
    }

    /// The rules of the pipeline's time zone in the database that is part of this program. The lake may have others.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn bundled_rules(&self) -> Result<ZoneRules, LakeError> {
        let zone = &self.time_zone;
        ZoneRules::bundled(zone).map_err(|error| {
            LakeError::Configuration(format!("pipeline.timezone = {zone:?}: {error}"))
        })
    }

    /// The days of the pipeline by the rules in force at `state` of `events`. A lake of an earlier release has none until a
    /// speed layer has written them; until then those count that are part of this program.
    ///
    /// # Errors
    /// The rules can't be read, or the time zone is unknown.
    pub fn calendar_at(&self, events: &TableState) -> Result<Calendar, LakeError> {
        match zone_rules::calendar_of(events)? {
            Some(calendar) => Ok(calendar),
            None => self.bundled_rules().map(Calendar::of),
        }
    }

    /// The app ids of the pipeline's offsets.
    pub fn app_ids(&self) -> AppIds {
        AppIds::new(&self.pipeline, &self.topic)
    }

    /// The properties that a table of the lake is created with.
    pub fn properties(&self) -> Vec<(String, String)> {
        let of_settings =
            [(TIME_ZONE, &self.time_zone), (TOPIC, &self.topic), (PIPELINE, &self.pipeline)];
        let of_kafka = [(TOPIC_ID, &self.kafka.topic_id), (CLUSTER_ID, &self.kafka.cluster_id)];
        let of_kafka = of_kafka.into_iter().filter_map(|(name, id)| Some((name, id.as_ref()?)));
        let all = of_settings.into_iter().chain(of_kafka);
        all.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// Opens the log of `table`.
    ///
    /// # Errors
    /// The table does not exist, can't be read, or belongs to another pipeline.
    pub async fn open(&self, lake: &Lake, table: Table) -> Result<TableLog, LakeError> {
        let log = TableLog::open(lake, table).await?;
        self.check(&log)?;
        Ok(log)
    }

    /// Checks that the lake, if there is one, is the pipeline's, by its table `events`, or holds nothing yet.
    ///
    /// # Errors
    /// The table can't be read, or belongs to another pipeline.
    pub async fn check_lake(&self, lake: &Lake) -> Result<(), LakeError> {
        match TableLog::open_if_exists(lake, Table::Events).await? {
            Some(log) => self.check_or_unused(&log).await,
            None => Ok(()),
        }
    }

    /// Checks that `log` is the pipeline's, or holds nothing in a lake that holds nothing of another pipeline: what was
    /// tried first with other settings stands in nobody's way.
    async fn check_or_unused(&self, log: &TableLog) -> Result<(), LakeError> {
        let Err(of_another) = self.check(log) else { return Ok(()) };
        if !is_unused(log.state()) {
            return Err(of_another);
        }
        for table in Table::ALL {
            if let Some(other) = TableLog::open_if_exists(log.lake(), table).await?
                && !is_unused(other.state())
            {
                self.check(&other)?;
            }
        }
        Ok(())
    }

    /// Makes an unused table that another pipeline created the pipeline's. Decided on the version that is committed on:
    /// where somebody has written to it meanwhile, it stays as it is.
    async fn claim(
        &self,
        log: &mut TableLog,
        properties: &[(String, String)],
    ) -> Result<(), LakeError> {
        let claimed = log.change_properties_and_txns("CLAIM TABLE", |state| {
            let is_other = |(name, value): &&(String, String)| state.property(name) != Some(value);
            let changed = properties.iter().filter(is_other).filter(|_| is_unused(state));
            (changed.cloned().collect(), Vec::new())
        });
        if claimed.await? {
            tracing::info!(
                table = %log.table(),
                "the lake was made with other settings and holds nothing: it is the pipeline's now"
            );
        }
        self.check(log)
    }

    /// Opens the log of `table`, which is created if it is missing, and completed if an earlier release created it.
    ///
    /// # Errors
    /// The table can't be read or created, or belongs to another pipeline.
    pub async fn open_or_create(&self, lake: &Lake, table: Table) -> Result<TableLog, LakeError> {
        self.open_or_create_with(lake, table, None).await
    }

    /// As [`LakeIdentity::open_or_create`]; a table that is created has the property `more` too. With `events` the lake
    /// gets its id.
    ///
    /// # Errors
    /// As there.
    pub async fn open_or_create_with(
        &self,
        lake: &Lake,
        table: Table,
        more: Option<(String, String)>,
    ) -> Result<TableLog, LakeError> {
        let properties: Vec<_> = self.properties().into_iter().chain(more).collect();
        let lake_id = (table == Table::Events).then(|| group::new_lake_id(lake));
        let at_creation: Vec<_> = properties.iter().cloned().chain(lake_id).collect();
        let mut log = TableLog::open_or_create(lake, table, &at_creation).await?;
        self.check_or_unused(&log).await?;
        if self.check(&log).is_err() {
            self.claim(&mut log, &properties).await?;
        }
        log.complete_properties(&self.properties()).await?;
        Ok(log)
    }

    /// Checks that `log` is the pipeline's.
    ///
    /// # Errors
    /// It belongs to another one.
    pub fn check(&self, log: &TableLog) -> Result<(), LakeError> {
        let property = |name| log.state().property(name).map(str::to_owned);
        let zone =
            property(TIME_ZONE).filter(|zone| *zone != self.time_zone && !self.has_days_of(zone));
        refuse(log, "pipeline.timezone", &self.time_zone, zone)?;
        refuse(log, "kafka.topic", &self.topic, property(TOPIC))?;
        let of_offsets = || self.app_ids().other_pipeline(log.state());
        refuse(log, "pipeline.name", &self.pipeline, property(PIPELINE).or_else(of_offsets))?;
        self.check_topic(log, &self.kafka)
    }

    /// Checks that `found` is the topic whose offsets `log` holds.
    ///
    /// # Errors
    /// It is another one of the same name.
    pub fn check_topic(&self, log: &TableLog, found: &TopicIdentity) -> Result<(), LakeError> {
        let property = |name| log.state().property(name).map(str::to_owned);
        let held = TopicIdentity { cluster_id: property(CLUSTER_ID), topic_id: property(TOPIC_ID) };
        if held.may_be(found) {
            return Ok(());
        }
        Err(LakeError::Configuration(format!(
            "kafka.topic = {:?}: Kafka has {found} by that name, but table {} at {} holds offsets of {held}. It was \
             deleted and created again, or kafka.brokers names another cluster; its records have other offsets. Set \
             another lake.uri for them",
            self.topic,
            log.table(),
            log.lake().uri(),
        )))
    }

    /// Checks that the topic has every partition that `log` holds offsets of.
    ///
    /// # Errors
    /// It lacks one: Kafka never takes one away, so it is another topic.
    pub fn check_partitions(
        &self,
        log: &TableLog,
        has_partition: impl Fn(KafkaPartition) -> bool,
    ) -> Result<(), LakeError> {
        let held = self.app_ids().partitions(log.state());
        let missing = held.into_iter().find(|(partition, _)| !has_partition(*partition));
        let Some((partition, next)) = missing else { return Ok(()) };
        Err(LakeError::Configuration(format!(
            "kafka.topic = {:?}: Kafka's topic has no partition {partition}, but table {} at {} holds its offsets before \
             {next}. It was created again with fewer partitions, or kafka.brokers names another cluster. Set another \
             lake.uri for it",
            self.topic,
            log.table(),
            log.lake().uri(),
        )))
    }

    /// Whether the days of the zone called `name` are the pipeline's.
    fn has_days_of(&self, name: &str) -> bool {
        let rules = ZoneRules::bundled(name).ok().zip(ZoneRules::bundled(&self.time_zone).ok());
        rules.is_some_and(|(one, other)| one.has_days_of(&other))
    }
}

/// Checks that `log` is still of the pipeline and the topic of `app_ids`: an unused table may have been claimed meanwhile.
///
/// # Errors
/// It is another one's.
pub fn check_claim(log: &TableLog, app_ids: &AppIds) -> Result<(), LakeError> {
    let property = |name| log.state().property(name).map(str::to_owned);
    refuse(log, "kafka.topic", app_ids.topic(), property(TOPIC))?;
    refuse(log, "pipeline.name", app_ids.pipeline(), property(PIPELINE))
}

/// Whether nothing has ever landed in a table: it has no files, and its transactions say at most who owns partitions.
fn is_unused(state: &TableState) -> bool {
    let says_nothing = |(app_id, version): (&str, i64)| version == 0 || AppIds::is_owner(app_id);
    state.files().next().is_none() && state.txns().all(says_nothing)
}

/// Refuses a table that was made with something else than what the settings say.
fn refuse(
    log: &TableLog,
    key: &str,
    value: &str,
    made_with: Option<String>,
) -> Result<(), LakeError> {
    match made_with {
        Some(found) if found != value => Err(LakeError::Configuration(format!(
            "{key} = {value:?}, but table {} at {} was made with {found:?}; set {key} = {found:?} or \
             another lake.uri",
            log.table(),
            log.lake().uri(),
        ))),
        _ => Ok(()),
    }
}
