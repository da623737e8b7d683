//! The tables that the speed layer writes, opened and checked against the settings.

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog};
use lake_model::{Calendar, ZoneRules};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use lake_tables::txn::AppIds;
use lake_tables::zone_rules::{ZONE_RULES, text};

use crate::zone_rules;

/// The tables that offsets are kept in, that one first which shows soonest that another writer has moved a partition.
pub const WRITTEN: [Table; 4] =
    [Table::Events, Table::AvgSpeed, Table::DeadLetters, Table::OffsetGaps];

/// The logs of the tables.
#[derive(Debug)]
pub struct Tables {
    /// Accepted events.
    pub events: TableLog,
    /// Records that can't be events.
    pub dead_letters: TableLog,
    /// Offsets without a record.
    pub offset_gaps: TableLog,
    /// Averages.
    pub avg_speed: TableLog,
    /// The names of the offsets in their logs.
    pub app_ids: AppIds,
    identity: LakeIdentity,
}

impl Tables {
    /// Opens the tables, or creates those that are missing, and brings the rules of their time zone up to date with those
    /// that are part of this program.
    ///
    /// # Errors
    /// A store that fails, and tables of another pipeline.
    pub async fn open(lake: &Lake, settings: &Settings) -> Result<Tables, LakeError> {
        Tables::open_as(lake, LakeIdentity::of(settings)).await
    }

    /// As [`Tables::open`], of the pipeline that `identity` says.
    ///
    /// # Errors
    /// As there.
    pub async fn open_as(lake: &Lake, identity: LakeIdentity) -> Result<Tables, LakeError> {
        let rules = identity.bundled_rules()?;
        Tables::open_with_rules(lake, identity, &rules).await
    }

    /// As [`Tables::open`], by a program whose time-zone database has these rules.
    ///
    /// # Errors
    /// As there.
    pub async fn open_with_rules(
        lake: &Lake,
        identity: LakeIdentity,
        rules: &ZoneRules,
    ) -> Result<Tables, LakeError> {
        let of_program = (ZONE_RULES.to_owned(), text(&Calendar::of(rules.clone())));
        let avg_speed =
            identity.open_or_create_with(lake, Table::AvgSpeed, Some(of_program)).await?;
        // Who was the first to create a table has decided on the rules of the others too.
        let rules_of_lake = avg_speed.state().property(ZONE_RULES).map(str::to_owned);
        let rules_of_lake = rules_of_lake.map(|rules| (ZONE_RULES.to_owned(), rules));
        let open =
            async |table| identity.open_or_create_with(lake, table, rules_of_lake.clone()).await;
        // Whoever reads finds every table from the first start on.
        let mut batch_runs = open(Table::BatchRuns).await?;
        let mut tables = Tables {
            events: open(Table::Events).await?,
            dead_letters: open(Table::DeadLetters).await?,
            offset_gaps: open(Table::OffsetGaps).await?,
            avg_speed,
            app_ids: identity.app_ids(),
            identity,
        };
        zone_rules::bring_up_to_date(&mut tables, &mut batch_runs, rules).await?;
        Ok(tables)
    }

    /// The days by the rules in force, as the log of `events` was followed last.
    ///
    /// # Errors
    /// The rules can't be read.
    pub fn calendar(&self) -> Result<Calendar, LakeError> {
        self.identity.calendar_at(self.events.state())
    }

    /// The log of `table`, which is one of those that offsets are kept in.
    pub fn log(&self, table: Table) -> &TableLog {
        match table {
            Table::Events => &self.events,
            Table::DeadLetters => &self.dead_letters,
            Table::OffsetGaps => &self.offset_gaps,
            Table::AvgSpeed => &self.avg_speed,
            Table::BatchRuns => unreachable!("the speed layer commits nothing there"),
        }
    }

    /// Follows every log to its newest version.
    ///
    /// # Errors
    /// A store that fails, and tables that belong to another pipeline by now.
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        for log in
            [&mut self.events, &mut self.dead_letters, &mut self.offset_gaps, &mut self.avg_speed]
        {
            if log.refresh().await? {
                self.identity.check(log)?;
            }
        }
        Ok(())
    }
}
