"""Log files in one order: nothing lost, nothing torn, each file's own order kept."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.observe.logs import merging
from slurmkit.observe.logs.merging import merge
from slurmkit.observe.logs.reading import LogFile
from slurmkit.observe.logs.stamps import BEFORE_ALL, Clock

NOW = 1795248930.0
STAMPS = st.integers(0, 40).map(lambda second: b"2026-11-21 08:15:%02d " % second)
TEXTS = st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"").replace(b"\r", b""))
LINES = st.tuples(st.one_of(STAMPS, st.just(b"")), TEXTS).map(b"".join)
FILES = st.lists(st.lists(LINES, max_size=12), max_size=6)


def named(number: int, lines: list[bytes]) -> list[bytes]:
    """Make every line the only one of its kind: text, file, number."""
    return [line + b" %d/%d" % (number, at) for at, line in enumerate(lines)]


def log_files(folder: Path, contents: list[list[bytes]]) -> list[LogFile]:
    clock = Clock(NOW)
    files = []
    for number, lines in enumerate(contents):
        path = folder / f"node{number}.rank{number}.log"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        files.append(LogFile(path, clock, b"%d" % number))
    return files


def merged(files: list[LogFile], *, labelled: bool = False, partial: bool = True) -> list[bytes]:
    blocks = merge(files, labelled=labelled, partial=partial)
    return [line for block in blocks for line in block]


def expected(contents: list[list[bytes]]) -> list[bytes]:
    """Merge in the plain way: sort all lines by time and file."""
    clock = Clock(NOW)
    rows = [
        (time, number, at, line)
        for number, lines in enumerate(contents)
        for at, (time, line) in enumerate(zip(clock.times(lines, BEFORE_ALL), lines, strict=True))
    ]
    return [line for *_, line in sorted(rows)]


@given(FILES, st.sampled_from([7, 64, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_merging_is_sorting_by_time_and_file(raw: list[list[bytes]], piece: int) -> None:
    contents = [named(number, lines) for number, lines in enumerate(raw)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_SMALLEST", piece)
        patch.setattr(merging, "_LARGEST", piece)
        assert merged(log_files(Path(folder), contents)) == expected(contents)


@given(FILES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_growing_files_lose_and_tear_nothing(raw: list[list[bytes]], random: object) -> None:
    contents = [named(number, lines) for number, lines in enumerate(raw)]
    with TemporaryDirectory() as folder:
        files = log_files(Path(folder), [[] for _ in contents])
        left = [b"".join(line + b"\n" for line in lines) for lines in contents]
        seen: list[bytes] = []
        while any(left):
            for number, file in enumerate(files):
                cut = random.randint(0, len(left[number]))  # type: ignore[attr-defined]
                with file.path.open("ab") as stream:
                    stream.write(left[number][:cut])
                left[number] = left[number][cut:]
            seen += merged(files, partial=False)
        seen += merged(files, partial=True)
    assert Counter(seen) == Counter(line for lines in contents for line in lines)
    for number, lines in enumerate(contents):
        mark = re.compile(rb" %d/\d+$" % number)
        assert [line for line in seen if mark.search(line)] == lines


def test_a_traceback_is_not_torn_by_lines_of_the_same_second(tmp_path: Path) -> None:
    trace = [b"2026-11-21 08:15:01 oh", b"Traceback", b"  File x", b"ValueError"]
    other = [b"2026-11-21 08:15:01 fine", b"2026-11-21 08:15:02 fine"]
    lines = merged(log_files(tmp_path, [other, trace]))
    at = lines.index(trace[0])
    assert lines[at : at + 4] == trace
    assert lines == [other[0], *trace, other[1]]


def test_files_without_times_come_one_after_the_other(tmp_path: Path) -> None:
    contents = [[b"a1", b"a2"], [b"b1"], [b"2026-11-21 08:15:01 c"]]
    assert merged(log_files(tmp_path, contents), labelled=True) == [
        *(b"0 | a1", b"0 | a2", b"1 | b1", b"2 | 2026-11-21 08:15:01 c"),
    ]


def test_a_last_line_without_newline_is_held_or_given(tmp_path: Path) -> None:
    (file,) = log_files(tmp_path, [[b"whole"]])
    with file.path.open("ab") as stream:
        stream.write(b"half")
    assert merged([file], partial=False) == [b"whole"]
    with file.path.open("ab") as stream:
        stream.write(b" a line\nand half")
    assert merged([file], partial=False) == [b"half a line"]
    assert merged([file], partial=True) == [b"and half"]


@pytest.mark.parametrize("replace", [False, True], ids=["cut short", "replaced"])
def test_a_file_that_begins_anew_is_read_from_its_beginning(tmp_path: Path, replace: bool) -> None:
    (file,) = log_files(tmp_path, [[b"old line one", b"old line two"]])
    assert len(merged([file])) == 2
    if replace:
        (tmp_path / "new").write_bytes(b"new line number one\nnew line number two\n and more\n")
        (tmp_path / "new").rename(file.path)
    else:
        file.path.write_bytes(b"new line number one\n")
    assert merged([file])[0] == b"new line number one"


def test_progress_bars_are_shown_as_they_ended(tmp_path: Path) -> None:
    (file,) = log_files(tmp_path, [[]])
    bar = b"".join(b"\r %d%% of a bar" % percent for percent in range(5000))
    file.path.write_bytes(b"dos line\r\n" + bar)
    assert merged([file], partial=False) == [b"dos line\r"]
    assert len(file._parts[0]) < 50
    with file.path.open("ab") as stream:
        stream.write(b"\r100%\n")
    assert merged([file], partial=False) == [b"100%"]
    for part in (b"first\rsec", b"ond\n"):
        with file.path.open("ab") as stream:
            stream.write(part)
        seen = merged([file], partial=False)
    assert seen == [b"second"]


def test_bytes_that_are_no_text_pass_unchanged(tmp_path: Path) -> None:
    (file,) = log_files(tmp_path, [[bytes(set(range(256)) - {10, 13})]])
    assert merged([file]) == [bytes(set(range(256)) - {10, 13})]


def test_a_file_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    files = log_files(tmp_path, [[b"a"], [b"b"]])
    files[0].path.unlink()
    assert merged(files) == [b"b"]


def test_few_descriptors_are_enough_for_many_files(tmp_path: Path) -> None:
    files = log_files(tmp_path, [[b"%d" % n] for n in range(1500)])
    opened = sum(1 for _ in Path("/proc/self/fd").iterdir())
    blocks = merge(files)
    next(blocks)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= opened + 1


def test_the_scripts_own_lines_keep_their_place_among_the_ranks(tmp_path: Path) -> None:
    clock = Clock(NOW)
    ranks = [b"2026-11-21 08:15:%02d step" % second for second in range(4)]
    (tmp_path / "rank").write_bytes(b"".join(line + b"\n" for line in ranks))
    output = [b"slurmkit: begin", *(b"[rank0] " + line for line in ranks[:2]), b"srun: error: x"]
    output += [b"[rank0] " + line for line in ranks[2:]]
    (tmp_path / "out").write_bytes(b"".join(line + b"\n" for line in output))
    for names in (("rank", "out"), ("out", "rank")):
        files = [LogFile(tmp_path / name, clock, of_script=name == "out") for name in names]
        found = merged(files)
        assert found == [b"slurmkit: begin", *ranks[:2], b"srun: error: x", *ranks[2:]]


def test_a_long_script_log_is_read_in_pieces(tmp_path: Path) -> None:
    clock = Clock(NOW)
    own = [b"line %d" % number for number in range(20_000)]
    ranks = [b"2026-11-21 08:%02d:%02d step" % (n // 60, n % 60) for n in range(2000)]
    mixed = [line for n in range(2000) for line in (b"[rank0] " + ranks[n], *own[10 * n :][:10])]
    (tmp_path / "out").write_bytes(b"".join(line + b"\n" for line in mixed))
    (tmp_path / "rank").write_bytes(b"".join(line + b"\n" for line in ranks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_LARGEST", merging._SMALLEST)
        found = merged(
            [LogFile(tmp_path / "out", clock, of_script=True), LogFile(tmp_path / "rank", clock)]
        )
    assert found == [line.removeprefix(b"[rank0] ") for line in mixed]


def test_the_rest_of_a_ranks_long_line_is_not_the_scripts(tmp_path: Path) -> None:
    # As srun writes three lines of 2,500 bytes when others come in between.
    parts = [b"[rank2] " + b"x" * 1016, b"[rank0] short\n", b"x" * 1024, b"[rank1] short\n"]
    parts += [b"x" * 460 + b"\n", b"[rank3] " + b"y" * 2000 + b"\n", b"srun: error: z\n"]
    (tmp_path / "out").write_bytes(b"".join(parts))
    assert merged([LogFile(tmp_path / "out", Clock(NOW), of_script=True)]) == [b"srun: error: z"]
