"""promtool, with which Prometheus checks rules and metrics: the one in PATH, or that of Debian's package prometheus.

The package is not installed, which would start a server: the one program is unpacked into the cache folder, without the
rights of root.
"""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from harness.lakehouse import CACHE


def promtool(*args, stdin=None, codes=frozenset({0})):
    """Runs it, and returns what it printed; an AssertionError has that if it ends with another exit code."""
    done = subprocess.run([path(), *map(str, args)], input=stdin, capture_output=True, text=True, timeout=300)
    printed = done.stdout + done.stderr
    assert done.returncode in codes, printed
    return printed


@cache
def path():
    found = shutil.which("promtool")
    if found:
        return found
    kept = CACHE / "promtool-debian" / "promtool"
    if not kept.exists():
        _unpack(kept)
    return str(kept)


def _unpack(kept):
    assert shutil.which("apt-get"), "promtool is needed: install Prometheus, or put promtool into PATH"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        failure = _apt_get(folder, "download", "prometheus")
        if failure and os.getuid() == 0:
            # The lists of packages are missing or old.
            failure = _apt_get(folder, "update", "-q") or _apt_get(folder, "download", "prometheus")
        assert not failure, failure
        (package,) = Path(folder).glob("prometheus_*.deb")
        archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True, timeout=300)
        extract = ["tar", "-x", "-C", folder, "./usr/bin/promtool"]
        subprocess.run(extract, input=archive.stdout, check=True, timeout=300)
        # Another test run may be faster; theirs is the same.
        os.replace(Path(folder) / "usr/bin/promtool", kept)


def _apt_get(folder, *args):
    """Runs apt-get in the folder; what it printed if it fails, and None otherwise."""
    done = subprocess.run(["apt-get", *args], cwd=folder, capture_output=True, text=True, timeout=300)
    failure = f"apt-get {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return failure if done.returncode else None
