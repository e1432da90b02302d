"""Pictures of saved benchmarks: one SVG for each kind, the same bytes for the same figures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "bilans", "svg.fonttype": "none", "font.size": 9, "axes.axisbelow": True})

from matplotlib import pyplot as plt  # noqa: E402 - the back end is chosen before
from matplotlib.axes import Axes  # noqa: E402

Document = dict[str, Any]
_BLUE, _ORANGE, _GREY = "#1f5f99", "#d9730d", "#8a8a8a"


def draw(saved: Path, out: Path) -> Iterator[Path]:
    """Draws what there is to draw of the newest exact run of each benchmark; gives the files' paths."""
    newest: dict[str, Document] = {}
    for line in saved.read_bytes().splitlines():
        document = orjson.loads(line)
        if document["exact"]:
            newest[document["bench"]] = document
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in _PICTURES.items():
        if name in newest:
            path = out / f"{name}.svg"
            picture(newest[name], path)
            yield path


def _save(path: Path, document: Document) -> None:
    machine = document["machine"]
    note = f"{machine['cpu']}, {machine['cores']} cores; load {document['load_begin']}; {document['began_at'][:10]}"
    plt.figtext(0.99, 0.005, note, ha="right", fontsize=6, color=_GREY)
    plt.tight_layout(rect=(0, 0.02, 1, 1))
    plt.savefig(path, format="svg", metadata={"Date": None})
    plt.close()


def _bars(axes: Axes, names: list[str], values: list[float], color: str = _BLUE, form: str = "{:,.0f}") -> None:
    """Lying bars, the first on top, each with its figure."""
    places = range(len(names), 0, -1)
    axes.barh(list(places), values, color=color, height=0.65)
    axes.set_yticks(list(places), names)
    for place, value in zip(places, values, strict=True):
        axes.annotate(form.format(value), (value, place), xytext=(3, 0), textcoords="offset points", va="center")
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)


def _kernel(document: Document, path: Path) -> None:
    rows = [row for row in document["rows"] if row["series"] is not None and row["order"] != "plain reference"]
    _, axes = plt.subplots(figsize=(6.5, 2.8))
    names = [f"{row['series']:,} series, {row['order']}" for row in rows]
    _bars(axes, names, [row["ns_a_reading"] for row in rows], form="{:.1f}")
    axes.set_xlabel("nanoseconds a reading")
    _save(path, document)


def _peers(document: Document, path: Path) -> None:
    rows = [row for row in document["rows"] if row.get("readings_per_second")]
    rows.sort(key=lambda row: -row["readings_per_second"])
    _, axes = plt.subplots(figsize=(6.5, 0.5 + 0.4 * len(rows)))
    names = [f"{row['peer']}{'' if row.get('exact') in (True, 'yes') else ' (not exact)'}" for row in rows]
    _bars(axes, names, [row["readings_per_second"] / 1000 for row in rows])
    axes.set_xlabel("thousand readings a second, JSON, one a message, to exact quarter-hourly sums of each zone")
    _save(path, document)


def _scale(document: Document, path: Path) -> None:
    kinds = [kind for kind in ("readings", "meters", "zones", "windows") if _of(document, kind)]
    _, all_axes = plt.subplots(1, len(kinds) + 1, figsize=(2.4 * (len(kinds) + 1), 2.8))
    parts = _of(document, "parts")
    if parts:
        names = [row["what"].replace(" partitions, ", " p ").replace(" balancers", " b") for row in parts]
        _bars(all_axes[0], names, [row["readings_per_second"] / 1e6 for row in parts], form="{:.1f}")
    all_axes[0].set_xlabel("million readings a second")
    for axes, kind in zip(all_axes[1:], kinds, strict=True):
        _growth(axes, kind, _of(document, kind))
    _save(path, document)


def _of(document: Document, kind: str) -> list[Document]:
    return [row for row in document["rows"] if row["by"] == kind]


def _growth(axes: Axes, kind: str, rows: list[Document]) -> None:
    """Seconds against size on logarithmic axes; the grey line is what linear growth from the first run would be."""
    sizes, seconds = [float(row["what"]) for row in rows], [row["seconds"] for row in rows]
    axes.loglog(sizes, [seconds[0] * size / sizes[0] for size in sizes], color=_GREY, linewidth=1, linestyle=":")
    axes.loglog(sizes, seconds, color=_BLUE, marker="o", markersize=3)
    axes.set_xlabel(kind)
    axes.set_ylabel("seconds")
    axes.minorticks_off()
    axes.set_xticks(sizes, [_short(size) for size in sizes])
    axes.set_yticks([min(seconds), max(seconds)], [f"{min(seconds):.2g}", f"{max(seconds):.2g}"])
    axes.spines[["top", "right"]].set_visible(False)


def _short(size: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return f"{size:g}"


_PICTURES: dict[str, Callable[[Document, Path], None]] = {"kernel": _kernel, "peers": _peers, "scale": _scale}
