"""What all measurements share: the machine that they were made on, and how they are written down."""

import json
import statistics
import sys


def peak_resident_mib(usage):
    """The peak resident memory of a process in MiB, from what the kernel counted for it (wait4)."""
    return usage.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


def spread(values, form, unit=""):
    """The median with the least and the greatest, for a table; a dash where there is nothing."""
    if None in values:
        return "–"
    middle, least, greatest = (form.format(f(values)) for f in (statistics.median, min, max))
    return f"{middle}{unit}" if least == greatest else f"{middle}{unit} ({least} to {greatest})"


class Steps:
    """The figures of the steps done, each a line of JSON in `benchmarks/<name>.steps.jsonl` as soon as it is there, so that
    a step that fails late takes none along. The file goes when the report is published.
    """

    def __init__(self, docs, name):
        self.path = steps_of(docs, name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)

    def add(self, **figures):
        with self.path.open("a") as file:
            file.write(json.dumps(figures) + "\n")


def steps_of(docs, name):
    return docs / "benchmarks" / f"{name}.steps.jsonl"


def publish(docs, name, report, text, section=None):
    """Writes a report to `benchmarks/<name>.json`, and its text between the markers of that name, or of `section`, in
    `benchmarks.md`."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    begin, end = f"<!-- bench: {section or name} -->", f"<!-- end of bench: {section or name} -->"
    path = docs / "benchmarks.md"
    page = path.read_text() if path.exists() else "# Benchmarks\n"
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
    steps_of(docs, name).unlink(missing_ok=True)
