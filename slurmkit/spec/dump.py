"""A job, or a program's config, as YAML that every reader understands alike."""

from __future__ import annotations

import re
from typing import Any

import yaml

from slurmkit.spec.model import JobSpec

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


# Line breaks to YAML 1.1 and to nobody else: PyYAML without libyaml writes some of them raw.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


class Quoted(str):
    """Text that is written in double quotes."""

    __slots__ = ()


class _Dumper(_Base):  # type: ignore[misc]
    """Quotes text that YAML 1.1 *or* 1.2 would take for something else, such as `1e-4` or `on`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z"),
    list("-+0123456789."),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z"), ["0"]
)
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if _BREAKS.search(text) else None
    ),
)
_Dumper.add_representer(
    Quoted,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'),
)


def dump_yaml(data: Any) -> str:
    """Write plain data as block YAML: keys in their order, unicode as it is, no line wrapped."""
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=2**31 - 1,
    )
    return text.removesuffix("...\n")


def job_data(spec: JobSpec) -> dict[str, Any]:
    """Return the resolved job as plain data, defaults left out, needing no profile any more."""
    # Not mode="json", in which .inf and .nan become null.
    data = spec.model_dump(by_alias=True, exclude_defaults=True, warnings=False)
    return {
        "name": spec.name,
        "profile": "none",
        **{k: v for k, v in data.items() if k != "profile"},
    }


def dump_job(spec: JobSpec) -> str:
    """Write the resolved job as a job file that gives the same job again."""
    return dump_yaml(job_data(spec))
