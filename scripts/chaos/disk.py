"""A small disk for the second lake: a tmpfs that is filled up and emptied again.

Mounting needs the right to do so (root, on Linux). Without it the lake is in a folder, and the disk is never full; the
report says so.
"""

import contextlib
import os
import subprocess
from pathlib import Path

SIZE = 192 << 20
BLOCK = bytes(64 << 10)


class Disk:
    """A folder on a disk of its own, or a plain folder if that is unavailable."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "lambdalake-chaos", str(self.folder)]
        try:
            self.is_small = subprocess.run(command, capture_output=True).returncode == 0
        except OSError:
            self.is_small = False

    @property
    def filler(self):
        return self.folder / "filler"

    def fill(self):
        """Fills all the space that is left."""
        if not self.is_small:
            return
        with contextlib.suppress(OSError), self.filler.open("ab", buffering=0) as file:
            while True:
                file.write(BLOCK)

    def empty(self):
        """Frees the space."""
        self.filler.unlink(missing_ok=True)

    def used_share(self):
        """The used share of the disk, 0 to 1."""
        found = os.statvfs(self.folder)
        return 1 - found.f_bavail / found.f_blocks

    def close(self):
        """Unmounts it; its contents are deleted."""
        if self.is_small:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)
            self.is_small = False
