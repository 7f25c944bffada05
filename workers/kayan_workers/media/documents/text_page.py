"""The first page of a text: running words, a table for CSV, headings for Markdown and HTML."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

from kayan_workers.media.documents.text import Text, table_rows
from kayan_workers.media.documents.typeset import MAX_CHARACTERS, MAX_ROWS, Flow, Page, Paragraph, Sheet

TABLES = (".csv", ".tsv")
MARKDOWN = (".md", ".markdown")
_UNSEEN = {"script", "style", "template", "noscript"}
_BREAKING = {"p", "div", "br", "li", "tr", "table", "ul", "ol", "section", "article", "header", "footer", "pre", "blockquote", "title"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MAX_HTML = 400_000


def text_page(source: Path, text: Text) -> Page:
    """What the name's ending says it is: a table, Markdown, or words as they stand."""
    if source.suffix.lower() in TABLES:
        with suppress(csv.Error):
            rows = list(islice(table_rows(source, text), MAX_ROWS))
            return Sheet(rows, leftward=_is_arabic("".join(rows[0]) if rows else ""))
    if source.suffix.lower() in MARKDOWN:
        return Flow([*_markdown(text.beginning[:MAX_CHARACTERS])])
    return Flow([Paragraph(text.beginning[:MAX_CHARACTERS].expandtabs(4))])


def html_page(html: HtmlText) -> Page:
    return Flow([*html.paragraphs])


def _is_arabic(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    return sum("\u0600" <= letter <= "\u06ff" for letter in letters) > len(letters) / 2


def _markdown(text: str) -> list[Paragraph]:
    paragraphs: list[Paragraph] = []
    joined = False
    for line in text.splitlines():
        words = re.sub(r"!?\[([^\]]{0,300})\]\([^)]{0,500}\)", r"\1", line.strip())
        words = re.sub(r"(\*\*|__|`|~~)", "", words)
        if heading := re.match(r"(#{1,6}) +(.*)", words):
            paragraphs.append(Paragraph(heading[2].rstrip("# "), level=len(heading[1])))
        elif bullet := re.match(r"[-*+] +(.*)", words):
            paragraphs.append(Paragraph(bullet[1], bullet=True))
        elif joined and words and paragraphs and not paragraphs[-1].level:
            paragraphs[-1] = Paragraph(f"{paragraphs[-1].text} {words}", bullet=paragraphs[-1].bullet)
        elif words.strip("-=*_ "):
            paragraphs.append(Paragraph(words))
        joined = bool(words) and not (paragraphs and paragraphs[-1].level)
    return paragraphs


class HtmlText(HTMLParser):
    """What a reader sees of an HTML file: nothing of it is run, and nothing it names is opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.paragraphs: list[Paragraph] = []
        self._words: list[str] = []
        self._unseen = self._level = 0
        self._bullet = self._in_title = False
        self.feed(text[:_MAX_HTML])
        self.close()
        self._break()

    @property
    def text(self) -> str:
        return "\n".join(paragraph.text for paragraph in self.paragraphs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BREAKING or tag in _HEADINGS:
            self._break()
            self._level = _HEADINGS.get(tag, 0)
            self._bullet = tag == "li"
        self._in_title = tag == "title"
        if tag in ("td", "th"):
            self._words.append("  ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= self._unseen > 0 and tag in _UNSEEN
        if tag in _BREAKING or tag in _HEADINGS:
            self._break()
            self._level, self._bullet, self._in_title = 0, False, False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = (self.title + data)[:500]
        elif not self._unseen:
            self._words.append(data)

    def _break(self) -> None:
        words = " ".join("".join(self._words).split())
        self._words = []
        if words:
            self.paragraphs.append(Paragraph(words, self._level, self._bullet))
