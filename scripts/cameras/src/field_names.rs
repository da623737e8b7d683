//! The names that the fields of an event have in JSON, as the settings configure them.

/// The names of the four fields of an event, as JSON texts.
#[derive(Clone, Debug)]
pub struct FieldNames {
    pub(crate) camera: String,
    pub(crate) timestamp: String,
    pub(crate) speed: String,
    pub(crate) plate: String,
}

impl FieldNames {
    /// The fields called so.
    pub fn new(camera: &str, timestamp: &str, speed: &str, plate: &str) -> FieldNames {
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        FieldNames {
            camera: quoted(camera),
            timestamp: quoted(timestamp),
            speed: quoted(speed),
            plate: quoted(plate),
        }
    }

    /// An object of the required fields that are there: camera, timestamp and speed.
    pub(crate) fn object(&self, fields: &[Option<String>; 3]) -> String {
        let names = [&self.camera, &self.timestamp, &self.speed];
        let pairs = names.iter().zip(fields);
        let members: Vec<String> =
            pairs.filter_map(|(name, field)| Some(format!("{name}:{}", field.as_ref()?))).collect();
        format!("{{{}}}", members.join(","))
    }
}
