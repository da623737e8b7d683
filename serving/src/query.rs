//! Reading requests: camera ids out of paths and parameters out of queries, strictly.
//!
//! Text is percent-decoded and nothing else: `+` stays `+`, so that `+03:00` needs no encoding. Every
//! parameter may be given once, and none that is not known.

use std::borrow::Cow;

use lake_config::closest;
use lake_model::{Calendar, CameraId, Day, Timestamp, WindowSize};
use percent_encoding::percent_decode_str;
use utoipa::ToSchema;

use crate::problem::{Kind, Problem};

/// Most cameras in one answer.
pub(crate) const GREATEST_LIMIT: usize = 10_000;
/// Cameras in one answer if the request names no limit.
pub(crate) const DEFAULT_LIMIT: usize = 1000;
/// Text of a request is cut to this many characters in messages.
const QUOTED_CHARS: usize = 100;

/// Microseconds since 1970 of 0000-01-01T00:00:00Z and of 10000-01-01T00:00:00Z, between which RFC 3339 can write
/// an instant in UTC.
const RFC_3339_MICROS: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;

/// The lengths of windows as requests name them.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "its variants are only described; requests are read by WindowSize::parse"
)]
pub(crate) enum Interval {
    /// Five minutes.
    #[schema(rename = "5m")]
    FiveMinutes,
    /// One hour.
    #[schema(rename = "1h")]
    OneHour,
    /// The calendar day in the pipeline's time zone.
    #[schema(rename = "24h")]
    Day,
}

/// A question for the averages of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AvgSpeedQuery {
    pub(crate) camera: CameraId,
    pub(crate) size: WindowSize,
    pub(crate) from: Bound,
    pub(crate) to: Bound,
}

/// An end of the time asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) time: Timestamp,
    text: String,
}

/// A question for the cameras after one id, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CamerasQuery {
    pub(crate) after: Option<CameraId>,
    pub(crate) limit: usize,
}

impl AvgSpeedQuery {
    /// Reads the request for `path` (`/kvfv/{id}/avg-speed`) with the query `raw`. `days` are the pipeline's, for bounds that
    /// are dates.
    pub(crate) fn parse(
        path: &str,
        raw: Option<&str>,
        max_windows: usize,
        days: impl Fn() -> Result<Calendar, Problem>,
    ) -> Result<AvgSpeedQuery, Problem> {
        let camera = camera_of_path(path)?;
        let given = Parameters::parse(raw, &["from", "to", "interval"])?;
        let (from, to) = (Bound::parse("from", &given, &days)?, Bound::parse("to", &given, &days)?);
        let interval = given.required("interval", "one of 5m, 1h and 24h")?;
        let size = WindowSize::parse(interval).ok_or_else(|| {
            let meant = meant_size(interval).map(|size| format!("; did you mean {size}?"));
            let detail = format!(
                "interval = {}: expected 5m, 1h or 24h{}",
                quote_truncated(interval),
                meant.unwrap_or_default()
            );
            Problem::with_parameter("interval", detail)
        })?;
        let query = AvgSpeedQuery { camera, size, from, to };
        query.check_span(max_windows)?;
        Ok(query)
    }

    fn check_span(&self, max_windows: usize) -> Result<(), Problem> {
        let (from, to, size) = (self.from.to_string(), self.to.to_string(), self.size);
        if self.to.time <= self.from.time {
            let detail = format!(
                "to = {to} is not after from = {from}: expected a later instant; a date is the first instant of \
                 its day, so to name one day set to to the next"
            );
            return Err(Problem::with_parameter("to", detail));
        }
        let windows = i64::try_from(max_windows).unwrap_or(i64::MAX);
        let greatest = windows.saturating_mul(size.micros());
        if self.to.time.saturating_since(self.from.time) > greatest {
            let detail = format!(
                "from = {from} to = {to} spans more than {max_windows} windows of {size} \
                 (serving.max_windows): expected a shorter span or a longer interval"
            );
            return Err(Problem::with_parameter("to", detail));
        }
        Ok(())
    }
}

impl Bound {
    fn parse(
        name: &'static str,
        given: &Parameters,
        days: &impl Fn() -> Result<Calendar, Problem>,
    ) -> Result<Bound, Problem> {
        let text =
            given.required(name, "an RFC 3339 time such as 2025-04-05T10:15:30Z, or a date")?;
        if let Some(day) = Day::parse(text) {
            return Ok(Bound { time: days()?.span(day).start, text: text.to_owned() });
        }
        let time = Timestamp::parse(text).ok_or_else(|| {
            let detail = format!(
                "{name} = {}: expected an RFC 3339 time with an offset, such as 2025-04-05T10:15:30Z or \
                 2025-04-05T13:15:30+03:00, or a date such as 2025-04-05, a day of the pipeline",
                quote_truncated(text)
            );
            Problem::with_parameter(name, detail)
        })?;
        Ok(Bound { time, text: text.to_owned() })
    }
}

