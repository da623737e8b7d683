//! The settings of every program: one file, the environment and flags, made into one checked struct.
//!
//! A key is defined once, in the module of its section under `sections`: its documentation, type,
//! bounds and default make the field of the struct, the checks and messages, and the documented
//! `lakehouse.toml`, which `sample` writes out.
//!
//! Data flows through it in four steps:
//! 1. `gather` collects what is given: `lakehouse.toml` flattened to dotted keys, then environment
//!    variables (`LAKEHOUSE__KAFKA__BROKERS` is `kafka.brokers`), then flags. The later one wins. A
//!    key that the `table` of all keys does not hold is an error that suggests the nearest key.
//! 2. `sections` reads every `key` and `family` of keys as its `kind` says.
//! 3. `checks` compares settings with each other.
//! 4. `storage` checks the options of S3, and adds those of the `AWS_…` variables.
//!
//! Every step adds what it finds to one list, so that a single run reports all there is to correct.
//! That is why neither serde's derive nor a library such as figment or config reads the settings:
//! they stop at the first fault, and know neither bounds, remedies nor documentation.
//!
//! Modules use only those to the right of them: `checks`, `storage`, `sample`, `gather` → `nearest` →
//! `table` → `sections` → `key` → `family` → `kind`, `error`, `given` → `entry` → `units`, `similar`,
//! `properties`.
//!
//! Nothing here reads the process's environment except [`environment`].

mod checks;
mod entry;
mod error;
mod family;
mod gather;
mod given;
mod key;
mod kind;
mod nearest;
mod properties;
mod sample;
mod sections;
mod similar;
mod storage;
mod table;
mod units;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::{Problem, SettingsError};
pub use gather::DEFAULT_FILE;
pub use properties::{Properties, describe_property};
pub use sample::sample_file;
pub use sections::Settings;
pub use sections::batch::Batch;
pub use sections::kafka::{Kafka, OnDataLoss};
pub use sections::lake::LakeSettings;
pub use sections::maintain::Maintain;
pub use sections::pipeline::Pipeline;
pub use sections::serving::Serving;
pub use sections::speed::Speed;
pub use sections::speed_limits::SpeedLimits;
pub use similar::closest;

use error::Problems;

impl Settings {
    /// Settings from the defaults, a file, environment variables and `(key, value)` overrides from
    /// flags; the later one wins. Without `config` the file is [`DEFAULT_FILE`], if there is one. A relative path of the lake
    /// becomes one from the folder of the file, so that a pipeline's programs find the same lake wherever they are started.
    ///
    /// # Errors
    /// All that makes the configuration unusable: a file that cannot be read, unknown keys, values
    /// of the wrong kind or out of range, and settings that contradict each other.
    pub fn load(
        config: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
    ) -> Result<Settings, SettingsError> {
        let mut settings = Settings::load_as_written(config, env, overrides)?;
        let folder = config.unwrap_or(Path::new(DEFAULT_FILE)).parent();
        sections::lake::resolve(&mut settings.lake.uri, folder.unwrap_or(Path::new("")));
        Ok(settings)
    }

    /// As [`Settings::load`], with a relative `lake.uri` as it is written.
    fn load_as_written(
        config: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
    ) -> Result<Settings, SettingsError> {
        let mut problems = Problems::default();
        let given = gather::gather(config, env, overrides, &mut problems);
        gather::report_unknown(&given, &mut problems);
        let mut settings = Settings::read(&given, &mut problems);
        if !given.file_failed {
            checks::run(&settings, &given, &mut problems);
            storage::complete(&mut settings.lake, &given, &mut problems);
        }
        problems.into_result(settings)
    }
}

/// The environment variables of this process that [`Settings::load`] reads. What is not UTF-8 is
/// read with replacement characters, so that it is refused where it matters.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()))
        .filter(|(name, _): &(String, String)| gather::is_read(name))
}

/// The end of a program's `--help`: its own text, and where settings are documented.
pub fn with_settings_help(text: &str) -> String {
    format!("{text}\n\n{SETTINGS_HELP}")
}

const SETTINGS_HELP: &str = "\
Settings: the lakehouse.toml that comes with the source documents every key with its default.
Environment variables override the file: LAKEHOUSE__KAFKA__BROKERS for kafka.brokers.";
