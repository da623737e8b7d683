//! Reading typed columns out of record batches by name.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};

use crate::read::DictionaryKey;

/// A batch lacks a column of that name and type.
#[derive(Debug, thiserror::Error)]
#[error("column {name} is not a column of {expected}")]
pub struct ColumnError {
    name: String,
    expected: &'static str,
}

/// The column `name` of `batch`, whatever its type.
pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ColumnError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| ColumnError { name: name.to_owned(), expected: "this file" })
}

macro_rules! typed {
    ($function:ident, $type:ty, $expected:literal) => {
        #[doc = concat!("The column `name` of ", $expected, ".")]
        pub fn $function<'a>(
            batch: &'a RecordBatch,
            name: &str,
        ) -> Result<&'a arrow::array::PrimitiveArray<$type>, ColumnError> {
            primitive::<$type>(batch, name, $expected)
        }
    };
}

typed!(int, Int32Type, "32-bit integers");
typed!(long, Int64Type, "64-bit integers");
typed!(double, Float64Type, "doubles");
typed!(date, Date32Type, "dates");
typed!(timestamp, TimestampMicrosecondType, "timestamps in microseconds");
typed!(decimal, Decimal128Type, "decimals");

fn primitive<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
    expected: &'static str,
) -> Result<&'a arrow::array::PrimitiveArray<T>, ColumnError> {
    let column = column(batch, name)?;
    column.as_primitive_opt::<T>().ok_or_else(|| ColumnError { name: name.to_owned(), expected })
}

/// The column `name` of strings.
pub fn string<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::StringArray, ColumnError> {
    let error = || ColumnError { name: name.to_owned(), expected: "strings" };
    column(batch, name)?.as_string_opt::<i32>().ok_or_else(error)
}

/// The column `name` of strings that was read as a dictionary, which the values are found in by the keys.
pub fn dictionary<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<
    (&'a arrow::array::PrimitiveArray<DictionaryKey>, &'a arrow::array::StringArray),
    ColumnError,
> {
    let error = || ColumnError { name: name.to_owned(), expected: "strings" };
    let column = column(batch, name)?.as_dictionary_opt::<DictionaryKey>().ok_or_else(error)?;
    let values = column.values().as_string_opt::<i32>().ok_or_else(error)?;
    Ok((column.keys(), values))
}

/// The column `name` of byte strings.
pub fn binary<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::BinaryArray, ColumnError> {
    let error = || ColumnError { name: name.to_owned(), expected: "byte strings" };
    column(batch, name)?.as_binary_opt::<i32>().ok_or_else(error)
}

/// The column `name` of booleans.
pub fn boolean<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::BooleanArray, ColumnError> {
    let error = || ColumnError { name: name.to_owned(), expected: "booleans" };
    column(batch, name)?.as_boolean_opt().ok_or_else(error)
}

/// The value at `row`, or `None` where it is null.
pub fn optional<T: ArrowPrimitiveType>(
    array: &arrow::array::PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    (!array.is_null(row)).then(|| array.value(row))
}
