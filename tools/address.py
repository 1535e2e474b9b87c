"""Set the public address of the repository everywhere.

    python tools/address.py https://github.com/owner/name

The address is written once, in ``_config.yml``; every other mention (badges, set-up
cells, links, the book's own address) follows from it, and ``tests/test_book.py`` holds
them equal. Without an argument the present address is printed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from course import ROOT, address, book_address, owner_and_name

TEXT = {
    ".cff", ".css", ".html", ".ipynb", ".js", ".md", ".py", ".toml", ".txt", ".yml",
}  # fmt: skip


def files() -> list[Path]:
    """Every text file that git knows, or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = sorted({ROOT / name for name in listed.split("\0") if name})
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


def forms(url: str) -> list[str]:
    """All the ways in which an address is written, the longer first."""
    owner, name = owner_and_name(url)
    return [
        book_address(url),
        f"colab.research.google.com/github/{owner}/{name}/",
        f"github.com/{owner}/{name}",
    ]


def set_address(new: str, root: Path = ROOT, paths: list[Path] | None = None) -> int:
    """Replace the present address by ``new`` in all files; how many have changed."""
    old = address(root / "_config.yml")
    new = new.rstrip("/").removesuffix(".git")
    changed = 0
    for path in files() if paths is None else paths:
        before = path.read_bytes().decode("utf-8")
        after = before
        for was, becomes in zip(forms(old), forms(new), strict=True):
            after = after.replace(was, becomes)
        if after != before:
            path.write_bytes(after.encode("utf-8"))
            changed += 1
    return changed


def main(arguments: list[str]) -> int:
    """Print the address, or set it."""
    if len(arguments) > 1:
        print("usage: python tools/address.py [https://github.com/owner/name]")
        return 2
    if not arguments:
        print(address())
        return 0
    try:
        changed = set_address(arguments[0])
    except ValueError as error:
        print(f"{error}\nusage: make address TO=https://github.com/owner/name")
        return 2
    print(f"{address()} is now the address in {changed} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
