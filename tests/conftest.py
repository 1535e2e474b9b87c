"""The built book, made once for all the tests that look at it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
BUILD_TIMEOUT = 600  # seconds


def sources() -> list[Path]:
    """Every file that the book is made from."""
    found = [ROOT / "_config.yml", ROOT / "_toc.yml", ROOT / "requirements.txt"]
    for folder in ("book", "chapters", "ramlib", "tools"):
        found += [
            path
            for path in sorted((ROOT / folder).rglob("*"))
            if path.is_file()
            and not {"__pycache__", "_build", "_vendor"} & set(path.parts)
            and path.suffix not in {".pyc", ".new"}
        ]
    return [path for path in found if path.is_file()]


def fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@pytest.fixture(scope="session")
def book_html() -> Path:
    """The folder of the built book: warnings fail it; built again only when stale."""
    html, stamp, log = BUILD / "html", BUILD / ".stamp", BUILD / "build.log"
    BUILD.mkdir(exist_ok=True)
    with FileLock(BUILD / ".lock"):
        now = fingerprint()
        if (html / "index.html").is_file() and stamp.is_file():
            if stamp.read_text() == now:
                return html
            stamp.unlink()
        # From nothing, as on a new machine: no old file stands in for a lost one.
        shutil.rmtree(html, ignore_errors=True)
        tool = shutil.which("jupyter-book", path=Path(sys.executable).parent)
        assert tool, "jupyter-book is not installed beside this Python"
        command = [tool, "build", "book/"]
        command += ["-n", "-W", "--keep-going", "--all"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_TIMEOUT,
        )
        said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)  # without its colours
        log.write_text(said)
        if done.returncode or not (html / "index.html").is_file():
            warned = [
                line
                for line in said.splitlines()
                if "WARNING" in line or "ERROR" in line
            ]
            pytest.fail(
                f"the book does not build without a warning ({log}):\n"
                + "\n".join(warned or said.splitlines()[-30:]),
                pytrace=False,
            )
        stamp.write_text(now)
    return html
