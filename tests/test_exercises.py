"""The checks of the exercises: which answers they reject, and which they accept."""

import importlib
import json
import math
import pkgutil

import answers
import pytest
import torch
from torch.nn import functional

import ramlib
from course import notebooks
from ramlib.networks import CoreNetwork

CHAPTERS = {f"ch{path.name[:2]}": path for path in notebooks()}
TRIED = [module.name for module in pkgutil.iter_modules(answers.__path__)]


def namespace(chapter: str, *definitions: str) -> dict:
    """Run what stands in a chapter for these functions, and nothing else."""
    cells = json.loads(CHAPTERS[chapter].read_text("utf-8"))["cells"]
    names = {"torch": torch, "F": functional, "math": math}
    names |= {"CoreNetwork": CoreNetwork, "RAMConfig": ramlib.RAMConfig}
    names["RecurrentAttentionModel"] = ramlib.RecurrentAttentionModel
    for definition in definitions:
        start = f"def {definition}("
        (source,) = (
            source
            for cell in cells
            if (source := "".join(cell["source"])).startswith(start)
        )
        exec(source.split("\n\n\n")[0], names)  # the function, not what tries it out
    return names


def tried(which: int) -> list:
    """Every wrong answer (0), or every right one (1), with its chapter."""
    found = []
    for chapter in TRIED:
        module = importlib.import_module(f"answers.{chapter}")
        names = namespace(chapter, *module.NEEDS, "check")
        for name, answer in module.answers(names)[which].items():
            found.append(pytest.param(names["check"], answer, id=f"{chapter}-{name}"))
    return found


@pytest.mark.parametrize(("check", "answer"), tried(0))
def test_a_wrong_answer_is_told_what_is_wrong(check, answer):
    function, hint = answer
    said = check(function)
    assert not said.startswith("Right") and hint in said


@pytest.mark.parametrize(("check", "answer"), tried(1))
def test_a_right_answer_is_accepted_in_every_style(check, answer):
    assert check(answer).startswith("Right")


@pytest.mark.parametrize("chapter", TRIED)
def test_there_are_enough_answers(chapter):
    module = importlib.import_module(f"answers.{chapter}")
    wrong, right = module.answers(namespace(chapter, *module.NEEDS))
    assert len(wrong) >= 8 and len(right) >= 3
