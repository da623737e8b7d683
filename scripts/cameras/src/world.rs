//! The simulated world: cameras with a speed limit and habits of their own, and the plates that pass.
//!
//! A [`Sighting`] is a few numbers; names, plates and texts follow from them and the world, so that millions
//! of sightings can wait in memory for their late arrival.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Letters on Russian plates: those that look alike in Cyrillic and Latin script.
const PLATE_LETTERS: [char; 12] = ['А', 'В', 'Е', 'К', 'М', 'Н', 'О', 'Р', 'С', 'Т', 'У', 'Х'];
/// Region codes on plates.
const PLATE_REGIONS: [u16; 12] = [23, 50, 54, 77, 78, 97, 99, 116, 161, 177, 197, 777];
/// Speed limits in km/h, the more frequent ones more often.
const LIMITS_KMH: [u16; 8] = [50, 60, 60, 60, 80, 80, 90, 110];
const DIRECTIONS: [&str; 4] = ["N", "E", "S", "W"];

/// Sets the randomness of the world apart from that of the events, which have the same seed.
const WORLD_STREAM: u64 = 0x0077_6f72_6c64_0000;
/// One in this many sightings has no readable plate.
const UNREADABLE_PLATES: u32 = 100;
/// The greatest speed drawn, in tenths of km/h.
const MAX_SPEED_TENTHS: f64 = 2500.0;
/// By how much of their speed cars slow down on a congested road.
const CONGESTION_LOSS: f64 = 0.3;

/// What a camera saw, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// Event time in milliseconds since 1970.
    pub event_ms: i64,
    /// Index of the camera in its [`World`].
    pub camera: u32,
    /// Index of the plate in its [`World`], if it could be read.
    pub plate: Option<u32>,
    /// Speed in tenths of km/h.
    pub speed_tenths: u16,
    /// Random bits that choose extra fields, and the details of a bad record.
    pub detail: u8,
}

/// A camera and the habits of those who pass it.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Its id on the wire.
    pub id: String,
    /// Speed limit in km/h.
    pub limit_kmh: u16,
    /// Lanes it watches.
    pub lanes: u8,
    /// The direction it looks to.
    pub direction: &'static str,
    /// Mean speed on a free road, km/h.
    mean_kmh: f64,
    /// Standard deviation of speeds, km/h.
    spread_kmh: f64,
    /// Share of drivers who mind no limit.
    speeders: f64,
}

/// The cameras, how busy each is, and the plates.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    cameras: Vec<Camera>,
    /// Upper bounds of each camera's share of traffic, in 2^32nds.
    busy: Vec<u32>,
    plates: u32,
    plate_seed: u64,
}

impl World {
    /// A world of `cameras` cameras and `plates` plates, the same for the same seed.
    pub fn new(seed: u64, cameras: u32, plates: u32) -> World {
        let mut random = SmallRng::seed_from_u64(seed ^ WORLD_STREAM);
        let list: Vec<Camera> =
            (0..cameras).map(|index| Camera::draw(index, &mut random)).collect();
        let traffic: Vec<f64> = list.iter().map(|_| 0.4 + 1.6 * random.random::<f64>()).collect();
        let plate_seed = random.random();
        World { cameras: list, busy: cumulated(&traffic), plates: plates.max(1), plate_seed }
    }

    /// The cameras in order of their indices.
    pub fn cameras(&self) -> &[Camera] {
        &self.cameras
    }

    /// The camera that made a sighting.
    pub fn camera(&self, sighting: &Sighting) -> &Camera {
        &self.cameras[sighting.camera as usize]
    }

    /// Draws a car passing some camera at `event_ms`; `congestion` is from 0 to 1.
    pub fn draw(&self, event_ms: i64, congestion: f64, random: &mut SmallRng) -> Sighting {
        let share: u32 = random.random();
        let index = self.busy.partition_point(|bound| *bound < share).min(self.busy.len() - 1);
        let speed_tenths = self.cameras[index].draw_speed(congestion, random);
        let plate = random.random_range(0..self.plates);
        let readable = !random.random_ratio(1, UNREADABLE_PLATES);
        let camera = u32::try_from(index).unwrap_or(u32::MAX);
        let plate = readable.then_some(plate);
        Sighting { event_ms, camera, plate, speed_tenths, detail: random.random() }
    }

    /// Appends the text of a plate, such as `А123ВС77`.
    pub fn write_plate(&self, plate: u32, out: &mut Vec<u8>) {
        let bits = mix(self.plate_seed.wrapping_add(u64::from(plate)));
        let letter = |shift: u32| pick(&PLATE_LETTERS, bits >> shift);
        let number = (bits >> 40) % 999 + 1;
        let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        push(letter(0));
        for digit in [number / 100, number / 10 % 10, number % 10] {
            push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
        }
        push(letter(8));
        push(letter(16));
        let region = pick(&PLATE_REGIONS, bits >> 24);
        out.extend_from_slice(region.to_string().as_bytes());
    }
}

