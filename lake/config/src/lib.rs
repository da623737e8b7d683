//! The settings of every program: one file, the environment and flags, made into one checked struct.
//!
//! Data flows through it in five steps:
//! 1. `source` gathers what is given: `lakehouse.toml` flattened to dotted keys, then environment
//!    variables (`LAKEHOUSE__KAFKA__BROKERS` is `kafka.brokers`), then flags. The later one wins.
//! 2. `keys` is the one table of keys: name, kind, default and documentation. What it does not
//!    hold is an error that suggests the nearest key.
//! 3. `kind` reads a value of each kind and says what it expects.
//! 4. `values` reads every key and family of keys; `sections` holds the outcome.
//! 5. `checks` compares settings with each other; `storage` those of S3, with the `AWS_…` variables.
//!
//! `sample` writes the table out as the documented `lakehouse.toml`.
//!
//! Every step adds what it finds to one list, so that a single run reports all there is to correct.
//! Nothing here reads the process's environment except [`environment`].

mod checks;
mod error;
mod keys;
mod kind;
mod properties;
mod sample;
mod sections;
mod source;
mod storage;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;

use lake_model::EventFormat;

pub use error::{Problem, SettingsError};
pub use properties::Properties;
pub use sample::sample_file;
pub use sections::{
    Batch, Kafka, LakeSettings, Maintain, OnDataLoss, Pipeline, Serving, Speed, SpeedLimits,
};

use error::Problems;
use source::Given;
use values::Values;

/// The file that is read when no other is named, in the current directory.
pub const DEFAULT_FILE: &str = "lakehouse.toml";

/// Every setting, checked. Secrets are left out of its `Debug` form.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What the pipeline is called, and whose days it counts.
    pub pipeline: Pipeline,
    /// What an event looks like on the wire.
    pub event: EventFormat,
    /// Where events come from.
    pub kafka: Kafka,
    /// Where the tables are.
    pub lake: LakeSettings,
    /// How the speed layer paces itself.
    pub speed: Speed,
    /// When and how days are made final.
    pub batch: Batch,
    /// Compaction and retention.
    pub maintain: Maintain,
    /// The HTTP server.
    pub serving: Serving,
    /// The cameras' speed limits.
    pub speed_limits: SpeedLimits,
}

impl Settings {
    /// Settings from the defaults, a file, environment variables and `(key, value)` overrides from
    /// flags; the later one wins. Without `config` the file is [`DEFAULT_FILE`], if there is one.
    ///
    /// # Errors
    /// All that makes the configuration unusable: a file that cannot be read, unknown keys, values
    /// of the wrong kind or out of range, and settings that contradict each other.
    pub fn load(
        config: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
    ) -> Result<Settings, SettingsError> {
        let mut problems = Problems::default();
        let given = Given::gather(config, env, overrides, &mut problems);
        given.report_unknown(&mut problems);
        let mut settings = sections::build(&Values::read(&given, &mut problems));
        if given.is_whole() {
            checks::run(&settings, &given, &mut problems);
            storage::complete(&mut settings.lake, &given, &mut problems);
        }
        problems.into_result(settings)
    }
}

/// The settings without any file, variable or flag.
impl Default for Settings {
    fn default() -> Settings {
        sections::build(&Values::read(&Given::default(), &mut Problems::default()))
    }
}

/// The environment variables of this process that [`Settings::load`] reads. What is not UTF-8 is
/// read with replacement characters, so that it is refused where it matters.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()))
        .filter(|(name, _): &(String, String)| source::is_read(name))
}
