"""docs/readers.md, from the results of a full run: nothing is in it that the run did not show."""

HEAD = """# Readers

The tables are Delta tables of reader version 1, in Parquet files. This page says which programs read them right, in
which versions, and what their own limits are. It is written by

    scripts/readers.sh --write-docs

which makes lakes with the real programs, on disk and on MinIO, in these states: after landing, after `batch-layer
nightly`, after `batch-layer maintain`, and one with times far from ours. Then every program reads every row of every
table, computes aggregates of every column, and filters on every column by equality, inequality, range and null. Each
answer is compared with the right one. For `events` and `dead_letters` that is computed from what Kafka holds.

`scripts/readers.sh duckdb spark-3.5` runs some of the programs; `scripts/readers.sh --help` lists them.
"""


def text(found):
    """The document for the results of all readers."""
    limits = list(dict.fromkeys(limit for result in found for limit in result.limits))
    parts = [HEAD, table(found, limits)]
    wrong = [result for result in found if not result.unavailable and not result.is_right]
    if wrong:
        parts.append(
            "## What is wrong\n\n" + "\n".join(line for result in wrong for line in wrong_columns(result)) + "\n"
        )
    if limits:
        parts.append("## Limits of these programs\n\n" + "\n".join(numbered(limits)) + "\n")
    return "\n".join(parts)


def table(found, limits):
    """A line for each reader."""
    lines = ["| program | version | disk | MinIO | limits |", "|---|---|---|---|---|"]
    for result in found:
        if result.unavailable:
            lines.append(f"| {result.reader.title} | | not tested | not tested | |")
            continue
        met = ", ".join(str(limits.index(limit) + 1) for limit in result.limits) or "none known"
        stores = " | ".join(verdict(result, store) for store in ("disk", "minio"))
        lines.append(f"| {result.reader.title} | {result.version} | {stores} | {met} |")
    return "\n".join(lines) + "\n"


def verdict(result, store):
    cells = [cell for cell in result.cells if cell.store == store]
    if all(cell.is_right for cell in cells):
        return "right, within its limits" if any(cell.limits for cell in cells) else "right"
    return "**wrong**"


def wrong_columns(result):
    """What a reader gets wrong: columns of a table with the stores and states in which it does."""
    places, columns = {}, {}
    for cell in result.cells:
        for table_name, column in cell.findings:
            places.setdefault((table_name, column), []).append(f"{cell.store}, {cell.state}")
    for (table_name, column), found in places.items():
        where = "everywhere" if len(found) == len(result.cells) else "; ".join(found)
        columns.setdefault((table_name, where), []).append("whole rows" if column == "*" else f"`{column}`")
    return [
        f"- {result.reader.title} ({result.version}): {', '.join(names)} of `{table_name}` ({where})"
        for (table_name, where), names in columns.items()
    ]


def numbered(limits):
    return [f"{number}. {limit.text}" for number, limit in enumerate(limits, start=1)]
