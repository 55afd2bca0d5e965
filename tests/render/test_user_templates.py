"""Templates of users: each block in a script that runs; mistakes told, hostile ones refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import slurmkit
from slurmkit.cli import main
from slurmkit.spec.errors import Problem, SpecError

JOB = """
name: "it's $HOME"
launcher: {kind: srun}
entrypoint: {command: [bash, -c, 'cat "$0"; exit "$1"', "${env:SLURMKIT_RUN_DIR}/job.yaml", "0"]}
requeue: {lead_time: 60}
"""
EXTENDS = '{% extends "job.sbatch.j2" %}\n'
BLOCKS = ("directives", "environment", "rendezvous", "preflight", "launch", "epilogue")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURMKIT_PROFILE", "none")
    Path("job.yaml").write_text(JOB)


def script_of(template: str, job: str = JOB) -> str:
    Path("mine.sbatch.j2").write_text(template)
    Path("job.yaml").write_text(job)
    return slurmkit.render(slurmkit.load("job.yaml", overrides=["template=mine.sbatch.j2"]))


def block(name: str, text: str) -> str:
    return f"{EXTENDS}{{% block {name} %}}\n{text}\n{{% endblock %}}\n"


def problem_of(template: str) -> Problem:
    with pytest.raises(SpecError) as caught:
        script_of(template)
    (problem,) = caught.value.problems
    assert problem.fix
    return problem


def simulated(*options: str) -> subprocess.CompletedProcess[str]:
    code = "from slurmkit.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "simulate", "job.yaml", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("job", sorted(Path(__file__).parent.glob("golden/*.yaml")), ids=str)
def test_super_everywhere_changes_no_line_of_ours(job: Path, shellcheck: str) -> None:
    ours = "".join(f"{{% block {name} %}}{{{{ super() }}}}{{% endblock %}}" for name in BLOCKS)
    Path("mine.sbatch.j2").write_text(EXTENDS + ours)
    plain = slurmkit.render(slurmkit.load(job))
    script = slurmkit.render(slurmkit.load(job, overrides=["template=mine.sbatch.j2"]))
    lost = set(plain.splitlines()) - set(script.splitlines())
    assert not lost
    Path("script").write_text(script)
    found = subprocess.run([shellcheck, "script"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


OWN = {
    "directives": "#SBATCH --nodes=2 --ntasks-per-node=1",
    "environment": "export MINE=1",
    "rendezvous": 'SLURMKIT_NODES=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | xargs)\n'
    "MASTER_ADDR=${SLURMKIT_NODES%% *}",
    "preflight": "true",
    "launch": 'srun true < /dev/null || code=$?\necho "mine: $code"',
    "epilogue": 'echo "mine: $code"; exit 3',
}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_can_be_replaced_on_its_own(name: str) -> None:
    Path("mine.sbatch.j2").write_text(block(name, OWN[name]))
    ran = simulated("--template", "mine.sbatch.j2", "--nodes", "2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ("mine: 0" in ran.stdout) == ("mine" in OWN[name])


def test_a_rendezvous_that_is_none_is_told() -> None:
    Path("mine.sbatch.j2").write_text(block("rendezvous", "true"))
    ran = simulated("--template", "mine.sbatch.j2")
    assert ran.returncode == 1
    assert "rendezvous sets no SLURMKIT_NODES and MASTER_ADDR" in ran.stdout + ran.stderr


def test_an_epilogue_hides_no_failure() -> None:
    Path("mine.sbatch.j2").write_text(block("epilogue", 'echo "mine: $code"; code=0; exit 0'))
    failing = JOB.replace('"0"]', '"7"]').replace("requeue: {lead_time: 60}", "")
    Path("job.yaml").write_text(failing)
    ran = simulated("--template", "mine.sbatch.j2")
    assert "mine: 7" in ran.stdout, ran.stdout + ran.stderr
    assert "FAILED with exit code 7" in ran.stderr


def test_values_arrive_quoted() -> None:
    text = 'printf "%s|" {{ job.name | quote }} {{ job.resources.nodes | quote }} {{ world_size }}'
    line = re.findall(r"^printf .*\|\" .*$", script_of(block("preflight", text)), re.M)[0]
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert ran.stdout == "it's $HOME|1|1|"


def test_files_beside_are_included_and_extended() -> None:
    Path("banner.j2").write_text("echo banner\n")
    Path("site.j2").write_text(
        EXTENDS + '{% block preflight %}{% include "banner.j2" %}{% block more %}{% endblock %}'
        "{% endblock %}"
    )
    script = script_of('{% extends "site.j2" %}{% block more %}echo more\n{% endblock %}')
    assert "echo banner\necho more\n" in script


MISTAKES = {
    "{% block preflight %}\n{% if %}": (2, "this is no Jinja", "correct the line"),
    block("preflight", "{{ jop.name }}"): (3, "'jop' is undefined", "did you mean job?"),
    block("preflight", "{{ job.resources.nods }}"): (3, "no attribute 'nods'", "mean nodes?"),
    block("preflight", "{{ job.sweep_limit }}"): (3, "null would be written", "default"),
    block("preflight", "{{ 1 / 0 }}"): (3, "ZeroDivisionError", "correct the line"),
    block("prefligth", "x"): (2, "no block 'prefligth'", "did you mean preflight?"),
    EXTENDS + "\necho lost": (3, "outside of the blocks", "into a block"),
    "echo whole": (1, "must extend", "begin with"),
    block("preflight", "{# note #}"): (3, "no comment here", "<# #>"),
    block("preflight", "#SBATCH --mem=1G"): (3, "does not read the line", "block directives"),
    block("directives", "  #SBATCH --mem=1G"): (3, "begins with blanks", "block directives"),
    block("directives", "module load x\n{{ super() }}"): (1, "does not read", "directives"),
}  # fmt: skip


@pytest.mark.parametrize("template", MISTAKES)
def test_mistakes_are_told_with_their_line(template: str) -> None:
    line, what, fix = MISTAKES[template]
    problem = problem_of(template)
    assert what in problem.what
    assert fix in str(problem.fix)
    assert (problem.place.source, problem.place.line) == ("mine.sbatch.j2", line)


HOSTILE = [
    "{{ job.__class__.__mro__ }}",
    "{{ ''.__class__.__base__.__subclasses__() }}",
    "{{ job['__class__'] }}{{ ''['__class__'] }}",
    "{{ '{0.__class__}'.format(job) }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ self._TemplateReference__context }}",
    "{{ job | attr('__class__') }}",
    "{{ job.update({}) }}",
    "{{ os.environ }}",
    "{{ requeue.parse_file('/etc/passwd') }}",
    "{{ requeue.parse_raw('x', proto='pickle', allow_pickle=true) }}",
    "{{ lipsum(100000) }}",
    "{% for i in range(10**9) %}{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(99) }}",
    "{{ 'x' * 10**10 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%9999999999d' % 1 }}",
    "{{ '%*d' % (10**10, 1) }}",
    "{% include '/etc/passwd' %}",
    "{% include '../secret' %}",
    "{% include 'link' %}",
    "{% include 'folder/secret' %}",
    "{% include 'mine.sbatch.j2' %}",
    "{% import 'os' as os %}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_templates_are_refused(text: str) -> None:
    Path("../secret").write_text("secret")
    Path("link").symlink_to("/etc/passwd")
    Path("folder").symlink_to("..")
    problem = problem_of(block("preflight", text))
    assert problem.place.source == "mine.sbatch.j2"
    assert problem.place.line in ((1, 3) if "include 'mine" in text else (3,))


@pytest.mark.parametrize("target", ["/etc/passwd", "../x.j2", "mine.sbatch.j2", "run.j2"])
def test_what_cannot_be_extended(target: str) -> None:
    assert problem_of(f"{{% extends '{target}' %}}").place.line == 1


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("verb", ["render", "validate", "simulate"])
@pytest.mark.parametrize("file", ["nowhere.j2", "/dev/zero", ".", "a: b", "null", "wrong.j2", "b"])
def test_verbs_end_with_2_and_no_traceback(verb: str, file: str) -> None:
    Path("wrong.j2").write_text(block("preflight", "{{ job.__class__ }}"))
    Path("b").write_bytes(b"\xff\0")
    result = run(verb, "job.yaml", "--template", file)
    assert result.exit_code == 2
    assert "fix:" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_the_option_is_the_field_and_validate_tells_as_json() -> None:
    Path("good.j2").write_text(block("preflight", "echo hi"))
    by_option = run("render", "job.yaml", "--template", "good.j2").stdout
    assert by_option == run("render", "job.yaml", "--set", "template=good.j2").stdout
    assert "template: good.j2\n" in by_option
    Path("wrong.j2").write_text(block("preflight", "{{ job.nam }}"))
    told = json.loads(run("validate", "job.yaml", "--json", "--template", "wrong.j2").stdout)
    (found,) = told["problems"]
    assert (found["file"], found["line"], found["fix"]) == ("wrong.j2", 3, "did you mean name?")


def test_text_of_the_job_may_look_like_a_directive() -> None:
    job = JOB + 'environment: {setup: ["#SBATCH --x"]}\n'
    assert script_of(block("preflight", "true"), job).count("#SBATCH --x") >= 2


def test_a_job_without_a_template_does_not_load_the_sandbox() -> None:
    code = "import slurmkit, sys; slurmkit.render(slurmkit.load('job.yaml'))"
    code += "; sys.exit('jinja2.sandbox' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
