"""Lines of several streams into one, byte for byte, each led by its node."""

from __future__ import annotations

import os
import pty

from slurmkit.launch.simulate.output import Sink, Stream


class Node:
    """A stream with a writer."""

    def __init__(self, sink: Sink, name: str, index: int = 0) -> None:
        reading, self.writing = os.pipe()
        self.stream = Stream(reading, sink, sink.label(name, index))

    def says(self, data: bytes) -> None:
        os.write(self.writing, data)
        assert self.stream.pass_on()

    def ends(self) -> None:
        os.close(self.writing)
        assert not self.stream.pass_on()


def pair() -> tuple[int, Node, Node]:
    writing = os.memfd_create("sink")
    reading = os.open(f"/proc/self/fd/{writing}", os.O_RDONLY)
    sink = Sink(writing)
    return reading, Node(sink, "node0"), Node(sink, "node1")


def read(descriptor: int) -> bytes:
    return os.read(descriptor, 1 << 21)


def test_lines_stay_whole() -> None:
    reading, first, second = pair()
    first.says(b"one ")
    second.says(b"two\n")
    first.says(b"line\nand")
    second.says(b"\xff\x00\n\n")
    first.says(b" more\n")
    assert read(reading) == (
        b"node1 | two\nnode0 | one line\nnode1 | \xff\x00\nnode1 | \nnode0 | and more\n"
    )


def test_a_last_line_without_an_end_is_passed_on() -> None:
    reading, first, second = pair()
    first.says(b"no end")
    first.ends()
    assert read(reading) == b"node0 | no end"
    second.says(b"next\n")
    assert read(reading) == b"\nnode1 | next\n"


def test_progress_is_passed_on_at_once_and_not_mixed() -> None:
    reading, first, second = pair()
    first.says(b"10%\r20%\r")
    assert read(reading) == b"node0 | 10%\rnode0 | 20%\r"
    second.says(b"line\r\n")
    first.says(b"30%\r")
    first.says(b"\nend\n")
    assert read(reading) == b"\nnode1 | line\r\nnode0 | 30%\r\nnode0 | end\n"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    reading, first, _ = pair()
    for _ in range(20):
        first.says(b"x" * 60_000)
    passed = read(reading)
    assert len(passed) > 1 << 20
    first.says(b"y\n")
    assert (passed + read(reading)).endswith(b"xy\n")
    assert passed.count(b"node0") == 1


def test_colours_on_a_terminal_only() -> None:
    master, slave = pty.openpty()
    sink = Sink(slave)
    assert sink.label("node0", 0) != sink.label("node0", 1)
    assert sink.label("node1", 1) == b"\x1b[33mnode1 |\x1b[0m "
    os.close(master)
