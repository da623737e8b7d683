"""The curves of scale.py as SVG: for each dimension the cost of an event, and memory."""

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "lambdalake"  # the same figures give the same file

from matplotlib import pyplot


def draw(dimensions, labels, path):
    """Draws the runs of each dimension into `path`."""
    figure, axes = pyplot.subplots(2, len(dimensions), figsize=(3 * len(dimensions), 6), sharey="row", layout="constrained")
    for (name, runs), column in zip(dimensions.items(), axes.T):
        values = [str(run["value"]) for run in runs]
        cost, memory = column
        cost.plot(values, [run["cpu_seconds_per_million"] for run in runs], marker="o")
        memory.plot(values, [run["peak_resident_mib"] for run in runs], marker="o", label="peak")
        memory.plot(values, [run["steady_resident_mib"] for run in runs], marker="o", label="steady")
        memory.set_xlabel(labels[name])
    axes[0, 0].set_ylabel("CPU seconds per million events")
    axes[1, 0].set_ylabel("resident memory, MiB")
    axes[1, 0].legend(fontsize=8)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