impl Camera {
    fn draw(index: u32, random: &mut SmallRng) -> Camera {
        let limit_kmh = LIMITS_KMH[random.random_range(0..LIMITS_KMH.len())];
        let limit = f64::from(limit_kmh);
        Camera {
            id: format!("KV{}", 10_001 + u64::from(index)),
            limit_kmh,
            lanes: random.random_range(1..=4),
            direction: DIRECTIONS[random.random_range(0..DIRECTIONS.len())],
            mean_kmh: limit * random.random_range(0.82..0.97),
            spread_kmh: limit * random.random_range(0.06..0.12),
            speeders: random.random_range(0.005..0.04),
        }
    }

    /// A speed in tenths of km/h: around the mean, less on a congested road, far beyond the limit for a few.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    fn draw_speed(&self, congestion: f64, random: &mut SmallRng) -> u16 {
        let kmh = if random.random_bool(self.speeders) {
            f64::from(self.limit_kmh) + 5.0 - 12.0 * (1.0 - random.random::<f64>()).ln()
        } else {
            let free = self.mean_kmh + self.spread_kmh * bell(random.random());
            free * (1.0 - CONGESTION_LOSS * congestion)
        };
        (kmh * 10.0).round().clamp(30.0, MAX_SPEED_TENTHS) as u16
    }
}

/// The entry of `list` that the low bits of `bits` choose.
fn pick<T: Copy>(list: &[T; 12], bits: u64) -> T {
    list[usize::from((bits & 0xff) as u8) % list.len()]
}

/// Upper bounds of the cumulated shares of `weights`, in 2^32nds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares are from 0 to 1"
)]
fn cumulated(weights: &[f64]) -> Vec<u32> {
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let bound = |weight: &f64| {
        sum += weight;
        (sum / total * f64::from(u32::MAX)) as u32
    };
    weights.iter().map(bound).collect()
}

/// A number of mean 0 and standard deviation 1, nearly normal: the sum of the four 16-bit parts of `bits`
/// (Irwin-Hall distribution of order 4).
fn bell(bits: u64) -> f64 {
    let parts = [bits, bits >> 16, bits >> 32, bits >> 48].map(|part| (part & 0xffff) as u16);
    let sum: f64 = parts.iter().map(|part| f64::from(*part) / 65_536.0).sum();
    (sum - 2.0) * 3.0_f64.sqrt()
}

/// Spreads the bits of a number over the whole word (the finaliser of `SplitMix64`).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sightings(world: &World, count: usize, congestion: f64) -> Vec<Sighting> {
        let mut random = SmallRng::seed_from_u64(7);
        (0..count).map(|_| world.draw(0, congestion, &mut random)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_world_and_another_seed_another() {
        assert_eq!(World::new(1, 50, 1000), World::new(1, 50, 1000));
        assert_ne!(World::new(1, 50, 1000), World::new(2, 50, 1000));
    }

    #[test]
    fn drivers_mostly_keep_the_limit_some_do_not_and_congestion_slows_them() {
        let world = World::new(1, 20, 1000);
        let free = sightings(&world, 50_000, 0.0);
        let over = |s: &&Sighting| s.speed_tenths > world.camera(s).limit_kmh * 10;
        let share = free.iter().filter(over).count() as f64 / free.len() as f64;
        assert!((0.02..0.35).contains(&share), "{share} over the limit");
        let mean = |list: &[Sighting]| list.iter().map(|s| u64::from(s.speed_tenths)).sum::<u64>();
        let jammed = sightings(&world, 50_000, 1.0);
        assert!(mean(&jammed) * 10 < mean(&free) * 8);
        assert!(free.iter().all(|s| (30..=2500).contains(&s.speed_tenths)));
    }

    #[test]
    fn every_camera_is_seen_and_one_plate_in_a_hundred_is_unreadable() {
        let world = World::new(3, 200, 1000);
        let list = sightings(&world, 100_000, 0.0);
        let mut seen = [false; 200];
        list.iter().for_each(|s| seen[s.camera as usize] = true);
        assert!(seen.iter().all(|seen| *seen));
        let unreadable = list.iter().filter(|s| s.plate.is_none()).count();
        assert!((800..1200).contains(&unreadable), "{unreadable}");
    }

    #[test]
    fn plates_look_like_plates() {
        let world = World::new(3, 1, 1000);
        for plate in 0..1000 {
            let mut text = Vec::new();
            world.write_plate(plate, &mut text);
            let chars: Vec<char> = String::from_utf8(text).expect("UTF-8").chars().collect();
            let letters = [chars[0], chars[4], chars[5]];
            assert!(letters.iter().all(|letter| PLATE_LETTERS.contains(letter)), "{chars:?}");
            assert!(chars[1..4].iter().chain(&chars[6..]).all(char::is_ascii_digit), "{chars:?}");
            assert!((8..=9).contains(&chars.len()), "{chars:?}");
        }
    }
}
