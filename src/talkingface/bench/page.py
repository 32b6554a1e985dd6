"""One self-contained page: videos, curves and tables in a single HTML file that opens anywhere."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .3rem .9rem; text-align: right }
td:first-child, th:first-child { text-align: left } tr { border-bottom: 1px solid #d6dde4 }
tr.control td { color: #55626f }
caption { text-align: left; font-weight: 600 } .grid { display: grid; gap: .8rem;
grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)) } .grid figure { margin: 0 }
video, img { width: 100%; border-radius: 6px; background: #000 } figure { margin: 1rem 0 }
.scroll { overflow-x: auto; font-size: .85rem } .scroll td, .scroll th { padding: .3rem .5rem }
.scroll td { white-space: nowrap } .scroll span { display: block }
.words { font-size: .85rem } .words td, .words th { padding: .3rem .5rem; text-align: left }
.words td:first-child, .words td:last-child { overflow-wrap: anywhere }
figcaption, .note { color: #55626f; font-size: .9rem } pre { background: #f4f6f8; padding: 1rem; overflow-x: auto;
font-size: .8rem; border-radius: 6px } svg { width: 100%; height: auto }
"""


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """The whole file.

    Args:
        title: of the page.
        lead: the first paragraph, as text.
        sections: heading and body, the body as HTML.
    """
    body = "".join(f"<h2>{html.escape(heading)}</h2>{content}" for heading, content in sections)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>{body}</html>\n"
    )


def paragraph(text: str, kind: str = "note") -> str:
    """A paragraph of text."""
    return f"<p class={kind}>{html.escape(text)}</p>"


def listing(text: str) -> str:
    """Preformatted text."""
    return f"<pre>{html.escape(text)}</pre>"


def video(path: Path, caption: str) -> str:
    """A video inside the page, playing in a loop."""
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><video autoplay loop muted playsinline src="data:video/mp4;base64,{data}"></video>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def picture(path: Path, caption: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img src="data:image/png;base64,{data}"><figcaption>{html.escape(caption)}</figcaption></figure>'


def scroll(content: str) -> str:
    """Something wide, in small print."""
    return f"<div class=scroll>{content}</div>"


def words(content: str) -> str:
    """A table of sentences and file names, in small print, whose lines break."""
    return f"<div class=words>{content}</div>"


def grid(items: Sequence[str]) -> str:
    """Things beside each other, as many as fit."""
    return f"<div class=grid>{''.join(items)}</div>"


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], across: str, up: str) -> str:
    """A line chart as SVG.

    Args:
        lines: name → points (x, y); lines without points are left out.
        across, up: what the axes show.
    """
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return paragraph(f"no {up} was logged")
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    width, margin, across_legend = 900, 56, 4
    above = 16 * (math.ceil(len(lines) / across_legend) - 1)  # further rows of names
    height = 260 + above

    def at(x: float, y: float) -> str:
        across_share = (x - left) / ((right - left) or 1)
        up_share = (y - low) / ((high - low) or 1)
        return f"{margin + across_share * (width - 2 * margin):.1f},{height - 34 - up_share * 200:.1f}"

    colours = ("#2b7a4b", "#8a8f98", "#b4552d", "#3c5fa8", "#8b3d8f", "#b08a1e", "#2f9aa0", "#c2477f")
    drawn = []
    for index, (name, points) in enumerate(lines.items()):
        colour = colours[index % len(colours)]
        path = " ".join(at(x, y) for x, y in points)
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        x, y = margin + 200 * (index % across_legend), 14 + 16 * (index // across_legend)
        drawn.append(f'<text x="{x}" y="{y}" fill="{colour}" font-size="13">{html.escape(name)}</text>')
    labels = (
        f'<text x="4" y="{height - 34}" font-size="12">{low:.3g}</text>'
        f'<text x="4" y="{30 + above}" font-size="12">{high:.3g}</text>'
        f'<text x="{width - margin}" y="{height - 6}" text-anchor="end" font-size="12">{right:.0f}</text>'
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle" font-size="12">{html.escape(across)}</text>'
    )
    frame = (
        f'<rect x="{margin}" y="{26 + above}" width="{width - 2 * margin}" height="200" fill="none" stroke="#d6dde4"/>'
    )
    return (
        f'<figure><svg viewBox="0 0 {width} {height}">{frame}{"".join(drawn)}{labels}</svg>'
        f"<figcaption>{html.escape(up)}</figcaption></figure>"
    )
