"""Answers come whole out of an output that other things write to as well, or not at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slurmkit.probe.channels import expanded
from slurmkit.probe.wire import Answer, Reader, lines_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def read(lines: list[bytes]) -> list[Answer]:
    reader = Reader()
    return [answer for answer in map(reader.read, lines) if answer is not None]


@given(st.lists(st.binary(max_size=80)), st.dictionaries(st.integers(0, 99), VALUES), st.data())
def test_answers_arrive_among_noise_and_in_any_order(
    noise: list[bytes], said: dict[int, Any], data: st.DataObject
) -> None:
    lines = [line for node, value in said.items() for line in lines_of(node, 3, value)]
    mixed = data.draw(st.permutations([*lines, *noise]))
    assert sorted(read(list(mixed))) == [Answer(node, 3, said[node]) for node in sorted(said)]


def test_a_long_answer_goes_in_lines_that_srun_does_not_tear() -> None:
    value = {str(number): f"{hash((number, 'x')):x}" for number in range(3000)}
    lines = lines_of(12, 7, value)
    assert len(lines) > 20
    assert max(map(len, lines)) < 1000
    assert read(lines[::-1]) == [Answer(12, 7, value)]
    assert not read(lines[:-1])


def test_what_stands_before_an_answer_on_its_line_does_no_harm() -> None:
    (line,) = lines_of(0, 1, "here")
    assert read([b"no newline at the end of a banner" + line]) == [Answer(0, 1, "here")]
    assert read([b"3: " + line]) == [Answer(0, 1, "here")]  # srun --label


@given(st.data())
def test_a_damaged_answer_is_none(data: st.DataObject) -> None:
    (line,) = lines_of(4, 1, ["something", 1.5])
    at = data.draw(st.integers(0, len(line) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    damaged = line[:at] + bytes([other]) + line[at + 1 :]
    assert all(answer.value == ["something", 1.5] for answer in read([damaged]))


@given(st.lists(st.integers(-9, 10**15).map(str) | st.text(max_size=12), min_size=6, max_size=6))
def test_any_words_in_an_answers_place_are_survived(words: list[str]) -> None:
    read([f"@probe {' '.join(words)};\n".encode(errors="replace")])


def test_the_nodes_that_srun_names() -> None:
    assert expanded("node1") == ["node1"]
    assert expanded("gpu[08-10,12]-ib") == ["gpu08-ib", "gpu09-ib", "gpu10-ib", "gpu12-ib"]
    assert expanded("odd[x]") == ["odd[x]"]
