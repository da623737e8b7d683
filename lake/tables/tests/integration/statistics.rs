//! Statistics of random rows truly bound them, and the rows are read back as they were written.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use futures::TryStreamExt;
use lake_delta::data_file::FileWriter;
use lake_delta::{Commit, DataFile, TableLog, read};
use lake_model::{Day, Timestamp};
use lake_tables::{Table, file_kind};
use lake_testing::lake_in_memory;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::rows::day;

/// The instants of the years that RFC 3339 can spell, in microseconds.
const INSTANTS: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;
/// The greatest decimal of 20 digits.
const GREATEST_DECIMAL: i128 = 99_999_999_999_999_999_999;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

/// Values of a column, with nulls where it may have them.
fn values<T: Clone + std::fmt::Debug + 'static>(
    field: &Field,
    rows: usize,
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Vec<Option<T>>> {
    let value = match field.is_nullable() {
        true => prop::option::weighted(0.7, value).boxed(),
        false => value.prop_map(Some).boxed(),
    };
    prop::collection::vec(value, rows).boxed()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        // Longer than a bound may be, and alike for as long.
        ("(я|z){120,140}", "\\PC{0,4}").prop_map(|(alike, rest)| alike + &rest),
        "\u{10ffff}{30,34}",
    ]
}

/// Columns of the type of `field`.
fn column(field: &Field, rows: usize) -> BoxedStrategy<ArrayRef> {
    fn boxed<T, A: Array + From<Vec<Option<T>>> + 'static>(
        values: impl Strategy<Value = Vec<Option<T>>> + 'static,
    ) -> BoxedStrategy<ArrayRef>
    where
        T: Clone + std::fmt::Debug + 'static,
    {
        values.prop_map(|values| Arc::new(A::from(values)) as ArrayRef).boxed()
    }
    match field.data_type() {
        DataType::Utf8 => boxed::<_, StringArray>(values(field, rows, text())),
        DataType::Boolean => boxed::<_, BooleanArray>(values(field, rows, any::<bool>())),
        DataType::Int32 => boxed::<_, Int32Array>(values(field, rows, any::<i32>())),
        DataType::Int64 => boxed::<_, Int64Array>(values(field, rows, any::<i64>())),
        DataType::Float64 => boxed::<_, Float64Array>(values(
            field,
            rows,
            prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        )),
        DataType::Date32 => boxed::<_, Date32Array>(values(field, rows, -719_528..2_932_897)),
        DataType::Binary => values(field, rows, prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|bytes| Arc::new(BinaryArray::from_iter(bytes)) as ArrayRef)
            .boxed(),
        DataType::Timestamp(_, _) => values(field, rows, INSTANTS)
            .prop_map(|micros| {
                let array = TimestampMicrosecondArray::from(micros);
                Arc::new(array.with_timezone("UTC")) as ArrayRef
            })
            .boxed(),
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            values(field, rows, -GREATEST_DECIMAL..=GREATEST_DECIMAL)
                .prop_map(move |values| {
                    let array = Decimal128Array::from(values);
                    Arc::new(array.with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
                })
                .boxed()
        }
        other => panic!("no table has a column of type {other}"),
    }
}

fn batch(table: Table) -> impl Strategy<Value = RecordBatch> {
    (1_usize..12).prop_flat_map(move |rows| {
        let schema = table.file_schema();
        let columns: Vec<_> = schema.fields().iter().map(|field| column(field, rows)).collect();
        columns.prop_map(move |columns| RecordBatch::try_new(table.file_schema(), columns).unwrap())
    })
}

/// Batches for a table, and whether their file is one that just landed.
fn rows() -> impl Strategy<Value = (Table, bool, Vec<RecordBatch>)> {
    prop::sample::select(Table::ALL.to_vec()).prop_flat_map(|table| {
        (Just(table), any::<bool>(), prop::collection::vec(batch(table), 1..3))
    })
}

/// Writes and commits one file of `batches`; returns it and what is read back.
async fn written(table: Table, landed: bool, batches: &[RecordBatch]) -> (DataFile, RecordBatch) {
    let lake = lake_in_memory();
    let mut log = TableLog::open_or_create(&lake, table, &[]).await.unwrap();
    let id = lake.unique_id();
    let new = match table.partition_column() {
        Some(_) if landed => file_kind::landed(table, day(), &BTreeMap::new(), id),
        Some(_) => file_kind::compacted(table, Some(day()), id),
        None => file_kind::unpartitioned(id),
    };
    let mut writer = FileWriter::new(table, new).unwrap();
    batches.iter().for_each(|batch| writer.push(batch).unwrap());
    let file = writer.upload(&lake).await.unwrap();
    let _ = log.try_commit(&Commit::new(&lake, "LAND").add([file.clone()])).await.unwrap();
    let entry = log.state().file(&file.path).unwrap();
    let stream = read::stream(lake.table_store(table), entry, &[]).await.unwrap();
    let read: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    (file, concat_batches(&table.file_schema(), &read).unwrap())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: usize,
    min_values: BTreeMap<String, Box<RawValue>>,
    max_values: BTreeMap<String, Box<RawValue>>,
    null_count: BTreeMap<String, usize>,
}

