"""Execute chapters in place and store their outputs, the same bytes every time.

    python tools/execute.py chapters/02_glimpse_sensor.ipynb ...    (none: all)

Outputs are stored from MNIST: set ``RAMLIB_DATA`` to the folder that holds it, or let
the first run download it into ``data/``. Without it nothing is executed, since the
texts speak of MNIST's figures; ``--bundled`` stores the stand-in's all the same. Cells
that measure times store other numbers every time. Progress bars are off. Everything
else that differs between two runs of the same cells (time stamps, versions, counts) is
taken out, and figures are stored in 256 colours, in a third of the bytes. The minutes
of reading in the facts box are reckoned anew.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from course import MINUTES, ROOT, notebooks, reading_minutes
from ramlib.data import DataUnavailableError, digits

CELL_TIMEOUT = 300  # seconds; the budgets of the tests are far tighter

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


def merged(outputs: list) -> list:
    """Join neighbouring pieces of one stream: how it was cut is a matter of timing."""
    result: list = []
    for output in outputs:
        last = result[-1] if result else None
        if (
            last is not None
            and output.output_type == last.output_type == "stream"
            and output.name == last.name
        ):
            last.text += output.text
        else:
            result.append(output)
    return result


def lighter(png: str) -> str:
    """Store a picture (base64) in its 256 best colours, unless that makes it larger."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return min(base64.b64encode(file.getvalue()).decode(), png.strip(), key=len)


def tidy(notebook: nbformat.NotebookNode, stem: str) -> None:
    """Take out of an executed notebook all that would differ in another run."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    count = 0
    for index, cell in enumerate(notebook.cells):
        cell.metadata.pop("execution", None)
        if not cell.get("id"):
            cell["id"] = f"{stem[:2]}-{index:03d}"
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = merged(cell.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            # A widget's view is dead without its kernel; its HTML stands in for it.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = lighter(output.data["image/png"])
        cell.outputs = [
            output
            for output in cell.outputs
            if output.output_type not in ("display_data", "execute_result")
            or output.data
        ]
    for facts in notebook.cells[1:2]:
        facts.source = MINUTES.sub(str(reading_minutes(notebook.cells)), facts.source)


def execute(path: Path) -> float:
    """Execute one chapter in its own folder, write it back, and return the seconds."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    tidy(notebook, path.stem)
    nbformat.validate(notebook)
    # In one step, so that an interrupted run leaves the old chapter whole.
    new = path.with_suffix(".ipynb.new")
    new.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    new.replace(path)
    return seconds


def main(arguments: list[str]) -> int:
    """Execute the chapters that are named, or all of them."""
    if "RAMLIB_DATA" in os.environ:  # a kernel works in the chapter's own folder
        os.environ["RAMLIB_DATA"] = str(Path(os.environ["RAMLIB_DATA"]).resolve())
    os.environ["TQDM_DISABLE"] = "1"
    if "--bundled" not in arguments:
        try:
            digits("mnist")
        except DataUnavailableError as error:
            print(f"{error}\nNothing was executed; --bundled does it without MNIST")
            return 2
    # The file given on the command line, wherever the command was called from.
    names = [name for name in arguments if name != "--bundled"]
    paths = [Path(name).resolve() for name in names] or notebooks()
    failed = 0
    for path in paths:
        name = os.path.relpath(path, ROOT)
        try:
            seconds = execute(path)
        except CellExecutionError as error:
            print(f"{name}: a cell failed; the file is as it was\n{error}")
            failed += 1
        else:
            print(f"{name}: executed in {seconds:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
