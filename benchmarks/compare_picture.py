"""docs/pictures/benchmark.svg: what benchmarks/run has measured, as bars. Pure: the same result always gives the same picture."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.compare_table import LABELS, Case, Result

WIDTH, LABEL, BAR, LINE, GROUP = 760, 190, 440, 22, 50
"""Pixels: the picture, the names on the left, the longest bar, a bar with its gap, and around a group."""

COLOURS = {"novaops": "ours", "novaops-warm": "ours", "ssh": "limit"}

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>Seconds that each tool takes for the same work</title>
<style>
text {{ font: 13px -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; fill: #57606a; }}
text.name {{ text-anchor: end; }}
text.work {{ font-weight: bold; font-size: 15px; fill: #1f2328; }}
rect.bar {{ fill: #afb8c1; }}
rect.ours {{ fill: #2da44e; }}
rect.limit {{ fill: #54aeff; }}
rect.card {{ rx: 10px; fill: #f6f8fa; stroke: #d0d7de; }}
</style>
<rect class="card" x="1" y="1" width="{inner_width}" height="{inner_height}"/>
{shapes}
</svg>
"""
"""A card of its own colour, so that it can be read on light and on dark pages."""


def draw(result: Result) -> str:
    shapes: list[str] = []
    y = 14
    for case in result.cases:
        group = list(_group(result, case, y))
        if group:
            shapes += group
            y += GROUP + LINE * len(_medians(result, case))
    y += 28
    shapes.append(f'<text x="20" y="{y - 14}">Seconds, medians. Each group has a scale of its own.</text>')
    return SVG.format(width=WIDTH, height=y + 2, inner_width=WIDTH - 2, inner_height=y, shapes="\n".join(shapes))


def _medians(result: Result, case: Case) -> dict[str, float]:
    """By tool; without what failed."""
    found = {tool: result.median(case, tool) for tool in result.tools(case)}
    return {tool: median for tool, median in found.items() if median is not None}


def _group(result: Result, case: Case, top: int) -> Iterator[str]:
    medians = _medians(result, case)
    if not medians:
        return
    longest = max(medians.values())
    yield f'<text class="work" x="20" y="{top + 20}">{_plain(str(case))}</text>'
    for number, (tool, seconds) in enumerate(medians.items()):
        y = top + 32 + number * LINE
        width = max(2, round(BAR * seconds / longest))
        yield f'<text class="name" x="{LABEL - 10}" y="{y + 12}">{_plain(LABELS[tool])}</text>'
        yield f'<rect class="bar {COLOURS.get(tool, "peer")}" x="{LABEL}" y="{y}" width="{width}" height="{LINE - 6}"/>'
        yield f'<text x="{LABEL + width + 8}" y="{y + 12}">{seconds:.{1 if seconds >= 1 else 2}f} s</text>'


def _plain(label: str) -> str:
    return label.replace("`", "")
