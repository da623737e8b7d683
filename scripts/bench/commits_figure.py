"""The curves of commits.py as SVG: the duration of a commit, and what could make it grow."""

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "lambdalake"  # the same figures give the same file

from matplotlib import pyplot

PANELS = [
    ("Commit, ms", {"median": "commit_ms", "99 %": "commit_p99_ms"}),
    ("Checkpoint and clean-up, ms", {"median": "checkpoint_ms"}),
    ("Opening the table again, ms", {"": "open_ms"}),
    ("Log, MiB", {"all of it": "log_mib", "largest checkpoint": "checkpoint_mib"}),
    ("Entries in the log", {"": "log_entries"}),
    ("Resident memory, MiB", {"": "resident_mib"}),
]


def draw(points, path):
    """Draws the points into `path`."""
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 6), sharex=True, layout="constrained")
    for (title, curves), axis in zip(PANELS, axes.flat):
        axis.set_title(title, fontsize=10)
        for label, name in curves.items():
            known = [point for point in points if point[name] is not None]
            axis.plot([point["commits"] for point in known], [point[name] for point in known], label=label, linewidth=1)
        if len(curves) > 1:
            axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
    for axis in axes[-1]:
        axis.set_xlabel("commits")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
