//! The settings as programs use them: one struct, made of the sections.
//!
//! Each section is defined in a module of its own, key by key: what a key means, its type, what its
//! value must be, and its default. A field is named like its key. `rules` holds the rules for texts.

pub mod batch;
pub mod event;
pub mod kafka;
pub mod lake;
pub mod maintain;
pub mod pipeline;
mod rules;
pub mod serving;
pub mod speed;
pub mod speed_limits;

use lake_model::EventFormat;

use crate::error::Problems;
use crate::given::Given;

use batch::Batch;
use event::Event;
use kafka::Kafka;
use lake::LakeSettings;
use maintain::Maintain;
use pipeline::Pipeline;
use serving::Serving;
use speed::Speed;
use speed_limits::SpeedLimits;

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
    /// Reads every section, and adds what is wrong to `problems`.
    pub(crate) fn read(given: &Given, problems: &mut Problems) -> Settings {
        Settings {
            pipeline: Pipeline::read(given, problems),
            event: Event::read(given, problems).into(),
            kafka: Kafka::read(given, problems),
            lake: LakeSettings::read(given, problems),
            speed: Speed::read(given, problems),
            batch: Batch::read(given, problems),
            maintain: Maintain::read(given, problems),
            serving: Serving::read(given, problems),
            speed_limits: SpeedLimits::read(given, problems),
        }
    }
}

/// The settings without any file, variable or flag.
impl Default for Settings {
    fn default() -> Settings {
        Settings::read(&Given::default(), &mut Problems::default())
    }
}
