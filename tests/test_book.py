"""The book is whole: one table of contents, one address, and no page calls out."""

from __future__ import annotations

import ast
import html
import importlib.util
import io
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import address as address_tool
import numpy as np
import pytest
import yaml
from PIL import Image

from course import ROOT, address, book_address, colab_address, notebooks, pages

PAGE_KB = 800  # a page with its pictures, without the theme and MathJax


def built(book_html: Path) -> dict[str, Path]:
    return {name: book_html / f"{name}.html" for name in pages()}


# --- sources ----------------------------------------------------------------------


def listed(node) -> list[str]:
    """Every page that a table of contents names, read as the book reads it."""
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [page for value in node.values() for page in listed(value)]
    if isinstance(node, list):
        return [page for value in node for page in listed(value)]
    return []


def test_the_table_of_contents_is_read_right():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert listed(toc) == pages()


def test_the_two_tables_of_contents_are_equal():
    assert (ROOT / "book/_toc.yml").read_bytes() == (ROOT / "_toc.yml").read_bytes()


def test_every_chapter_is_in_the_table_of_contents():
    chapters = [name for name in pages() if name.startswith("chapters/")]
    stems = [path.relative_to(ROOT).with_suffix("").as_posix() for path in notebooks()]
    assert chapters == stems


def test_every_page_of_the_book_is_in_the_table_of_contents():
    inside = {name for name in pages() if name.startswith("book/")}
    assert inside == {f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")}


def test_settings_that_follow_from_the_address():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    url = config["repository"]["url"]
    assert address() == url
    assert config["html"]["baseurl"] == book_address(url)
    assert config["sphinx"]["config"]["ogp_site_url"] == book_address(url)


def test_every_mention_of_the_address_is_the_same():
    """Whatever looks like this repository's address, or its book's, is exactly that."""
    url, book = address(), book_address(address())
    name = re.escape(url.rpartition("/")[2])
    mentions = re.compile(
        rf"https?://(?:[\w.-]+/)*?[\w.-]*/{name}\b|https?://[\w.-]+\.github\.io/[\w.-]*"
        r"|colab\.research\.google\.com/github/[\w.-]+/[\w.-]+"
    )
    allowed = {url, book, book.rstrip("/"), colab_address("", url).split("/blob/")[0]}
    allowed |= {one.removeprefix("https://") for one in allowed}
    wrong, found = [], 0
    for path in address_tool.files():
        if path.is_relative_to(ROOT / "tests"):
            continue  # tests make addresses up
        for mention in mentions.findall(path.read_text(encoding="utf-8")):
            found += 1
            if mention not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}: {mention}")
    assert not wrong, "set it with `make address`:\n" + "\n".join(wrong)
    assert found >= 5


