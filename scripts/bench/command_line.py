"""The command line of a measurement. scripts/bench.sh knows the defaults and passes every option."""

import argparse
from pathlib import Path

# Where a lake is.
STORES = ("disk", "minio")
# What a pipeline of some size has.
SIZES = ("cameras", "partitions", "instances", "servings", "commit-interval", "landing-interval")
# How records may be compressed.
COMPRESSIONS = ("lz4", "none")
# Those that do the nightly job too (bench.batch_peer).
ENGINES = ("duckdb", "polars", "clickhouse", "datafusion")


def options(description, *names):
    """A parser of these options and of `--docs`."""
    parser = argparse.ArgumentParser(description=description)
    for name in (*names, "docs"):
        parser.add_argument(f"--{name}", required=True, **OPTIONS[name])
    return parser


def one_or_both(all_there_are):
    """A reader of an option that names one of two, or "both"."""

    def read(text):
        if text not in (*all_there_are, "both"):
            raise argparse.ArgumentTypeError(f"{text}: expected {', '.join(all_there_are)} or both")
        return all_there_are if text == "both" else (text,)

    return read


def engines(text):
    """The engines of a list that is separated by commas."""
    names = text.split(",")
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: expected some of {', '.join(ENGINES)}, separated by commas")
    return names


NUMBERS = ("events", "runs", "seconds", "minutes", "rate", "commits", "records", "seed", *SIZES)
OPTIONS = {name: {"type": int} for name in NUMBERS} | {
    "store": {"type": one_or_both(STORES)},
    "compression": {"type": one_or_both(COMPRESSIONS)},
    "engines": {"type": engines},
    "name": {},
    "program": {"type": Path},
    "docs": {"type": Path},
}
