"""Terms of the glossary in the chapters: the first mention on a page leads there.

The link carries the definition, the first sentence of it, which ``book.css`` shows to a
mouse and to the keyboard. The notebooks themselves stay as they are.
"""

from __future__ import annotations

import re
from itertools import takewhile

from docutils import nodes
from sphinx.errors import ExtensionError

GLOSSARY = "book/glossary"
CHAPTERS = "chapters/"
# Escape puts a definition away, until another term is pointed at or reached.
DISMISS = """{
  const quiet = (now) => document.documentElement.classList.toggle("book-quiet", now);
  addEventListener("keydown", (event) => event.key == "Escape" && quiet(true));
  const speak = (event) => event.target.matches(".book-term") && quiet(false);
  for (const name of ["mouseover", "focusin"]) addEventListener(name, speak);
}"""
# In these a word is no mention.
NO_PROSE = (nodes.literal, nodes.math, nodes.reference, nodes.title, nodes.caption)


class Term(nodes.inline):
    """A mention that leads to the glossary."""


def open_term(writer, node: Term) -> None:
    """Begin the link. A description is read out after the word, and not as the word."""
    given = {"href": node["address"], "aria-description": node["definition"]}
    writer.body.append(writer.starttag(node, "a", "", CLASS="book-term", **given))


def close_term(writer, node: Term) -> None:
    """End the link."""
    writer.body.append("</a>")


def glossary(app) -> dict[str, tuple[str, str]]:
    """Read where each term stands in the glossary, and its definition."""
    found = {}
    for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        *names, text = item.children
        # What is shown over a page is plain text: it ends before the first formula.
        plain = takewhile(lambda part: not isinstance(part, nodes.math), text[0])
        start = " ".join("".join(part.astext() for part in plain).split())
        first = re.match(r".+?\.(?= |$)", start)
        if not first:
            raise ExtensionError(f"glossary: a formula before a full stop: {start!r}")
        for name in names:
            found[name.astext().lower()] = (name["ids"][0], first[0])
    return found


def link(app, doctree, docname: str) -> None:
    """Link what a chapter mentions."""
    if not docname.startswith(CHAPTERS):
        return
    page, left = app.builder.get_relative_uri(docname, GLOSSARY), glossary(app)
    for text in [text for text in doctree.findall(nodes.Text) if is_prose(text)]:
        text.parent.replace(text, linked(text.astext(), left, page))


def is_prose(text: nodes.Text) -> bool:
    """Say whether a text belongs to a paragraph, and to nothing that is no prose."""
    above = [text.parent]
    while above[-1].parent:
        above.append(above[-1].parent)
    kinds = [isinstance(node, nodes.paragraph) for node in above]
    return any(kinds) and not any(isinstance(node, NO_PROSE) for node in above)


def linked(text: str, left: dict[str, tuple[str, str]], page: str) -> list[nodes.Node]:
    """Cut a text at the terms that are left, which are used up by that."""
    made = []
    while left:
        names = sorted(left, key=len, reverse=True)  # "score function" before "score"
        found = re.search("|".join(map(mention, names)), text, re.IGNORECASE)
        if not found:
            break
        place, definition = left.pop(names[found.lastindex - 1])
        address = f"{page}#{place}"
        made.append(nodes.Text(text[: found.start()]))
        made.append(Term("", found[0], address=address, definition=definition))
        text = text[found.end() :]
    return [*made, nodes.Text(text)]


def mention(name: str) -> str:
    """Match a term, or its plural, or the term with a hyphen, as a group of its own."""
    stem = re.sub(r"y$", "(?:y|ie)", re.escape(name).replace(r"\ ", r"[\s-]"))
    return rf"\b({stem})(?:e?s)?\b"


def setup(app) -> None:
    """Connect the pieces."""
    app.add_js_file(None, body=DISMISS)
    app.add_node(Term, html=(open_term, close_term))
    app.connect("doctree-resolved", link)