def test_the_address_can_be_set_in_one_step(tmp_path):
    for name in ("_config.yml", "pyproject.toml", "CITATION.cff", "README.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    paths = sorted(tmp_path.iterdir())
    old = address()
    changed = address_tool.set_address(
        "https://github.com/Some-One/another.name/", tmp_path, paths
    )
    assert changed == len(paths)
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    assert old.removeprefix("https://") not in text
    assert book_address(old).removeprefix("https://") not in text
    assert (
        address(tmp_path / "_config.yml") == "https://github.com/Some-One/another.name"
    )
    assert "https://some-one.github.io/another.name/" in text
    # And back again, to the same bytes.
    address_tool.set_address(old, tmp_path, paths)
    for path in paths:
        assert path.read_bytes() == (ROOT / path.name).read_bytes()


@pytest.mark.parametrize(
    "bad", ["", "github.com/a/b", "https://example.com/a/b", "a b"]
)
def test_an_address_of_another_form_is_refused(bad):
    with pytest.raises(ValueError, match="of the form"):
        address_tool.set_address(bad)


def test_versions_are_equal():
    import ramlib

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'\nversion = "{ramlib.__version__}"\n' in project
    assert citation["version"] == ramlib.__version__
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert requirements.splitlines()[-1] == "-e ."
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    for pin in re.findall(r"\[(\S+==\S+)\]", hooks):
        assert f"\n{pin}\n" in requirements, f"{pin} is not the version in requirements"


def test_workflows_call_make_targets_only():
    targets = make_targets()
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
        for job in jobs.values():
            for step in job["steps"]:
                if "run" in step:
                    program, target = step["run"].split()
                    assert program == "make" and target in targets, step


# --- what the pages say -----------------------------------------------------------

PAGES_WITH_CODE = ("README.md", "CONTRIBUTING.md", "book/index.md", "book/api.md")


def blocks(language: str, *names: str) -> list[str]:
    """The blocks of code on some Markdown pages."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in names]
    found = re.compile(rf"^```{language}\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
    return [block for text in texts for block in found.findall(text)]


@pytest.mark.parametrize("name", ["README.md", "book/index.md", "book/api.md"])
def test_the_code_on_the_pages_runs(name, tmp_path, monkeypatch):
    for folder in ("FOLDER", "pictures"):
        for kind, level in {"dark": 0, "bright": 200}.items():
            (tmp_path / folder / kind).mkdir(parents=True)
            for number in range(25):
                pixels = np.full((40, 56, 3), level + number, np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / kind / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    found = blocks("python", name)
    assert found
    for block in found:
        exec(compile(block, name, "exec"), {})


def test_the_commands_on_the_pages_are_understood():
    from ramlib import cli

    lines = "".join(blocks("sh", *PAGES_WITH_CODE)).replace("\\\n", "").splitlines()
    lines = [line for line in lines if line.startswith("ramlib ")]
    assert len(lines) > 5
    for line in lines:
        cli.parse(shlex.split(line, comments=True)[1:])  # or it exits


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


def test_the_pages_name_make_targets_only():
    for name in PAGES_WITH_CODE:
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE))
        assert named <= make_targets(), name


def test_every_command_is_on_the_page_of_the_api(capsys):
    from ramlib import cli

    with pytest.raises(SystemExit):
        cli.main(["--help"])
    names = re.search(r"\{(.+?)\}", capsys.readouterr().out).group(1).split(",")
    api = (ROOT / "book/api.md").read_text(encoding="utf-8")
    assert names == re.findall(r"^\| `ramlib (\w+)[^`-]*`", api, flags=re.MULTILINE)


def test_the_modules_on_the_page_of_the_api_stand_on_each_other():
    """Every module is there, and imports only from those above it."""
    api = (ROOT / "book/api.md").read_text(encoding="utf-8")
    order = re.findall(r"automodule:: (\S+)", api)
    files = [*(ROOT / "ramlib").glob("*.py"), *(ROOT / "ramlib/worlds").glob("*.py")]
    files = [path for path in files if not path.stem.startswith("__")]
    there = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    assert set(order) == there | {"ramlib.player"}
    for number, name in enumerate(order):
        source = Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("ramlib"):
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                used = inside & set(order) or {node.module}
                used = {one for one in used if not one.startswith(name)}
                assert used <= {"ramlib", *order[:number]}, f"{name} imports {used}"


def test_errors_are_rounded_once(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    from paper_tables import spread

    assert spread([1.46, 1.39, 1.11]) == "1.32 ± 0.19"  # a std of 0.1852
    assert spread([0.67, 0.65, 0.64]) == "0.65 ± 0.02"  # 0.0153
    assert spread([1.425]) == "1.43"


def test_the_headline_is_that_of_the_record(book_html):
    path = ROOT / "ramlib/pretrained/mnist-6x8x8/metrics.json"
    errors = json.loads(path.read_text())["test"]["mean"]["errors"]
    said = f"{np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"leave {said} % of MNIST's test digits wrong" in readme
    for name in ("index", "results"):
        page = (book_html / f"book/{name}.html").read_text(encoding="utf-8")
        assert said in page.replace("\u00a0", " ")


def test_a_text_is_cut_at_its_terms(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    import terms

    names = ("score", "score function", "policy", "loss", "reward to go")
    left = {name: (f"term-{name}", f"On {name}.") for name in names}
    text = "Policies, a score-function\nand a Score: rewards\nto go. Losses, a policy."
    parts = terms.linked(text, left, "glossary.html")
    assert "".join(part.astext() for part in parts) == text
    links = [part for part in parts if isinstance(part, terms.Term)]
    assert [(link.astext(), link["address"], link["definition"]) for link in links] == [
        ("Policies", "glossary.html#term-policy", "On policy."),
        ("score-function", "glossary.html#term-score function", "On score function."),
        ("Score", "glossary.html#term-score", "On score."),
        ("Losses", "glossary.html#term-loss", "On loss."),
    ]
    assert list(left) == ["reward to go"]  # "rewards to go" is none


def test_the_picture_of_a_link_is_made_from_that_of_the_readme():
    import share

    stored = Image.open(share.SHARE)
    assert stored.size == (1200, 630) and share.SHARE.stat().st_size <= 100_000
    made = Image.open(io.BytesIO(share.share(Image.open(share.PICTURE))))
    apart = [np.asarray(one.convert("L"), dtype=float) for one in (stored, made)]
    assert np.abs(apart[0] - apart[1]).mean() < 1  # as letters differ by machine


# --- the built pages --------------------------------------------------------------


class Page(HTMLParser):
    """What a page loads, where it leads, and what it can be pointed at."""

    def __init__(self, path: Path):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.images: list[dict] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in {"script", "img", "iframe", "source", "video", "audio", "embed"}:
            self.loads += [found[key] for key in ("src",) if found.get(key)]
        if tag == "link" and found.get("rel") not in {"canonical", "next", "prev"}:
            self.loads.append(found.get("href") or "")
        if tag == "object":
            self.loads.append(found.get("data") or "")
        if tag == "img":
            self.images.append(found)


def test_builds_without_a_warning(book_html):
    for name, path in built(book_html).items():
        assert path.is_file(), f"{name} has no page"


def test_no_page_loads_anything_from_elsewhere(book_html):
    templates = set((book_html / "_static").rglob("*.html"))
    for path in set(book_html.rglob("*.html")) - templates:
        for target in Page(path).loads:
            parts = urlsplit(target)
            assert parts.scheme in {"", "data"} and not parts.netloc, (
                f"{path}: {target}"
            )
            if not parts.scheme and parts.path:
                assert (path.parent / unquote(parts.path)).is_file(), (
                    f"{path}: {target}"
                )


def test_no_style_sheet_loads_anything_from_elsewhere(book_html):
    for path in book_html.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        found = re.search(r"(url\(\s*['\"]?|@import\s*['\"])(https?:)?//", text)
        assert not found, f"{path}: {found.group()}"


def test_links_inside_the_book_lead_somewhere(book_html):
    parsed: dict[Path, Page] = {}

    def page(path: Path) -> Page:
        return (
            parsed.setdefault(path, Page(path)) if path not in parsed else parsed[path]
        )

    for path in built(book_html).values():
        for link in page(path).links:
            parts = urlsplit(html.unescape(link))
            if parts.scheme or parts.netloc or link in {"", "#"}:
                continue
            target = (
                (path.parent / unquote(parts.path)).resolve() if parts.path else path
            )
            assert target.is_file(), f"{path.name} links to {link}"
            if parts.fragment and target.suffix == ".html":
                known = page(target).ids | {""}
                assert unquote(parts.fragment) in known, f"{path.name}: no {link}"


def test_every_picture_is_described(book_html):
    for name, path in built(book_html).items():
        for image in Page(path).images:
            assert image.get("alt") is not None, f"{name}: {image.get('src', '')[:80]}"
            said = image["alt"]
            assert not re.search(r"\.(png|svg|jpe?g)$", said), f"{name}: {said}"


def test_pages_keep_to_their_size(book_html):
    for name, path in built(book_html).items():
        pictures = {
            (path.parent / unquote(source)).resolve()
            for source in Page(path).loads
            if "/_images/" in source or source.startswith("_images/")
        }
        size = sum(file.stat().st_size for file in [path, *pictures]) / 1024
        assert size <= PAGE_KB, f"{name}: {size:.0f} KB"


def test_a_link_to_a_page_brings_a_picture(book_html):
    where = f"{book_address(address())}share.png"
    picture = f'<meta property="og:image" content="{where}" />'
    for name, path in built(book_html).items():
        assert picture in path.read_text(encoding="utf-8"), name
    assert (book_html / "share.png").is_file()


def test_of_the_icon_font_only_a_little_is_left(book_html):
    style = book_html / "_static/icons.css"
    assert style.stat().st_size <= 12_000
    assert not (book_html / "_static/vendor").exists()
    names = set(re.findall(r"\.(fa-[\w-]+)::before", style.read_text(encoding="utf-8")))
    assert {"fa-bars", "fa-github", "fa-moon", "fa-magnifying-glass"} <= names


def test_mathjax_is_local_and_whole(book_html):
    script = book_html / "_static/mathjax/tex-svg-full.js"
    assert script.stat().st_size > 1_000_000
    assert "mathjax/tex-svg-full.js" in (book_html / "book/notation.html").read_text()


def test_buttons_lead_to_the_source(book_html):
    for name, path in built(book_html).items():
        links = [html.unescape(link) for link in Page(path).links]
        source = next(ROOT.glob(f"{name}.*"), None)
        assert source is not None, name
        relative = source.relative_to(ROOT).as_posix()
        assert f"{address()}/edit/main/{relative}" in links, f"{name}: no edit link"
        if source.suffix == ".ipynb":
            assert colab_address(relative) in links, f"{name}: no Colab button"


def test_search_knows_the_built(book_html):
    text = (book_html / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))
    assert set(pages()) == set(index["docnames"])
