"""What all measurements share: the machine, and how reports are written."""

import json
import statistics
import sys


def peak_resident_mib(usage):
    """The peak resident memory of a process in MiB, from what the kernel counted for it (wait4)."""
    return usage.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


def spread(values, form, unit=""):
    """The median with the least and the greatest value, for a table; a dash if there are no values."""
    if None in values:
        return "–"
    middle, least, greatest = (form.format(f(values)) for f in (statistics.median, min, max))
    return f"{middle}{unit}" if least == greatest else f"{middle}{unit} ({least} to {greatest})"


class Steps:
    """The figures of completed steps, each written at once as a line of JSON in `benchmarks/<name>.steps.jsonl`, so
    that a step that fails later loses none of them. The file is deleted when the report is published.
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
