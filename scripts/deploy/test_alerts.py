"""The alerts: their rules are checked and tested by promtool, and correspond to the table in docs/operations.md."""

import re
from pathlib import Path

import yaml

from harness.promtool import promtool

FOLDER = Path(__file__).parent / "prometheus"
RULES = FOLDER / "lambdalake-alerts.yaml"
TESTS = [FOLDER / "lambdalake-alerts.test.yaml", FOLDER / "lambdalake-alerts-days.test.yaml"]
REPOSITORY = Path(__file__).parents[2]
OPERATIONS = REPOSITORY / "docs" / "operations.md"

# Metrics that are not of lambdalake, which the rules use.
FOREIGN = {"up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"}


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def documented_metrics():
    """The names in the tables of metrics in docs/operations.md."""
    return set(re.findall(r"^\| `(lambdalake_\w+)` \|", OPERATIONS.read_text(), re.MULTILINE))


def test_promtool_accepts_rules_and_sample_settings():
    promtool("check", "rules", RULES)
    promtool("check", "config", FOLDER / "prometheus.yml")


def test_each_alert_fires_and_is_silent_as_its_cases_say():
    promtool("test", "rules", *TESTS)


def test_each_alert_has_a_case_that_fires_and_one_that_does_not():
    cases = [case for file in TESTS for case in yaml.safe_load(file.read_text())["tests"]]
    fires, silent = set(), set()
    for case in cases:
        for tested in case["promql_expr_test"]:
            (alert,) = re.findall(r'alertname="(\w+)"', tested["expr"])
            (fires if tested["exp_samples"] else silent).add(alert)
    assert fires == set(alerts())
    assert silent == set(alerts())


def test_each_row_of_the_table_of_alerts_is_a_rule():
    text = OPERATIONS.read_text()
    section = text[text.index("\n### Alerts\n") :]
    section = section[: section.index("\n## ")]
    assert re.findall(r"^\| `(Lambdalake\w+)` \|", section, re.MULTILINE) == list(alerts())


def test_rules_use_metrics_that_are_documented():
    used = {name for rule in rules() for name in re.findall(r"\b(?:lambdalake|node)_\w+\b|\bup\b", rule["expr"])}
    assert used - FOREIGN <= documented_metrics()


def test_each_alert_has_a_severity_a_summary_and_a_description():
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert set(rule["annotations"]) == {"summary", "description"}, name


def test_each_metric_of_the_programs_is_documented():
    """Each name in the sources has a row in a table of metrics, and each row is one of these names."""
    names = set()
    for folder in ["speed-layer", "batch-layer", "serving", "lake"]:
        for file in sorted((REPOSITORY / folder).rglob("src/**/*.rs")):
            names |= set(re.findall(r'"(lambdalake_\w+)"', file.read_text()))
    assert names, "no metric was found"
    assert names == documented_metrics()
