//! Columns of texts, and how much room columns keep.

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;

/// Texts one after another, with the places where they end.
#[derive(Debug)]
pub struct TextColumn {
    pub(super) text: String,
    /// 0, and where each text ends.
    pub(super) bounds: Vec<i32>,
}

/// Texts of which some may be missing. Unlike those of a [`TextColumn`] they are read by nobody before the table uses
/// them, and so are not checked for being UTF-8 again.
#[derive(Debug)]
pub struct OptionalTextColumn(pub(super) StringBuilder);

/// A little more, since no two batches are alike.
pub(super) fn with_headroom(size: usize) -> usize {
    size + size / 16
}

/// Whether so much of the room is not used that it is worth giving back.
pub(super) fn is_roomy(size: usize, room: usize) -> bool {
    room > size + size / 8
}

pub(super) fn trim<T>(values: &mut Vec<T>) {
    if is_roomy(values.len(), values.capacity()) {
        values.shrink_to_fit();
    }
}

impl TextColumn {
    /// Bytes of text.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Takes one text.
    ///
    /// # Panics
    /// Past 2 GiB of text, which no batch of records comes near.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.bounds.push(i32::try_from(self.text.len()).expect("columns hold less than 2 GiB"));
    }

    /// The text of that row.
    ///
    /// # Panics
    /// Without such a row.
    pub fn get(&self, row: usize) -> &str {
        let bound = |at: usize| self.bounds[at].cast_unsigned() as usize;
        &self.text[bound(row)..bound(row + 1)]
    }

    /// All texts one after another; 0 and where each ends.
    pub fn into_parts(self) -> (String, Vec<i32>) {
        (self.text, self.bounds)
    }

    pub(super) fn with_as_much_room(&self) -> TextColumn {
        let mut bounds = Vec::with_capacity(with_headroom(self.bounds.len()));
        bounds.push(0);
        TextColumn { text: String::with_capacity(with_headroom(self.text.len())), bounds }
    }

    pub(super) fn trim(&mut self) {
        if is_roomy(self.text.len(), self.text.capacity()) {
            self.text.shrink_to_fit();
        }
        trim(&mut self.bounds);
    }
}

impl Default for TextColumn {
    fn default() -> TextColumn {
        TextColumn { text: String::new(), bounds: vec![0] }
    }
}

impl OptionalTextColumn {
    /// Bytes of text.
    pub(super) fn bytes(&self) -> usize {
        self.0.values_slice().len()
    }

    /// Takes one text, or that there is none.
    ///
    /// # Panics
    /// Past 2 GiB of text, which no batch of records comes near.
    #[inline]
    pub fn push(&mut self, text: Option<&str>) {
        self.0.append_option(text);
    }

    /// All texts as the table holds them.
    pub fn into_array(mut self) -> StringArray {
        self.0.finish()
    }

    pub(super) fn with_as_much_room(&self) -> OptionalTextColumn {
        let (rows, bytes) = self.rows_and_bytes();
        OptionalTextColumn(StringBuilder::with_capacity(with_headroom(rows), with_headroom(bytes)))
    }

    pub(super) fn trim(&mut self) {
        let (rows, bytes) = self.rows_and_bytes();
        let bounds = (rows + 1, self.0.offsets_capacity());
        if is_roomy(bounds.0, bounds.1) || is_roomy(bytes, self.0.values_capacity()) {
            let texts = self.0.finish();
            self.0 = StringBuilder::with_capacity(rows, bytes);
            self.0.append_array(&texts).expect("it is no more text than before");
        }
    }

    fn rows_and_bytes(&self) -> (usize, usize) {
        (self.0.offsets_slice().len() - 1, self.0.values_slice().len())
    }
}

impl Default for OptionalTextColumn {
    fn default() -> OptionalTextColumn {
        OptionalTextColumn(StringBuilder::with_capacity(0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_where_they_were_put() {
        let mut column = TextColumn::default();
        ["KV1", "", "KV22"].iter().for_each(|text| column.push(text));
        assert_eq!([0, 1, 2].map(|row| column.get(row)), ["KV1", "", "KV22"]);
        assert_eq!(column.into_parts(), ("KV1KV22".to_owned(), vec![0, 3, 3, 7]));
    }

    #[test]
    fn room_is_worth_giving_back_past_an_eighth_and_a_sixteenth_is_added() {
        assert!(!is_roomy(80, 90) && is_roomy(80, 91));
        assert_eq!(with_headroom(160), 170);
    }

    #[test]
    fn texts_give_back_room_for_rows_or_for_bytes_where_either_is_much() {
        let trimmed = |rows, bytes| {
            let mut column = OptionalTextColumn(StringBuilder::with_capacity(rows, bytes));
            (0..126).for_each(|_| column.push(Some("a")));
            column.push(None);
            column.trim();
            assert_eq!(column.rows_and_bytes(), (127, 126));
            (column.0.offsets_capacity(), column.0.values_capacity())
        };
        // There is one more end of a text than there are texts; up to an eighth of the room may be left.
        assert_eq!(trimmed(143, 126), (144, 126));
        assert_eq!(trimmed(144, 126), (128, 126));
        assert_eq!(trimmed(143, 256), (128, 126));
    }
}