/// The instant in UTC. The few at the ends of the calendar that RFC 3339 can write only with an offset
/// are written as they were asked for.
impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if RFC_3339_MICROS.contains(&self.time.micros()) {
            self.time.fmt(f)
        } else {
            f.write_str(&self.text)
        }
    }
}

impl CamerasQuery {
    /// Reads the query `raw` of a request for the cameras.
    pub(crate) fn parse(raw: Option<&str>) -> Result<CamerasQuery, Problem> {
        let given = Parameters::parse(raw, &["limit", "after"])?;
        let limit = match given.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => limit(text)?,
        };
        let after = match given.get("after") {
            None => None,
            Some(text) => Some(CameraId::new(text).ok_or_else(|| {
                let detail = format!("after = {}: expected {CAMERA_ID}", quote_truncated(text));
                Problem::with_parameter("after", detail)
            })?),
        };
        Ok(CamerasQuery { after, limit })
    }
}

const CAMERA_ID: &str = "a camera id of 1 to 128 bytes of UTF-8 that is not . or ..";

fn limit(text: &str) -> Result<usize, Problem> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|limit| (1..=GREATEST_LIMIT).contains(limit));
    number.filter(|_| is_number).ok_or_else(|| {
        let expected = format!("expected a whole number from 1 to {GREATEST_LIMIT}");
        Problem::with_parameter("limit", format!("limit = {}: {expected}", quote_truncated(text)))
    })
}

/// The windows that the writer of an unknown interval may have meant: those of the nearest length, or of a similar name.
fn meant_size(interval: &str) -> Option<WindowSize> {
    let named = interval.trim().to_lowercase();
    let length = humantime::parse_duration(&named)
        .or_else(|_| humantime::parse_duration(&format!("1{named}")));
    match length {
        Ok(length) => {
            let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
            WindowSize::ALL.into_iter().min_by_key(|size| size.micros().abs_diff(micros))
        }
        Err(_) => {
            closest(&named, WindowSize::ALL.map(WindowSize::as_str)).and_then(WindowSize::parse)
        }
    }
}

/// The camera id in the path `/kvfv/{id}/avg-speed`.
fn camera_of_path(path: &str) -> Result<CameraId, Problem> {
    let after = path.strip_prefix("/kvfv/").unwrap_or(path);
    let segment = after.strip_suffix("/avg-speed").unwrap_or(after);
    let id = percent_decode(segment);
    id.as_deref().and_then(CameraId::new).ok_or_else(|| {
        let detail = format!("{}: expected {CAMERA_ID}, percent-encoded", quote_truncated(segment));
        Problem::at(path, Kind::InvalidCameraId, detail)
    })
}

/// The parameters of a query, each known and given once.
struct Parameters<'a> {
    known: &'a [&'static str],
    given: Vec<(String, String)>,
}

impl<'a> Parameters<'a> {
    fn parse(raw: Option<&str>, known: &'a [&'static str]) -> Result<Parameters<'a>, Problem> {
        let mut parameters = Parameters { known, given: Vec::new() };
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            parameters.add(pair)?;
        }
        Ok(parameters)
    }

    fn add(&mut self, pair: &str) -> Result<(), Problem> {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        let encoding = |raw: &str| {
            let detail = format!("{}: expected percent-encoded UTF-8", quote_truncated(raw));
            Problem::with_parameter(&truncated(raw_name), detail)
        };
        let name = percent_decode(raw_name).ok_or_else(|| encoding(raw_name))?;
        if !self.known.contains(&name.as_str()) {
            let known = self.known.join(", ");
            let meant = closest(&name, self.known.iter().copied());
            let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            let detail = format!(
                "unknown parameter {}: expected only {known}{meant}",
                quote_truncated(&name)
            );
            return Err(Problem::with_parameter(&truncated(&name), detail));
        }
        if self.get(&name).is_some() {
            let detail = format!("{name} is given more than once: expected it once");
            return Err(Problem::with_parameter(&name, detail));
        }
        let value = percent_decode(raw_value).ok_or_else(|| encoding(raw_value))?;
        self.given.push((name, value));
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str, expected: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| {
            let detail = format!("{name} is missing: expected {name}= with {expected}");
            Problem::with_parameter(name, detail)
        })
    }
}

/// Decodes `%XX`; `None` where a `%` is not followed by two hexadecimal digits or the outcome is not UTF-8.
fn percent_decode(raw: &str) -> Option<String> {
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(raw).decode_utf8().ok().map(Cow::into_owned)
}

/// Text of a request in quotes, on one line, and not too long.
fn quote_truncated(text: &str) -> String {
    format!("{:?}", truncated(text))
}

fn truncated(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
