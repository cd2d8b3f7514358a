"""Looks at an HTML page: what it refers to, and whether its elements are closed in order."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}
ACTIVE = {"script", "link", "iframe", "object"}


class Checker(HTMLParser):
    """Collects tags, links and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.images_without_text = 0
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [str(given[key]) for key in ("src", "href", "xlink:href") if key in given]
        self.ids += [str(given["id"])] if "id" in given else []
        self.images_without_text += tag == "img" and not given.get("alt")
        self.images_without_text += tag == "svg" and not given.get("aria-label")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def look_at(page: str, *, beside: str = "", is_active: bool = False) -> Checker:
    """Check what holds for every page: it is whole, safe, and needs nothing from elsewhere.

    One page may refer to a file beside it, and be active by a script of its own.
    """
    checker = Checker()
    checker.feed(page)
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert checker.open == []
    assert checker.images_without_text == 0
    assert [tag for tag in checker.tags if tag in ACTIVE] == ["script"] * is_active
    assert not re.search(r"url\((?!#)|@import|https?://", page)
    inside = ("data:image/png;base64,", "data:image/jpeg;base64,", "#")
    assert all(link.startswith(inside) or link == beside for link in checker.links)
    assert len(set(checker.ids)) == len(checker.ids)
    return checker
