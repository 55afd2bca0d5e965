"""What a script asks for and starts, worked out once for all rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from slurmkit.check.finding import Severity
from slurmkit.check.lint.rule import Edit, Found, rules
from slurmkit.check.lint.settings import Setting, names_read, settings
from slurmkit.check.script.directives import Piece
from slurmkit.check.script.launches import Launch, after_equals, launches
from slurmkit.check.script.options import Given
from slurmkit.check.script.read import Script
from slurmkit.check.script.shell import Context
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import number
from slurmkit.check.script.words import Word
from slurmkit.check.secrets import without_secrets
from slurmkit.slurm.scalars import parse_version, whole


@dataclass(frozen=True)
class Job:
    """A script, and what it comes to."""

    script: Script
    slurm_version: tuple[int, int] | None = None
    """The cluster's; None = not known."""
    group: int | None = None
    """Of a heterogeneous job: the component that is looked at, as if it were the job."""

    def found(  # noqa: PLR0913  a finding has that many parts
        self,
        code: str,
        span: Span,
        what: str,
        fix: str = "",
        *,
        severity: Severity | None = None,
        edits: Iterable[Edit] = (),
        evidence: str = "",
    ) -> Found:
        """Return a finding; without `fix` the rule's own words stand in."""
        rule = rules()[code]
        line, column = self.script.source.place(span.start)
        return Found(
            code=code,
            place=f"{self.script.source.name}:{line}:{column}",
            what=without_secrets(what),
            fix=without_secrets(fix) if fix else rule.fix,
            evidence=without_secrets(evidence),
            severity=severity or rule.severity,
            span=span,
            edits=tuple(edits),
        )

    def is_version(self, low: str | None = None, below: str | None = None) -> bool | None:
        """Tell whether the cluster's Slurm is at least `low` and older than `below`.

        None where its version is not known.
        """
        if self.slurm_version is None:
            return None
        is_low = low is None or self.slurm_version >= parse_version(low)
        return is_low and (below is None or self.slurm_version < parse_version(below))

    @cached_property
    def launches(self) -> list[Launch]:
        """The launches, in the order of execution."""
        found = launches(self.script)
        return [x for x in found if _group(x) == self.group] if self.group is not None else found

    @cached_property
    def settings(self) -> list[Setting]:
        """The environment variables that it sets."""
        return settings(self.script)

    @cached_property
    def names_read(self) -> frozenset[str]:
        """The variables that it uses itself."""
        return names_read(self.script)

    @cached_property
    def names_given(self) -> frozenset[str]:
        """The variables that any of its shells gives a value."""
        return frozenset(self.script.exports).union(*(s.assignments for s in self.script.shells))

    def given(self, *names: str) -> Given[Piece] | None:
        """Return the directive that counts of these options, the last one."""
        return self.script.directives.last(*names)

    def value(self, *names: str) -> str | None:
        """Return its value."""
        return self.script.directives.value(*names)

    @cached_property
    def is_het(self) -> bool:
        """Whether it is a heterogeneous job, of which only the first component is looked at."""
        return len(self.script.directives.components) > 1

    @cached_property
    def nodes(self) -> int | None:
        """How many nodes the directives ask for; None where they do not say, or say a range.

        One node where neither nodes nor tasks are asked for.
        """
        text = self.value("nodes")
        if text is None:
            has_tasks = self.value("ntasks") is not None
            return None if has_tasks and self.value("ntasks") != "1" else 1
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text.strip(), re.ASCII)
        if match is None or (match[2] and match[2] != match[1]):
            return None
        return int(match[1])

    @property
    def is_multi_node(self) -> bool:
        """Whether it surely runs on several nodes, at least in its directives."""
        return (self.nodes or 0) > 1

    @cached_property
    def tasks_per_node(self) -> int | None:
        """How many tasks a node the directives pin; None where they do not."""
        text = self.value("ntasks-per-node")
        if text is not None:
            return whole(text)
        tasks = whole(self.value("ntasks"))
        if tasks is not None and self.nodes:
            return tasks // self.nodes if tasks % self.nodes == 0 else None
        return None

    @cached_property
    def gpus_per_node(self) -> int | None:
        """How many GPUs a node the directives ask for; None where they do not say it plainly."""
        if (text := self.value("gpus-per-node")) is not None:
            return gpu_count(text)
        for name in ("gres", "tres-per-node"):
            text = self.value(name)
            if text is not None and re.search(r"\bgpu\b", text):
                return gpu_count(text)
        if (text := self.value("gpus-per-task")) is not None and self.tasks_per_node:
            count = gpu_count(text)
            return count * self.tasks_per_node if count is not None else None
        if (text := self.value("gpus")) is not None and self.nodes:
            count = gpu_count(text)
            return count // self.nodes if count is not None and count % self.nodes == 0 else None
        return None

    @cached_property
    def asks_for_gpus(self) -> bool:
        """Whether any directive asks for a GPU, plainly or not."""
        names = ("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")
        if any(self.value(name) not in (None, "0") for name in names):
            return True
        texts = (self.value(name) or "" for name in ("gres", "tres-per-node", "tres-per-task"))
        return any(re.search(r"\bgpu\b", text) and gpu_count(text) != 0 for text in texts)

    @cached_property
    def is_exclusive(self) -> bool:
        """Whether it has its nodes for itself."""
        option = self.given("exclusive")
        return option is not None and option.value in (None, "", "exclusive")

    def step_tasks_per_node(self, launch: Launch) -> int | None:
        """Return how many tasks a node the launch's own step has; None where that is not pinned."""
        if launch.srun is None or launch.srun_command is None:
            return None
        order, context = launch.srun_command.order, launch.srun_command.context
        own = launch.srun_option("ntasks-per-node")
        tasks, nodes = launch.srun_option("ntasks"), launch.srun_option("nodes")
        node_count = self.nodes
        if nodes is not None:
            node_count = self.count(nodes, order, context) if nodes.value != "" else None
        if tasks is not None:
            count = self.count(tasks, order, context)
            if count is None or not node_count:
                return None
            return max(1, count // node_count)
        if own is not None:
            return self.count(own, order, context)
        return self.tasks_per_node

    @cached_property
    def numbers(self) -> dict[str, int]:
        """What the directives make of Slurm's variables, such as SLURM_JOB_NUM_NODES."""
        nodes, tasks, gpus = self.nodes, self.tasks_per_node, self.gpus_per_node
        said = self.value("nodes") is not None
        all_tasks = self.value("ntasks")
        found: dict[str, int | None] = {
            "SLURM_JOB_NUM_NODES": nodes if said else None,
            "SLURM_NNODES": nodes if said else None,
            "SLURM_GPUS_ON_NODE": gpus,
            "SLURM_CPUS_PER_TASK": whole(self.value("cpus-per-task")),
        }
        for name, variable in (
            ("gpus-per-node", "SLURM_GPUS_PER_NODE"),
            ("ntasks-per-node", "SLURM_NTASKS_PER_NODE"),
            ("gpus-per-task", "SLURM_GPUS_PER_TASK"),
        ):
            found[variable] = whole(self.value(name))
        if all_tasks is not None:
            found["SLURM_NTASKS"] = whole(all_tasks)
        elif said and nodes and tasks:
            found["SLURM_NTASKS"] = nodes * tasks
        found["SLURM_NPROCS"] = found.get("SLURM_NTASKS")
        return {name: value for name, value in found.items() if value is not None}

    def count(self, option: Given[Word], order: int, context: Context) -> int | None:
        """Return an option of srun's as a number."""
        if (plain := whole(option.value)) is not None:
            return plain
        word = option.origins[-1]
        if len(option.origins) == 1:
            word = after_equals(word)
        return number(word, order, context, self.numbers)


def _group(launch: Launch) -> int | None:
    """Return the component that a launch is for; None where it is for several, or not known."""
    option = launch.srun_option("het-group") or launch.srun_option("pack-group")
    return whole(option.value) if option is not None else 0


def gpu_count(text: str) -> int | None:
    """Return the GPUs of `4`, `a100:4`, `gpu:a100:4`, `gpu:a100`; None where it is not plain."""
    total = 0
    for part in text.split(","):
        item = re.sub(r"^gres[/:]", "", part.strip()).partition("(")[0].replace("=", ":")
        words = item.split(":")
        if words[0] != "gpu" and "gpu" in text:
            continue  # another generic resource
        last = words[-1]
        if (number_of := whole(last)) is not None:
            total += number_of
        elif re.fullmatch(r"[\w.-]+", last):
            total += 1
        else:
            return None
    return total
