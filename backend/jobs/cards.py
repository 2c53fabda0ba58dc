"""A model's card (Markdown) as HTML that runs nothing. Pure.

What comes out is made of our own tags alone; every word of the card is escaped. Links lead to
http(s) addresses; pictures are the model's own. A line that is a comment is left out; what is not
understood is shown as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"\s*(?:[-*+]|(\d{1,3})[.)])\s+(.*)$")
_RULE = re.compile(r"\s*([-*_])(?:\s*\1){2,}\s*$")
_TABLE_LINE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_COMMENT = re.compile(r"\s*<!--(?:(?!-->).)*-->\s*$")
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|!\[(?P<alt>[^\]]*)\]\((?P<picture>[^)\s]+)\)"
    r"|\[(?P<words>[^\]]+)\]\((?P<link>[^)\s]+)\)"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|(?<![\w*])[*_](?P<em>[^*_\s][^*_]*)[*_](?![\w*])"
)
# Headings of a card lie below the page's own.
TOP = 2

PictureAddress = Callable[[str], str | None]


def card_html(text: str, picture: PictureAddress = lambda _: None) -> str:
    """The card as HTML; its first heading is left out (the page has it).

    Args:
        text: Markdown: headings, paragraphs, lists, tables, code, quotes, links, pictures.
        picture: a picture's name in the model's folder → its address, or None for one not shown.
    """
    lines = text.replace("\r\n", "\n").replace("\0", "").split("\n")
    if lines and _HEADING.match(lines[0]) and lines[0].startswith("# "):
        lines = lines[1:]
    return "\n".join(_blocks(lines, picture))


def _blocks(lines: list[str], picture: PictureAddress) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip() or _COMMENT.match(line):
            at += 1
        elif line.lstrip().startswith("```"):
            end = _until(lines, at + 1, lambda one: one.lstrip().startswith("```"))
            found.append(f"<pre><code>{escape(chr(10).join(lines[at + 1 : end]))}</code></pre>")
            at = end + 1
        elif heading := _HEADING.match(line):
            level = min(len(heading[1]) + TOP - 1, 6)
            found.append(f"<h{level}>{_inline(heading[2], picture)}</h{level}>")
            at += 1
        elif _RULE.match(line):
            found.append("<hr>")
            at += 1
        elif "|" in line and at + 1 < len(lines) and _TABLE_LINE.match(lines[at + 1]):
            end = _until(lines, at + 2, lambda one: "|" not in one)
            found.append(_table([line, *lines[at + 2 : end]], picture))
            at = end
        elif _ITEM.match(line):
            end = _until(lines, at + 1, _ends_list)
            found.append(_list(lines[at:end], picture))
            at = end
        elif line.lstrip().startswith(">"):
            end = _until(lines, at + 1, lambda one: not one.lstrip().startswith(">"))
            quoted = [one.lstrip()[1:].removeprefix(" ") for one in lines[at:end]]
            found.append(f"<blockquote>{''.join(_blocks(quoted, picture))}</blockquote>")
            at = end
        else:
            end = _until(lines, at + 1, _ends_paragraph)
            found.append(f"<p>{_inline(' '.join(map(str.strip, lines[at:end])), picture)}</p>")
            at = end
    return found


def _until(lines: list[str], start: int, is_end: Callable[[str], object]) -> int:
    return next((n for n in range(start, len(lines)) if is_end(lines[n])), len(lines))


def _ends_paragraph(line: str) -> bool:
    starts = line.lstrip().startswith(("```", ">"))
    kinds = (_HEADING, _ITEM, _COMMENT)
    return not line.strip() or starts or any(kind.match(line) for kind in kinds)


def _ends_list(line: str) -> bool:
    """A list goes on with items and with what is indented below one."""
    return not line.strip() or not (line.startswith("  ") or _ITEM.match(line))


def _list(lines: list[str], picture: PictureAddress) -> str:
    items: list[str] = []
    ordered = False
    for line in lines:
        if found := _ITEM.match(line):
            ordered = ordered or found[1] is not None
            items.append(found[2])
        else:
            items[-1] += " " + line.strip()
    tag = "ol" if ordered else "ul"
    shown = "".join(f"<li>{_inline(item, picture)}</li>" for item in items)
    return f"<{tag}>{shown}</{tag}>"


def _table(lines: list[str], picture: PictureAddress) -> str:
    head, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    top = "".join(f'<th scope="col">{_inline(cell, picture)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_inline(cell, picture)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<table class="table list"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _inline(text: str, picture: PictureAddress) -> str:
    found, at = [], 0
    for match in _INLINE.finditer(text):
        found.append(escape(text[at : match.start()]))
        found.append(_part(match, picture))
        at = match.end()
    return "".join(found) + escape(text[at:])


def _part(match: re.Match[str], picture: PictureAddress) -> str:
    if code := match["code"]:
        return f"<code>{escape(code)}</code>"
    if name := match["picture"]:
        address = picture(name)
        alt = escape(match["alt"])
        shown = f'<img src="{escape(address or "")}" alt="{alt}" loading="lazy">'
        return shown if address else f'<span class="muted">[{alt}]</span>'
    if link := match["link"]:
        words = escape(match["words"])
        if link.startswith(("https://", "http://")):
            return f'<a href="{escape(link)}" rel="noreferrer noopener">{words}</a>'
        return words
    if strong := match["strong"]:
        return f"<strong>{escape(strong)}</strong>"
    return f"<em>{escape(match['em'])}</em>"
