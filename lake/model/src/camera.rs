//! Camera ids: which strings name a camera.

use std::fmt;

/// Greatest length of a camera id, in bytes of UTF-8.
pub const MAX_CAMERA_ID_BYTES: usize = 128;

/// The id of a camera as sent: 1 to 128 bytes, not `.` or `..`, compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraId(Box<str>);

impl CameraId {
    /// Takes `id` if it may name a camera.
    pub fn new(id: &str) -> Option<CameraId> {
        CameraId::is_valid(id).then(|| CameraId(id.into()))
    }

    /// Whether `id` may name a camera. The two dot segments are refused because no URL can carry them.
    pub fn is_valid(id: &str) -> bool {
        (1..=MAX_CAMERA_ID_BYTES).contains(&id.len()) && id != "." && id != ".."
    }

    /// The id as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl std::borrow::Borrow<str> for CameraId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_bytes_and_dot_segments_are_refused() {
        assert!(CameraId::new("K").is_some());
        assert!(CameraId::new(&"я".repeat(64)).is_some());
        assert!(CameraId::new(" padded ").is_some());
        for bad in ["", ".", "..", &"я".repeat(65)] {
            assert!(CameraId::new(bad).is_none(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_id_is_shown_and_found_as_sent() {
        let id = CameraId::new("K\"1").expect("a good id");
        assert_eq!((id.as_str(), &*id.to_string()), ("K\"1", "K\"1"));
        assert_eq!(format!("{id:?}"), r#""K\"1""#);
        assert!(std::collections::BTreeSet::from([id]).contains("K\"1"));
    }
}
