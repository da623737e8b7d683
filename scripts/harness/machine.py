"""The machine that figures are measured on."""

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path


def machine():
    """What the figures were measured on."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "system": platform.system(),
        "rustc": compiler,
    }


def described(machine):
    """The machine for people."""
    return (
        f"Measured on {machine['date']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}; rustc {machine['rustc']}, release profile."
    )
