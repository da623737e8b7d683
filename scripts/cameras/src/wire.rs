//! Deliveries as Kafka payloads: JSON objects with the configured names of the fields.
//!
//! The same delivery is always the same bytes, so that a duplicate repeats its event exactly.

use std::io::Write;

use lake_model::Timestamp;

use crate::bad::{self, Required};
use crate::field_names::FieldNames;
use crate::generator::{Delivery, Kind};
use crate::world::{Sighting, World};

/// Writes deliveries as payloads.
#[derive(Clone, Debug)]
pub struct Wire {
    names: FieldNames,
}

impl Wire {
    /// Writes events with these names.
    pub fn new(names: FieldNames) -> Wire {
        Wire { names }
    }

    /// Replaces `out` by the payload of `delivery`. False if its record has no payload.
    pub fn write(&self, world: &World, delivery: &Delivery, out: &mut Vec<u8>) -> bool {
        out.clear();
        let sighting = &delivery.sighting;
        if let Kind::Bad(kind) = delivery.kind {
            let good = Required {
                camera: format!("\"{}\"", world.camera(sighting).id),
                timestamp: format!("\"{}\"", Timestamp::from_millis(sighting.event_ms)),
                speed: speed_text(sighting),
            };
            return bad::write(kind, good, &self.names, delivery.arrival_ms, sighting.detail, out);
        }
        self.write_event(world, sighting, out).expect("writing to memory does not fail");
        true
    }

    fn write_event(
        &self,
        world: &World,
        sighting: &Sighting,
        out: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        let camera = world.camera(sighting);
        write!(out, "{{{}:\"{}\",", self.names.camera, camera.id)?;
        write!(out, "{}:\"{}\",", self.names.timestamp, Timestamp::from_millis(sighting.event_ms))?;
        let (kmh, tenths) = (sighting.speed_tenths / 10, sighting.speed_tenths % 10);
        write!(out, "{}:{kmh}.{tenths}", self.names.speed)?;
        match sighting.plate {
            Some(plate) => {
                write!(out, ",{}:\"", self.names.plate)?;
                world.write_plate(plate, out);
                out.push(b'"');
            }
            None if sighting.detail & 1 == 0 => write!(out, ",{}:null", self.names.plate)?,
            None => {}
        }
        // A quarter of the events name the lane, an eighth the direction.
        if sighting.detail & 0b0110 == 0 {
            write!(out, ",\"lane\":{}", sighting.detail / 64 % camera.lanes + 1)?;
        }
        if sighting.detail & 0b11_1000 == 0 {
            write!(out, ",\"direction\":\"{}\"", camera.direction)?;
        }
        out.push(b'}');
        Ok(())
    }
}

fn speed_text(sighting: &Sighting) -> String {
    format!("{}.{}", sighting.speed_tenths / 10, sighting.speed_tenths % 10)
}

#[cfg(test)]
mod tests;
