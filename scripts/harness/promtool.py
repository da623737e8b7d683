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
    kept = _cache_folder() / "promtool-debian" / "promtool"
    if not kept.exists():
        _unpack(kept)
    return str(kept)


def _cache_folder():
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdalake"
    return Path(os.environ.get("LAMBDALAKE_CACHE") or default)


def _unpack(kept):
    assert shutil.which("apt-get"), "promtool is needed: install Prometheus, or put promtool into PATH"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        if not _download(folder) and os.getuid() == 0:
            # The lists of packages are missing or old.
            subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True, timeout=300)
            _download(folder)
        (package,) = Path(folder).glob("prometheus_*.deb")
        archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True, timeout=300)
        extract = ["tar", "-x", "-C", folder, "./usr/bin/promtool"]
        subprocess.run(extract, input=archive.stdout, check=True, timeout=300)
        # Another test run may be faster; theirs is the same.
        os.replace(Path(folder) / "usr/bin/promtool", kept)


def _download(folder):
    asked = subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, capture_output=True, text=True, timeout=300)
    return asked.returncode == 0
