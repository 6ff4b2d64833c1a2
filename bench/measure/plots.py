"""Draws what was measured: `plots.py RESULTS FOLDER`, with the library of bench/requirements.txt."""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# The same results give the same file, and its text can be read.
matplotlib.rcParams.update({
    "svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9, "axes.grid": True,
    "grid.color": "#dddddd", "axes.spines.top": False, "axes.spines.right": False,
    "figure.facecolor": "white", "lines.markersize": 4,
})
from matplotlib import pyplot  # noqa: E402, the back end is chosen first

COLOURS = {"service": "#0b6e99", "baseline": "#c4622d"}


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def plain(axis):
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,g}"))


def logarithmic(axis):
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def connections(found, folder):
    figure, axes = pyplot.subplots(2, 3, figsize=(10, 5.4), sharex=True)
    for column, kind in enumerate(["get", "post", "patch"]):
        for name, colour in COLOURS.items():
            points = [one for one in found["measured"] if (one["kind"], one["name"]) == (kind, name)]
            counts = [one["connections"] for one in points]
            for row, key in enumerate(["rate", "p99"]):
                axes[row][column].plot(counts, [one[key] for one in points], "o-", color=colour, label=name)
        axes[0][column].set_title(kind.upper())
        plain(axes[0][column])
        logarithmic(axes[1][column])
        axes[1][column].set_xscale("log", base=2)
        axes[1][column].set_xticks(counts, [str(count) for count in counts])
        axes[1][column].set_xlabel("connections")
    axes[0][0].set_ylabel("requests a second")
    axes[1][0].set_ylabel("p99, ms")
    axes[0][0].legend(frameon=False)
    save(figure, folder / "connections.svg")


def growth(found, folder):
    steps = found["steps"]
    names = list(steps[0]["operations"])
    searches = [name for name in names if name.startswith("search")]
    groups = [[name for name in names if name not in searches], searches]
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 6.4), sharex=True, sharey="row")
    for column, group in enumerate(groups):
        for name in group:
            for row, key in enumerate(["rate", "p99"]):
                values = [statistics.median(one[key] for one in step["operations"][name]) for step in steps]
                axes[row][column].plot([step["customers"] for step in steps], values, "o-",
                                       label=name.removeprefix("search by "))
        axes[1][column].set_xscale("log")
        axes[1][column].set_xlabel("customers")
        sizes = [step["customers"] for step in steps]
        axes[1][column].set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes[1][column].minorticks_off()
        axes[0][column].set_title(["reads, pages, creations", "searches"][column])
        axes[0][column].legend(frameon=False, ncols=2, fontsize=8, loc="upper left")
    axes[0][0].set_ylabel("requests a second, 1 connection")
    axes[1][0].set_ylabel("p99, ms")
    plain(axes[0][0])
    logarithmic(axes[1][0])
    # Room for the legends.
    highest = axes[0][0].get_ylim()[1]
    axes[0][0].set_ylim(top=highest * 1.45)
    save(figure, folder / "growth.svg")


def soak(found, folder):
    figure, axis = pyplot.subplots(figsize=(10, 2.8))
    axis.plot([second / 60 for second in range(len(found["memory"]))], found["memory"], color=COLOURS["service"])
    axis.set_xlabel("minutes at full load")
    axis.set_ylabel("resident memory, MB")
    axis.set_xlim(left=0)
    plain(axis)
    save(figure, folder / "memory.svg")


def main():
    results, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for draw in [connections, growth, soak]:
        found = results / f"{draw.__name__}.json"
        if found.exists():
            draw(json.loads(found.read_text()), folder)


if __name__ == "__main__":
    main()
