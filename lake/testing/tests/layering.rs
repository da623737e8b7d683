//! Dependencies point downwards: of the crates of `lake` only to lower ones, of the layers only to `lake` and to their
//! own parts, and never to another layer. What is for tests only is in no program.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The crates of the foundation from the bottom to the top; each may use those before it.
const FOUNDATION: [&str; 8] = [
    "lake-model",
    "lake-config",
    "lake-delta",
    "lake-tables",
    "lake-kafka-describe",
    "lake-kafka",
    "lake-runtime",
    "lake-testing",
];

/// The layers with the crates that are parts of them, which the layer may use.
const LAYERS: [(&str, &[&str]); 3] = [
    ("speed-layer", &["speed-layer-decode", "speed-layer-fetch"]),
    ("batch-layer", &[]),
    ("serving", &[]),
];

/// Kinds of dependencies: those of programs, and those of tests too.
#[derive(Clone, Copy, PartialEq)]
enum Kinds {
    Programs,
    All,
}

/// Every crate of the workspace with the crates of the workspace that it depends on.
fn dependencies(kinds: Kinds) -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: Vec<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let uses = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let wanted = all.filter(|found| kinds == Kinds::All || found["kind"] != "dev");
        wanted.map(|found| text(&found["name"])).filter(|name| names.contains(name)).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), uses(package))).collect()
}

#[test]
fn crates_of_the_foundation_depend_downwards_only() {
    let dependencies = dependencies(Kinds::Programs);
    for (at, name) in FOUNDATION.iter().enumerate() {
        for used in &dependencies[*name] {
            assert!(FOUNDATION[..at].contains(&used.as_str()), "{name} depends on {used}");
        }
    }
}

#[test]
fn the_table_of_the_foundation_holds_every_crate_of_it() {
    let dependencies = dependencies(Kinds::Programs);
    let found = dependencies.keys().filter(|name| name.starts_with("lake-"));
    for name in found {
        assert!(FOUNDATION.contains(&name.as_str()), "{name} has no place among {FOUNDATION:?}");
    }
}

#[test]
fn no_layer_uses_another_nor_its_parts_not_even_in_tests() {
    let dependencies = dependencies(Kinds::All);
    for (layer, parts) in LAYERS {
        for name in std::iter::once(layer).chain(parts.iter().copied()) {
            for used in &dependencies[name] {
                let is_fine = used.starts_with("lake-") || parts.contains(&used.as_str());
                assert!(is_fine, "{name} depends on {used}");
            }
        }
    }
}

#[test]
fn only_tests_and_tools_for_measuring_use_what_is_for_tests() {
    for (name, uses) in dependencies(Kinds::Programs) {
        let is_product = name.starts_with("lake-")
            || LAYERS.iter().any(|(layer, parts)| *layer == name || parts.contains(&name.as_str()));
        let uses_it = uses.iter().any(|used| used == "lake-testing");
        assert!(!(is_product && uses_it), "{name} depends on lake-testing outside its tests");
    }
}
