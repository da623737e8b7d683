"""The report of `scripts/bench.sh bill` for people."""

from bench.prices import CHARGES, GB
from harness.machine import described

NAMES = {
    "speed-layer": "the speed layer",
    "serving": "serving, all instances",
    "nightly": "`nightly`, once a day",
    "maintain": "`maintain`, once a day",
}


def text(report):
    """The report for people."""
    asked, measured, month = report["pipeline"], report["measured"], report["month"]
    kinds = [kind for kind in CHARGES if any(kind in requests for requests in month["requests"].values())]
    everything = {kind: sum(requests.get(kind, 0) for requests in month["requests"].values()) for kind in kinds}
    lines = [
        f"{asked['cameras']:,} cameras with {measured['records'] / measured['seconds']:,.0f} records a second together, "
        f"{asked['partitions']} partitions, one instance of the speed layer, {asked['servings']} of serving; default settings. "
        f"Requests were counted for {measured['seconds'] / 60:.0f} minutes.",
        "",
        described(report["machine"]),
        "",
        "| requests a month | " + " | ".join(kinds) + " | USD |",
        "|---|" + "---:|" * (len(kinds) + 1),
        *(row(NAMES[name], requests, kinds, month["usd"][name]) for name, requests in month["requests"].items()),
        row("**all**", everything, kinds, month["usd"]["requests"]),
        "",
        "| a month of data | GB | USD for each month that it is kept |",
        "|---|---:|---:|",
        f"| events, dead letters and averages, after `maintain` | {month['stored_bytes'] / GB:,.0f} | {month['usd_stored']:,.2f} |",
        "",
        "| measured | |",
        "|---|---:|",
        *(f"| {what} | {value} |" for what, value in facts(report)),
    ]
    return "\n".join(lines)


def row(name, requests, kinds, usd):
    return f"| {name} | " + " | ".join(f"{requests.get(kind, 0):,.0f}" for kind in kinds) + f" | {usd:,.2f} |"


def facts(report):
    """What was measured, and what follows for a day."""
    measured, landed, stored = report["measured"], report["landed"], report["stored"]
    nightly, maintain = (report["night"][command]["first"] for command in ("nightly", "maintain"))
    minutes = measured["seconds"] / 60
    as_landed = report["bytes_as_landed"]
    yield from (
        (f"requests a minute of {name}", f"{sum(requests.values()) / minutes:,.0f}")
        for name, requests in ((NAMES[who], kinds) for who, kinds in measured["requests"].items())
    )
    yield "bytes written by the speed layer for each record", f"{measured['bytes_up'] / measured['records']:,.1f}"
    for name, run in (("nightly", nightly), ("maintain", maintain)):
        yield f"bytes written by `{name}` for each event of the day", f"{run['bytes_up'] / landed['day_rows']:,.1f}"
        yield f"bytes read by `{name}` for each byte of the day's events", f"{run['bytes_down'] / as_landed:,.1f}"
        yield f"`{name}` of the {landed['day_rows']:,} events that landed", f"{run['seconds']:,.0f} s"
    yield "files of `events` a day, as landed", f"{report['month']['files_landed_a_day']:,.0f}"
    yield "files of `events` in the run, as landed", f"{landed['day_files']:,}"
    yield "files of `events` in the run, after `maintain`", f"{stored['events']['files']:,}"
    yield "bytes of an event in `events`, as landed", f"{as_landed / landed['day_rows']:,.1f}"
    yield "bytes of an event in `events`, after `maintain`", f"{stored['events']['bytes'] / landed['day_rows']:,.1f}"
    yield "requests that the store did not answer, or with 5xx", f"{report['unanswered'] + report['answers_5xx']:,}"
