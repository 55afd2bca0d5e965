"""What breaks multi-node jobs, and the line of the script that is the cure."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec


def script(**job: Any) -> str:
    base: dict[str, Any] = {
        "name": "facts",
        "resources": {"nodes": 2, "gpus_per_node": 4, "cpus_per_node": 8},
        "entrypoint": {"module": "m"},
    }
    return render(JobSpec.model_validate({**base, **job}))


def batch_shell(text: str) -> str:
    """Return the code that runs in the batch shell: without functions that run on the nodes."""
    return re.sub(r"^slurmkit_(node|worker|signal)\(\) \{\n.*?^\}\n", "", text, flags=re.M | re.S)


def launches(text: str) -> list[str]:
    joined = text.replace("\\\n", "")
    return [re.sub(r" +", " ", line.strip()) for line in joined.splitlines() if "srun --" in line]


REQUEUE = {"requeue": {"lead_time": 90}}
C10D = {"launcher": {"rendezvous": "c10d"}}
RESTARTS = {"launcher": {"restarts": 2}}
GRES = {"site": {"gpu_request": "gres"}, "sbatch": {"gres": "nvme:1"}}
VARIANTS = [{}, REQUEUE, C10D, RESTARTS, {**REQUEUE, **RESTARTS}, GRES]


@pytest.mark.parametrize("variant", VARIANTS)
class TestEveryScript:
    """Holds for all of them."""

    def test_ranks_are_read_on_the_node(self, variant: dict[str, Any]) -> None:
        assert not re.search(
            r"SLURM_(NODEID|PROCID|LOCALID)(?! is 0)", batch_shell(script(**variant))
        )

    def test_one_agent_a_node(self, variant: dict[str, Any]) -> None:
        assert "#SBATCH --ntasks-per-node=1\n" in script(**variant)
        assert all("--ntasks-per-node=1 " in line for line in launches(script(**variant)))

    def test_the_step_has_the_cpus(self, variant: dict[str, Any]) -> None:
        assert "--cpus-per-task=8" in launches(script(**variant))[-1]

    def test_gpus_are_asked_for_one_way(self, variant: dict[str, Any]) -> None:
        text = script(**variant)
        for lines in (re.findall(r"^#SBATCH .*", text, re.M), launches(text)[-1].split()):
            assert len([line for line in lines if "--gpus" in line or "gpu:" in line]) == 1
        assert len(re.findall(r"^#SBATCH --gres", text, re.M)) <= 1, "the last --gres would win"

    def test_one_dead_node_ends_the_step_and_an_early_success_does_not(
        self, variant: dict[str, Any]
    ) -> None:
        assert "--kill-on-bad-exit=1 --wait=0" in launches(script(**variant))[-1]

    def test_the_script_is_never_eaten_as_input(self, variant: dict[str, Any]) -> None:
        assert all("< /dev/null" in line for line in launches(script(**variant)))

    def test_no_guess_at_the_master(self, variant: dict[str, Any]) -> None:
        code = re.sub(r"#.*", "", script(**variant))
        assert "localhost" not in code
        assert "hostname -" not in code
        assert "head -n" not in code

    def test_directives_stand_above_the_first_command(self, variant: dict[str, Any]) -> None:
        lines = script(**variant).splitlines()
        last = max(i for i, line in enumerate(lines) if line.startswith("#SBATCH"))
        assert all(line.startswith("#") for line in lines[: last + 1])

    def test_steps_get_the_environment_and_whole_lines_their_files(
        self, variant: dict[str, Any]
    ) -> None:
        assert "--export=ALL" in launches(script(**variant))[-1]
        assert "--tee" not in script(**variant)

    def test_torchrun_does_not_restart(self, variant: dict[str, Any]) -> None:
        assert "--max-restarts=0" in script(**variant)

    def test_the_exit_status_is_kept(self, variant: dict[str, Any]) -> None:
        assert script(**variant).endswith('exit "$code"\n}\n')

    def test_the_agents_address_is_not_left_to_getfqdn(self, variant: dict[str, Any]) -> None:
        assert '--local-addr="${nodes[SLURM_NODEID]}"' in script(**variant)


SRUN = {"launcher": {"kind": "srun"}}
ACCELERATE = {"launcher": {"kind": "accelerate"}}
NO_GPUS = {"resources": {"nodes": 2, "processes_per_node": 4, "cpus_per_node": 8}}
CONFIG = {"launcher": {"kind": "accelerate", "options": {"config_file": "fsdp.yaml"}}}
C10D_TOO = {"launcher": {"kind": "accelerate", "rendezvous": "c10d"}}
LAUNCHERS = [
    *(base | more for base in (SRUN, ACCELERATE) for more in ({}, REQUEUE, NO_GPUS)),
    *({"launcher": v["launcher"] | RESTARTS["launcher"]} for v in (SRUN, ACCELERATE)),
    *(CONFIG, C10D_TOO),
]


@pytest.mark.parametrize("variant", LAUNCHERS)
class TestEveryLauncher:
    """Holds under srun and accelerate as well."""

    def test_the_launcher_decides_the_tasks_and_their_cpus(self, variant: dict[str, Any]) -> None:
        text = script(**variant)
        tasks, cpus = (4, 2) if variant["launcher"]["kind"] == "srun" else (1, 8)
        assert f"#SBATCH --ntasks-per-node={tasks}\n#SBATCH --cpus-per-task={cpus}\n" in text
        assert f" --ntasks-per-node={tasks} --cpus-per-task={cpus} " in launches(text)[-1]

    def test_gpus_are_not_bound_to_tasks(self, variant: dict[str, Any]) -> None:
        assert not re.search("gpus?-per-task|gpu-bind", script(**variant))

    def test_one_dead_task_ends_the_step(self, variant: dict[str, Any]) -> None:
        assert "--kill-on-bad-exit=1 --wait=0" in launches(script(**variant))[-1]

    def test_ranks_are_read_on_the_node(self, variant: dict[str, Any]) -> None:
        assert not re.search(
            r"SLURM_(NODEID|PROCID|LOCALID)(?! is 0)", batch_shell(script(**variant))
        )

    def test_there_is_one_agent_or_none(self, variant: dict[str, Any]) -> None:
        text = script(**variant)
        accelerate = variant["launcher"]["kind"] == "accelerate"
        assert text.count("-m accelerate.commands.launch") == accelerate
        assert "torch.distributed.run" not in text
        assert ("WORLD_SIZE=$SLURM_NTASKS" in text) is not accelerate


def test_a_task_of_srun_has_the_names_that_torch_reads() -> None:
    exported = set(re.findall(r"\b(\w+)=", "".join(re.findall(r"  export .*", script(**SRUN)))))
    names = {"RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"}
    assert names <= exported


@pytest.mark.parametrize(
    ("launcher", "signal"),
    [(SRUN, "kill -USR1"), (ACCELERATE, "pkill -USR1 -P"), ({}, "pkill -USR1 -P")],
    ids=["srun", "accelerate", "torchrun"],
)
def test_the_signal_goes_to_the_processes_and_no_agent_dies_of_it(
    launcher: dict[str, Any], signal: str
) -> None:
    text = script(**launcher, **REQUEUE)
    assert "  trap '' USR1\n" in text
    assert signal in text


def test_a_program_that_requeues_itself_gets_the_signal_and_no_shell_is_in_its_way() -> None:
    text = script(**SRUN, requeue={"by": "program", "lead_time": 90})
    assert "#SBATCH --signal=USR1@90\n" in text
    assert not re.search(r"trap .* USR1\n|scontrol requeue", text)
    assert "requeue.max_requeues is" in text


@pytest.mark.parametrize("variant", [SRUN, ACCELERATE])
def test_marks_of_preemption_are_counted_by_task(variant: dict[str, Any]) -> None:
    tasks = "$((SLURM_JOB_NUM_NODES * 4))" if variant is SRUN else "$SLURM_JOB_NUM_NODES"
    assert f"${{#marks[@]}} -eq {tasks} ]]" in script(**variant, **REQUEUE)


def test_accelerate_is_not_left_to_guess() -> None:
    agent = script(**ACCELERATE)
    for said in ("--multi_gpu", "--mixed_precision=no", "--dynamo_backend=no", "--same_network"):
        assert said in agent
        assert said == "--same_network" or said not in script(**CONFIG), "it overrules the file"
    assert "ACCELERATE_USE_CPU=true" not in agent
    assert "ACCELERATE_USE_CPU=true" in script(**ACCELERATE, **NO_GPUS)


def test_nodes_that_would_train_alone_fail() -> None:
    assert "[[ ${WORLD_SIZE:-1} -eq $((SLURM_JOB_NUM_NODES * 4)) ]]" in script(**CONFIG)
    alone = {"resources": {"nodes": 1, "processes_per_node": 1}}
    assert "[[ ${WORLD_SIZE:-1}" not in script(**ACCELERATE, **alone)


def test_c10d_says_who_hosts_the_store_and_names_the_attempt() -> None:
    text = script(**C10D)
    assert "is_host=$((SLURM_NODEID == 0))" in text
    assert '--rdzv-id="$SLURM_JOB_ID.$SLURMKIT_ATTEMPT"' in text
    assert "--node-rank" not in text, "torchrun ignores it there"


def test_the_port_stays_in_range_and_differs_between_attempts() -> None:
    expression = re.search(r"MASTER_PORT=\$\(\((.*)\)\)", script())
    assert expression
    formula = expression[1].replace("SLURM_JOB_ID", "job").replace("SLURMKIT_ATTEMPT", "attempt")
    code = compile(formula, "port", "eval")
    for job in (1, 16_999, 17_000, 4_000_000_000):
        ports = [eval(code, {"job": job, "attempt": attempt}) for attempt in range(11)]
        assert len(set(ports)) == 11
        assert all(15000 <= port <= 31999 for port in ports)


def test_requeue_keeps_the_log_and_signals_the_batch_shell_alone() -> None:
    text = script(**REQUEUE)
    assert "#SBATCH --open-mode=append\n" in text
    assert "#SBATCH --signal=B:USR1@90\n" in text
    assert 'wait "$step"' in text, "a bare wait loses the status, a foreground srun the trap"
    assert "#SBATCH --no-requeue\n" in script()


def test_a_cancelled_job_is_not_requeued() -> None:
    requeue = script(**REQUEUE)
    assert requeue.index("== RUNNING") < requeue.index("scontrol requeue")


def test_interfaces_are_named_for_both_or_for_neither() -> None:
    text = script(environment={"network_interface": "ib0"})
    assert "NCCL_SOCKET_IFNAME=ib0" in text
    assert "GLOO_SOCKET_IFNAME=ib0" in text
    assert "SOCKET_IFNAME" not in script()


def test_threads_are_cpus_per_process_unless_the_user_says_otherwise() -> None:
    assert "SLURM_CPUS_ON_NODE / 4" in script()
    own = script(environment={"variables": {"OMP_NUM_THREADS": "3"}})
    assert re.findall(r"OMP_NUM_THREADS=\S+", batch_shell(own)) == ["OMP_NUM_THREADS=3"]


def test_length_does_not_grow_with_the_job() -> None:
    small, large = script(resources={"nodes": 2}), script(resources={"nodes": 4096})
    assert small.count("\n") == large.count("\n")
    assert len(re.sub(r"\d+", "N", small)) == len(re.sub(r"\d+", "N", large))


def test_rendering_is_pure() -> None:
    spec = JobSpec.model_validate({"name": "pure", "entrypoint": {"module": "m"}, **REQUEUE})
    assert len({render(spec) for _ in range(5)}) == 1


def test_on_a_single_node_accelerate_meets_at_the_jobs_port() -> None:
    # Its c10d takes 29400 there, whatever it is told.
    job = {"launcher": {"kind": "accelerate", "rendezvous": "c10d"}}
    text = script(**job, resources={"nodes": 1, "gpus_per_node": 2})
    assert "--rdzv_backend=static" in text
    assert "--rdzv_backend=c10d" not in text
