//! The schema of a table as Delta's log spells it.

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};

/// The Delta schema string of `schema` (Delta protocol, "Schema Serialization Format").
pub(crate) fn schema_string(schema: &Schema) -> String {
    let fields: Vec<Value> = schema.fields().iter().map(|field| field_json(field)).collect();
    json!({ "type": "struct", "fields": fields }).to_string()
}

fn field_json(field: &Field) -> Value {
    json!({
        "name": field.name(),
        "type": type_name(field.data_type()),
        "nullable": field.is_nullable(),
        "metadata": {},
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
