"""Draws the charts of all parts into one picture: ``python benchmarks/plot.py OUT.svg < JSON``.

Runs in the Python of ``bench_venv``, which has matplotlib. The JSON is a list of charts, as
``part.Chart`` has them.
"""

import json
import sys
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "penstock"  # The same figures make the same file.
mpl.rcParams["svg.fonttype"] = "path"

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of how to draw
from matplotlib.axes import Axes  # noqa: E402

_OURS, _THEIRS, _INK = "#1f6f5c", "#9aa5b1", "#1c2733"
_BAR = 0.34
"""Inches of height."""
_HEAD = 0.95
_WIDTH = 9.0


def main() -> None:
    charts = json.load(sys.stdin)
    heights = [_HEAD + _BAR * len(chart["bars"]) for chart in charts]
    figure, panels = plt.subplots(
        len(charts),
        1,
        figsize=(_WIDTH, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
        facecolor="white",  # A card of its own, on a light page and on a dark one.
    )
    for chart, (panel,) in zip(charts, panels, strict=True):
        _draw(panel, chart)
    figure.savefig(sys.argv[1], metadata={"Date": None})


def _draw(panel: Axes, chart: dict[str, Any]) -> None:
    names = list(chart["bars"])
    low, middle, high = zip(*chart["bars"].values(), strict=True)
    places = range(len(names))
    whiskers = [
        [a - b for a, b in zip(middle, low, strict=True)],
        [a - b for a, b in zip(high, middle, strict=True)],
    ]
    colours = [_OURS if _is_ours(name) else _THEIRS for name in names]
    panel.barh(places, middle, color=colours, height=0.66)
    panel.errorbar(middle, places, xerr=whiskers, fmt="none", ecolor=_INK, elinewidth=1, capsize=3)
    far = max(high)
    for place, end, figure in zip(places, high, middle, strict=True):
        panel.text(end + far * 0.012, place, _shown(figure), va="center", fontsize=9, color=_INK)
    panel.set_yticks(places, [name.replace("`", "") for name in names], fontsize=9, color=_INK)
    panel.invert_yaxis()
    panel.set_xlim(0, far * 1.16)
    panel.set_xlabel(chart["unit"], fontsize=9, color=_INK)
    panel.set_title(chart["title"], loc="right", fontsize=11, color=_INK)
    panel.tick_params(colors=_INK, labelsize=9)
    panel.spines[["top", "right"]].set_visible(False)


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"  # noqa: PLR2004 - three digits


def _is_ours(name: str) -> bool:
    return name.lower().startswith(("ours", "penstock"))


if __name__ == "__main__":
    main()
