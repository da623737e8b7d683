"""The report of `scripts/bench.sh batch` for people."""

from harness.machine import described

OURS = "nightly, as landed"
STORES = {"disk": "On local disk", "minio": "On MinIO, with the times of S3 (30 ms for GET and HEAD, 60 ms for PUT, 100 ms for LIST)"}


def text(report):
    """The report for people."""
    topic = report["topic"]
    lines = [
        f"A day of {topic['events']:,} events of {topic['cameras']:,} cameras, {topic['late']:,} of them late, with "
        f"{topic['duplicates']:,} that were sent twice. Median of {report['runs']} run(s) of the nightly job. All runs came to the same "
        "rows of the day; `nightly` also made the few events of the day before final.",
        "",
        described(report["machine"]),
    ]
    for store, measured in report["stores"].items():
        lines += ["", f"{STORES[store]}:", "", *table(measured)]
    return "\n".join(lines)


def table(measured):
    """The runs on one store."""
    landed, compacted = measured["landed"], measured["compacted"]
    ours = next(run["wall_seconds"] for run in measured["runs"] if run["name"] == OURS)
    asked = any("requests" in run for run in measured["runs"])
    heads = ["", "seconds", "× nightly", "CPU s", "peak MiB"] + (["GET", "PUT", "others", "bytes read / bytes of the day"] if asked else [])
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    for run in measured["runs"]:
        cells = [
            run["name"],
            f"{run['wall_seconds']:,.1f}",
            f"{run['wall_seconds'] / ours:,.1f}",
            f"{run['cpu_seconds']:,.1f}",
            f"{run['peak_resident_mib']:,.0f}",
        ]
        yield "| " + " | ".join(cells + (list(requests(run, landed)) if asked else [])) + " |"
    yield ""
    yield (
        f"The day is {landed['bytes'] / 1e6:,.0f} MB in {landed['files']:,} files as it landed, and "
        f"{compacted['bytes'] / 1e6:,.0f} MB in {compacted['files']:,} after `maintain`."
    )


def requests(run, landed):
    """What a run asked the store for."""
    kinds = run["requests"]
    others = sum(number for kind, number in kinds.items() if kind not in ("GET", "PUT"))
    yield from (f"{kinds.get('GET', 0):,}", f"{kinds.get('PUT', 0):,}", f"{others:,}")
    yield f"{run['bytes_down'] / landed['bytes']:.2f}"
