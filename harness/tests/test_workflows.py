"""The workflows, as far as they can be checked without GitHub: actionlint, which does more, cannot be installed from a
package index alone.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.tests.test_docs import claims_parser, read_by_harness
from harness.tests.test_main import make

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
ON = True  # as YAML 1.1 reads the key `on`
JOBS = {f"{name}: {job}": body for name, flow in WORKFLOWS.items() for job, body in flow["jobs"].items()}
LINES = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def contexts(value):
    """What stands in `${{ }}` anywhere below."""
    if isinstance(value, dict):
        return [found for each in value.values() for found in contexts(each)]
    if isinstance(value, list):
        return [found for each in value for found in contexts(each)]
    return re.findall(r"\$\{\{(.*?)\}\}", str(value))


def test_there_are_these_workflows():
    assert set(WORKFLOWS) == {"test", "reproduce"}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_and_its_actions_are_versions(job):
    body = JOBS[job]
    assert isinstance(body["timeout-minutes"], int)
    assert body["runs-on"] in ("ubuntu-latest", ["self-hosted", "gpu"])
    for step in body["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert "uses" not in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nobody_may_write_and_no_fork_gets_secrets(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in WORKFLOWS[name][ON]
    assert not [found for found in contexts(WORKFLOWS[name]) if "secrets" in found]


def test_nothing_from_outside_is_read_as_a_command():
    """A matrix is ours; an input is anybody's who may start the workflow."""
    for line in LINES:
        assert contexts(line) == []


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_a_command_of_bash(line):
    done = subprocess.run(["bash", "-n"], input=line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_make_is_asked_for_is_there():
    wanted = {match for line in LINES for match in re.findall(r"\bmake ((?!-)\S+)", line)}
    assert wanted == {"lint", "test", "reproduce", ".venv/testing"}
    for target in wanted:
        assert make("-n", target).returncode == 0


def test_what_is_asked_of_the_harness_and_of_pytest_is_accepted():
    lines = [*LINES, (ROOT / ".ci" / "run").read_text(encoding="utf-8")]
    asked = [match for line in lines for match in re.findall(r"-m (harness|pytest) ((?:\\\n|[^\n|>])+)", line)]
    assert {"harness", "pytest"} == {program for program, _ in asked}
    for program, rest in asked:
        words = shlex.split(re.sub(r'"[^"]*\$\w+"', "1", rest.replace("\\\n", " ")), comments=True)
        if program == "harness":
            read_by_harness(words)
        elif words[0] == "claims/":
            claims_parser().parse_args(words)


def test_only_reproduce_runs_on_the_labs_machine_and_nothing_of_a_fork_does():
    own = {name for name, job in JOBS.items() if "self-hosted" in job["runs-on"]}
    assert own == {"reproduce: reproduce"}
    guard = JOBS["reproduce: reproduce"]["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in guard
    assert WORKFLOWS["reproduce"][ON]["pull_request"] == {"types": ["labeled"]}


def test_every_input_has_a_default_for_the_nights():
    flow = WORKFLOWS["reproduce"]
    inputs = flow[ON]["workflow_dispatch"]["inputs"]
    assert set(inputs) == {"profile", "claims", "budget"}
    env = flow["jobs"]["reproduce"]["env"]
    read = " ".join(env.values())
    assert all(f"inputs.{name}" in read for name in inputs)
    assert set(re.findall(r"\$([A-Z_]+)", " ".join(LINES))) <= {*env, "GITHUB_STEP_SUMMARY"}


def test_evidence_is_kept_also_of_a_job_that_failed():
    steps = JOBS["reproduce: reproduce"]["steps"]
    (upload,) = (step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()"
    assert "results/*/evidence" in upload["with"]["path"].split()


def test_the_pythons_are_those_that_are_promised():
    matrix = JOBS["test: test"]["strategy"]["matrix"]["python"]
    assert matrix == ["3.11", "3.12", "3.13"]
    assert f'requires-python = ">={matrix[0]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
