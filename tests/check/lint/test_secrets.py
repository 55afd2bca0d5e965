"""SK509: what is a secret, what stands for one, and that no report shows any."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.run import lint
from slurmkit.check.script.read import read
from slurmkit.check.script.source import Span
from slurmkit.check.secrets import secrets, without_secrets
from slurmkit.cli import main

HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
HF = "hf_" + "aB3dE6gH9j" * 3


@pytest.mark.parametrize(
    "line",
    [
        f"export WANDB_API_KEY={HEX}",
        f'WANDB_API_KEY="{HEX}" python a.py',
        f"# export WANDB_API_KEY={HEX}",
        f"wandb login {HEX}",
        f"## wandb login --host http://10.1.2.3:8080 local-{HEX}",
        f"wandb login --relogin --host=https://x.org {HEX}",
        f"huggingface-cli login --token {HF}",
        f"export HF_TOKEN={HF}",
        "export HF_TOKEN=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",
        f"export WANDB_API_KEY=${{WANDB_API_KEY:-{HEX}}}",
        f'docker run -e WANDB_API_KEY=${{WANDB_API_KEY:-"{HEX}"}} x',
        f"python a.py --hub_token={HF}",
        "export AWS_ACCESS_KEY_ID=AKIAQ3EGRZ5M7HK2XW4P",
        "export AWS_SECRET_ACCESS_KEY=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",
        "git clone https://me:glx7Rq2Tn9Lk@github.com/me/x.git",
        "export DB_PASSWORD=Summer-2024",
        "export GH=ghp_" + "a1B2c3D4e5" * 4,
    ],
)
def test_a_secret_is_found_and_not_shown(line: str) -> None:
    script = f"#!/bin/bash\n{line}\n".encode()
    found = [f for f in lint(script) if f.code == "SK509"]
    assert len(found) == 1
    hidden = [script[slice(*secret.span)].decode() for secret in secrets(script)]
    shown = CliRunner().invoke(main, ["lint", "--info", "-"], input=script)
    told = CliRunner().invoke(main, ["lint", "--info", "--json", "-"], input=script)
    assert "SK509" in shown.output
    for text in hidden:
        assert text not in shown.output + told.output
        assert len(without_secrets(line)) == len(line)


@pytest.mark.parametrize(
    "line",
    [
        "export WANDB_API_KEY=<your-wandb-api-key>",
        "export WANDB_API_KEY=YOUR_KEY_HERE",
        "export WANDB_API_KEY=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "export WANDB_API_KEY=" + "0" * 40,
        "export WANDB_API_KEY=$(cat ~/.wandb_key)",
        "export WANDB_API_KEY=$KEY",
        "export WANDB_API_KEY=${WANDB_API_KEY:-}",
        "export HF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "export HF_TOKEN_PATH=/home/me/token1234567890",
        "export OPENAI_API_KEY=EMPTY",
        "export TOKENIZERS_PARALLELISM=false",
        "wandb login",
        "wandb offline",
        f"git checkout {HEX}",
        "python a.py --max_tokens 16384000000000000000",
        "python a.py --tokenizer meta-llama/Llama-3.1-8B-Instruct",
        "export TOKEN=1",
        "git clone https://github.com/me/x.git",
    ],
)
def test_what_is_none(line: str) -> None:
    assert list(secrets(line.encode())) == []


def test_no_message_shows_a_secret() -> None:
    token = b"hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"
    script = b"#!/bin/bash\n#SBATCH -N 2\nsrun python a.py\necho the token of this job is %b\n"
    found = lint(script % token)
    assert "SK424" in [finding.code for finding in found]
    assert not [f for f in found if "hf_aB" in f.what + f.fix + f.evidence]


@pytest.mark.parametrize("part", ["what", "fix", "evidence"])
def test_no_part_of_a_finding_has_one_whatever_its_rule_quotes(part: str) -> None:
    """What a rule says is made here alone, and is what `--json` prints."""
    texts = {"what": "a", "fix": "b", "evidence": "c", part: f"seen: --token {HF}"}
    found = Job(read(b"#!/bin/bash\n")).found(
        "SK101", Span(0, 1), texts["what"], texts["fix"], evidence=texts["evidence"]
    )
    assert getattr(found, part).startswith("seen: --token ***")
    assert HF not in repr(found)
