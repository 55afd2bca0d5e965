"""Submitting and following on the Slurm of the next Debian: what is shown on ours, shown again."""

from __future__ import annotations

import pytest

from tests.slurm.test_end_to_end import work
from tests.slurm.test_follow import (
    kit,
    test_a_job_from_its_start_to_its_end,
    test_arrays_and_names,
    test_what_nobody_knows,
)
from tests.slurm.test_logs import test_an_array_followed, test_read_followed_and_requeued
from tests.slurm.test_newer_slurm import slurm
from tests.slurm.test_submit import (
    test_held_and_only_tested,
    test_the_id_alone_is_on_standard_output,
)
from tests.slurm.test_submit_chain import (
    test_a_chain_ends_with_the_first_job_that_fails,
    test_a_chain_waits_for_each_job_before,
)
from tests.slurm.test_submitit import (
    test_main_is_called_on_every_task_and_what_it_returns_comes_back,
)
from tests.slurm.test_sweep import (
    test_a_point_is_requeued_alone_and_run_again_by_itself,
    test_a_thousand_points_in_one_call,
)

__all__ = [
    "kit",
    "slurm",
    "test_a_chain_ends_with_the_first_job_that_fails",
    "test_a_chain_waits_for_each_job_before",
    "test_a_job_from_its_start_to_its_end",
    "test_a_point_is_requeued_alone_and_run_again_by_itself",
    "test_a_thousand_points_in_one_call",
    "test_an_array_followed",
    "test_arrays_and_names",
    "test_held_and_only_tested",
    "test_main_is_called_on_every_task_and_what_it_returns_comes_back",
    "test_read_followed_and_requeued",
    "test_the_id_alone_is_on_standard_output",
    "test_what_nobody_knows",
    "work",
]
pytestmark = pytest.mark.proof