/// The bound as the values of its column are compared.
trait Bound: Sized + PartialOrd {
    fn read(json: &str) -> Self;
}

fn string(json: &str) -> String {
    serde_json::from_str(json).unwrap()
}

/// A text by its bytes.
impl Bound for String {
    fn read(json: &str) -> String {
        string(json)
    }
}

/// A double.
impl Bound for f64 {
    fn read(json: &str) -> f64 {
        json.parse().unwrap()
    }
}

/// A date.
impl Bound for i32 {
    fn read(json: &str) -> i32 {
        json.parse().unwrap_or_else(|_| Day::parse(&string(json)).unwrap().days())
    }
}

/// An instant.
impl Bound for i64 {
    fn read(json: &str) -> i64 {
        json.parse().unwrap_or_else(|_| Timestamp::parse(&string(json)).unwrap().micros())
    }
}

/// A decimal of three places.
impl Bound for i128 {
    fn read(json: &str) -> i128 {
        assert_eq!(json.len() - json.find('.').unwrap(), 4, "{json}");
        json.replace('.', "").parse().unwrap()
    }
}

fn check<T: Bound + std::fmt::Debug>(
    name: &str,
    stats: &Stats,
    values: impl Iterator<Item = Option<T>>,
) {
    let bounds = stats.min_values.get(name).zip(stats.max_values.get(name));
    let values: Vec<T> = values.flatten().collect();
    let Some((min, max)) = bounds.map(|(min, max)| (T::read(min.get()), T::read(max.get()))) else {
        return;
    };
    assert!(!values.is_empty(), "{name} has no values and yet bounds");
    for value in values {
        assert!(min <= value && value <= max, "{name}: {value:?} is not in {min:?}..={max:?}");
    }
}

fn check_column(name: &str, landed: bool, stats: &Stats, values: &ArrayRef) {
    let is_known = !(landed && name == "plate_number");
    let nulls = stats.null_count.get(name).copied();
    assert_eq!(nulls, is_known.then(|| values.null_count()), "{name}");
    assert!(is_known || !stats.min_values.contains_key(name), "{name}");
    match values.data_type() {
        DataType::Utf8 => {
            let text = values.as_string::<i32>().iter();
            check(name, stats, text.map(|text| text.map(str::to_owned)));
        }
        DataType::Int32 => check(name, stats, values.as_primitive::<Int32Type>().iter()),
        DataType::Int64 => check(name, stats, values.as_primitive::<Int64Type>().iter()),
        DataType::Float64 => check(name, stats, values.as_primitive::<Float64Type>().iter()),
        DataType::Date32 => check(name, stats, values.as_primitive::<Date32Type>().iter()),
        DataType::Decimal128(_, _) => {
            check(name, stats, values.as_primitive::<Decimal128Type>().iter());
        }
        DataType::Timestamp(_, _) => {
            check(name, stats, values.as_primitive::<TimestampMicrosecondType>().iter());
        }
        _ => assert!(!stats.min_values.contains_key(name), "{name} has bounds"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn rows_are_read_back_and_lie_within_the_bounds_of_their_file((table, landed, batches) in rows()) {
        let (file, read) = RUNTIME.block_on(written(table, landed, &batches));
        let all = concat_batches(&table.file_schema(), &batches).unwrap();
        prop_assert_eq!(&read, &all);
        prop_assert_eq!(file.rows, all.num_rows() as u64);
        let stats: Stats = serde_json::from_str(&file.stats).unwrap();
        prop_assert_eq!(stats.num_records, all.num_rows());
        prop_assert!(stats.min_values.keys().eq(stats.max_values.keys()));
        for (field, values) in all.schema().fields().iter().zip(all.columns()) {
            check_column(field.name(), landed, &stats, values);
        }
    }

    #[test]
    fn columns_that_readers_filter_by_have_bounds(batch in batch(Table::Events), landed in any::<bool>()) {
        let (file, _) = RUNTIME.block_on(written(Table::Events, landed, &[batch]));
        let stats: Stats = serde_json::from_str(&file.stats).unwrap();
        for name in ["event_time", "kafka_timestamp", "kafka_partition", "kafka_offset", "speed_kmh"] {
            prop_assert!(stats.min_values.contains_key(name), "{name}");
        }
    }
}
