from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import ExperimentFailed
from discover.experiment.command.arguments import filled, placeholders, template_problems
from discover.experiment.folders import safe_name

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_placeholders_are_filled_inside_single_arguments() -> None:
    arguments = ["run", "--key={key}", "{id}", "{{x}}", "{t} K", "a{key}b{id}c"]
    assert placeholders(arguments) == ("key", "id", "t")
    values = {"key": "k-1", "id": "it's; rm -rf $HOME\n`x`", "t": 12.5}
    assert filled(arguments, values) == [
        "run", "--key=k-1", values["id"], "{x}", "12.5 K", f"ak-1b{values['id']}c",
    ]  # fmt: skip


def test_a_value_is_never_filled_in_itself() -> None:
    assert filled(["{id}", "x{id}"], {"id": "{key}", "key": "no"}) == ["{key}", "x{key}"]


@pytest.mark.parametrize("template", ["{id}", "{id}/out", "out/{id}", "{id}.txt"])
@pytest.mark.parametrize("value", ["-rf", "--help", "../x", "..", "a/b", "x\0y", None, float("nan")])
def test_a_value_becomes_no_option_and_leads_no_path_astray(template: str, value: object) -> None:
    harmless = template in ("{id}", "{id}.txt") and value in ("../x", "..", "a/b")  # one argument, and no path of ours
    harmless |= template == "out/{id}" and value in ("-rf", "--help")
    if harmless:
        assert filled([template], {"id": value}) == [template.replace("{id}", str(value))]
        return
    with pytest.raises(ExperimentFailed) as caught:
        filled([template], {"id": value})
    assert not caught.value.retryable


@given(TEXT)
def test_a_program_is_given_what_the_candidate_holds(text: str) -> None:
    try:
        (_, argument) = filled(["echo", "id={id}"], {"id": text})
    except ExperimentFailed:
        assert "\0" in text
    else:
        assert argument == f"id={text}"


def test_no_shell_reads_the_arguments(tmp_path: object) -> None:
    text = "$(id) `id` ; & | > x * 'a' \"b\" \n tail"
    code = "import sys; sys.stdout.buffer.write(sys.argv[1].encode())"
    arguments = filled([sys.executable, "-c", code, "{id}"], {"id": text})
    assert subprocess.run(arguments, capture_output=True, check=True).stdout.decode() == text


def test_braces_without_a_name_are_problems() -> None:
    assert len(list(template_problems("program", ["", "{", "{}", "}", "{{ok}}", "{ok}"]))) == 4


@given(TEXT)
def test_a_name_is_one_name_in_its_folder(text: str) -> None:
    name = safe_name(text)
    assert "/" not in name
    assert "\0" not in name
    assert name.strip(".")
    assert name[0] not in "-."
    assert len(name) <= 100


def test_names_differ_where_keys_do() -> None:
    keys = ["ab12-0001.1", "../x", "..-x", "_x", "x", "-rf", "a b", "a_b", "ä", "", "X" * 200, "X" * 201]
    assert len({safe_name(key) for key in keys}) == len(keys)
    assert safe_name("ab12-0001.1") == "ab12-0001.1"
