//! The schema of a table as Delta's log spells it.

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};

use crate::spec::TableSpec;

/// The Delta schema string of `table` (Delta protocol, "Schema Serialization Format").
pub(crate) fn schema_string(table: &TableSpec) -> String {
    let schema: Schema = (table.schema)();
    let fields = schema.fields().iter().map(|field| field_json(field, table.comments));
    json!({ "type": "struct", "fields": fields.collect::<Vec<Value>>() }).to_string()
}

fn field_json(field: &Field, comments: &[(&str, &str)]) -> Value {
    let comment = comments.iter().find(|(column, _)| *column == field.name().as_str());
    let metadata = comment.map_or_else(|| json!({}), |(_, text)| json!({ "comment": text }));
    json!({
        "name": field.name(),
        "type": type_name(field.data_type()),
        "nullable": field.is_nullable(),
        "metadata": metadata,
    })
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => unreachable!("no table has a column of type {other}"),
    }
}
