"""What a measurement is told on the command line. scripts/bench.sh knows the defaults and gives every option."""

import argparse
from pathlib import Path

# Where a lake is.
STORES = ("disk", "minio")


def options(description, *names):
    """A parser of these options and of `--docs`."""
    parser = argparse.ArgumentParser(description=description)
    for name in (*names, "docs"):
        parser.add_argument(f"--{name}", required=True, **OPTIONS[name])
    return parser


def stores(text):
    """The stores that one of their names, or "both", stands for."""
    if text not in (*STORES, "both"):
        raise argparse.ArgumentTypeError(f"{text}: expected {', '.join(STORES)} or both")
    return STORES if text == "both" else (text,)


NUMBERS = ("events", "runs", "seconds", "commits", "records", "seed")
OPTIONS = {name: {"type": int} for name in NUMBERS} | {
    "store": {"type": stores},
    "name": {},
    "program": {"type": Path},
    "docs": {"type": Path},
}
