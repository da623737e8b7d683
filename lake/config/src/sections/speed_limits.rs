//! `[speed_limits]`: one limit for all cameras, and limits of single ones.

use std::collections::BTreeMap;

use lake_model::CameraId;

use crate::family::{NameError, Rules};
use crate::key::{section, unset};
use crate::kind::{Kmh, Optional};

section! {
    /// The cameras' speed limits, which `over_limit_count` counts by.
    pub struct SpeedLimits in "speed_limits" {
        /// The limit of cameras that have none of their own, in km/h. Not set by default: without any
        /// limit `over_limit_count` is null.
        default_kmh: Option<f64> = Optional(Kmh), unset(), such_as "90";
    }
    families {
        /// The limits of single cameras by id, in km/h. Ids keep their case, in variables too.
        cameras: BTreeMap<String, f64>, of f64 = Rules {
            kind: &Kmh,
            check_name: check_camera,
            is_secret: |_| false,
            keeps_case: true,
            examples: &[("KV12345", "60")],
        };
    }
}

impl SpeedLimits {
    /// The limit of a camera, in km/h: its own, or the default.
    pub fn kmh(&self, camera_id: &str) -> Option<f64> {
        self.cameras.get(camera_id).copied().or(self.default_kmh)
    }
}

fn check_camera(name: &str) -> Result<(), NameError> {
    match CameraId::is_valid(name) {
        true => Ok(()),
        false => Err(NameError::Malformed("a camera id of 1 to 128 bytes, not \".\" or \"..\"")),
    }
}
