"""Flame graphs, by inferno from crates.io, which is kept in the cache folder.

Its folder is named by the version. It is built elsewhere and renamed into place, so an incomplete folder is never used.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.bed import fail, tell
from harness.lakehouse import CACHE

VERSION = "0.12.8"
HOME = CACHE / f"inferno-{VERSION}"
COLLAPSE, DRAW = "inferno-collapse-perf", "inferno-flamegraph"
# Functions that are narrower are left out: they are not visible, and the file would be megabytes large.
LEAST_PERCENT = 0.1


def require():
    """Installs it if it is missing."""
    if HOME.exists():
        return
    if not shutil.which("cargo"):
        fail("cargo is needed: https://rustup.rs")
    tell(f"installing inferno {VERSION} into {HOME}: once")
    CACHE.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="building.", dir=CACHE))
    try:
        install(made)
        shutil.rmtree(made / "target")
        made.rename(HOME)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def install(folder):
    programs = [argument for program in (COLLAPSE, DRAW) for argument in ("--bin", program)]
    features = ["--no-default-features", "--features", "cli"]
    command = ["cargo", "install", "inferno", "--version", VERSION, "--locked", "--root", folder, *features, *programs]
    target = {"CARGO_TARGET_DIR": str(folder / "target")}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    # In another folder, so that cargo's settings for this repository do not apply.
    found = subprocess.run(command, cwd=folder, env=os.environ | target, **output)
    if found.returncode != 0:
        fail(f"inferno could not be installed (is there a network, or a mirror for cargo?):\n{found.stdout[-3000:]}")


def collapse(samples):
    """The stacks in a file of `perf script`, folded, with the numbers of process and thread."""
    return run(COLLAPSE, "--kernel", "--tid", samples)


def draw(folded, path, title, subtitle):
    """Draws folded stacks into `path`, an SVG file."""
    style = ["--colors", "rust", "--deterministic", "--minwidth", str(LEAST_PERCENT), "--countname", "samples"]
    path.write_text(run(DRAW, *style, "--title", title, "--subtitle", subtitle, given=folded))


def run(program, *arguments, given=None):
    """The output of one of its programs."""
    command = [HOME / "bin" / program, *arguments]
    found = subprocess.run(command, input=given, capture_output=True, text=True)
    if found.returncode != 0:
        fail(f"{program} ended with {found.returncode}:\n{found.stderr[-3000:]}")
    return found.stdout
