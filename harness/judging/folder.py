"""A results folder is of one profile, and of one person's own network if there is one: it says which in `set.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from harness.errors import HarnessError, first_problem
from harness.judging.evidence import Record
from harness.plan.profile import Profile
from harness.plan.run import SUBJECT, source_of
from harness.store.files import write_atomically
from harness.store.identity import digest

FILE = "set.json"


class ResultSet(Record):
    """What a results folder is of.

    Attributes:
        subject: `role=factory` of a person's own network.
        untrained: whether the networks have random weights, as a negative control.
        digest: of all that the profile says, and of the subject's code.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    profile: str
    subject: str | None
    untrained: bool = False
    digest: str

    def __str__(self) -> str:
        subject = f" with {self.subject}" if self.subject else ""
        return f"profile {self.profile}{subject}{', untrained' if self.untrained else ''}"


def result_set(profile: Profile, *, untrained: bool) -> ResultSet:
    """What results of this profile are of.

    Raises:
        HarnessError: the code of a person's own network is not to be found.
    """
    cast = {role: [(str(spec), source_of(spec)) for spec in specs] for role, specs in profile.roles.items()}
    subjects = [
        f"{role}={name.removeprefix(SUBJECT)}"
        for role, players in cast.items()
        for name, _ in players
        if name.startswith(SUBJECT)
    ]
    said = profile.model_dump(mode="json", exclude={"roles", "most_seeds"})
    subject = ", ".join(subjects) or None
    return ResultSet(profile=profile.name, subject=subject, untrained=untrained, digest=digest([said, cast]))


def claim_folder(results: Path, profile: Profile, *, untrained: bool = False) -> str | None:
    """Write down what the folder is of; it is made if need be. A line to say where that is no longer quite the same.

    Raises:
        HarnessError: it holds the results of another profile or subject, or cannot be written.
    """
    ours, theirs = result_set(profile, untrained=untrained), read_result_set(results)
    if theirs and str(theirs) != str(ours):
        raise HarnessError(f"{results} holds the results of {theirs}; give {ours} a folder of its own with --results")
    if theirs != ours:
        write_atomically(results / FILE, (ours.model_dump_json(by_alias=True, indent=2) + "\n").encode())
    if theirs and theirs.digest != ours.digest:
        return f"{ours} has changed since {results} was begun: cases that are not judged again keep their old evidence"
    return None


def read_result_set(results: Path) -> ResultSet | None:
    """What a results folder says that it is of; None where it does not say.

    Raises:
        HarnessError: it cannot be read, or is something else.
    """
    path = results / FILE
    try:
        return ResultSet.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):  # a folder from before there was such a file is taken over
        return None
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}; choose another --results") from error
    except ValidationError as error:
        raise HarnessError(f"{path} does not say what it is of: {first_problem(error)}; remove it") from error
