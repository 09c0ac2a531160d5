"""The ground: layers, types, style, and an import that costs little."""

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(code: str) -> str:
    return run(sys.executable, "-c", code)


def test_a_room_imports_only_from_floors_below_it():
    assert "0 broken" in run(sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()")


def test_no_files_import_each_other_in_a_circle():
    graph = grimp.build_graph("discover", "flows")
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert imports["discover.policy.bayesian.batch"] >= {"discover.policy.bayesian.options"}  # for its type alone
    TopologicalSorter(imports).prepare()  # CycleError names the circle


def test_types():
    assert "Success" in run(sys.executable, "-m", "mypy")


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]])
def test_style(check):
    run(sys.executable, "-m", "ruff", *check, ".")


def test_import_is_quick_and_loads_nothing_heavy():
    code = """
import sys, time
begin = time.process_time()
import discover
from discover import Objective, Target
seconds = time.process_time() - begin
heavy = [name for name in ("torch", "prefect", "botorch", "pymatgen", "mp_api", "pandas") if name in sys.modules]
print(seconds < 1, heavy)
"""
    assert python(code).split() == ["True", "[]"]


@pytest.mark.parametrize("first", ["Campaign, CandidatePool"])
def test_the_public_names_load_neither_torch_nor_prefect(first):
    code = f"import sys\nfrom discover import {first}\nprint([n for n in ('torch', 'prefect', 'pymatgen') if n in sys.modules])"
    assert python(code).strip() == "[]"


def test_every_module_is_of_readable_length():
    long = {p.relative_to(ROOT).as_posix(): n for folder in ("discover", "flows") for p in (ROOT / folder).rglob("*.py")
            if (n := len(p.read_text().splitlines())) > 420}  # fmt: skip
    assert not long
