"""What the documents say can be done: links lead somewhere, names exist, commands are accepted, examples run."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.__main__ import main
from harness.doctor.profiles import CLAIMS, plan_of
from harness.judging.again import load_tests
from harness.options import add_options
from harness.plan.catalogue import load_catalogue
from harness.plan.estimate import Speeds
from harness.plan.profile import FOLDER, load_profile
from harness.tests.test_contributing import ALLOWED
from harness.tests.test_main import make
from models import create_model

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "results" / "reference").glob("*/README.md")),
]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
EXAMPLES = set().union(*ALLOWED.values())  # files that CONTRIBUTING's examples make
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
TYPED = re.compile(r"(make|pytest|torchrun|python -m \w+|\.venv/bin/\S+) ")
PLACES = ("claims", "harness", "models", "docs", ".github", ".ci")
# Of other programs: what they take is theirs to say.
FOREIGN = {"hf", "git", "cd", "pip", "sbatch", "export", "tar", "ray"}
FOREIGN |= {".venv/bin/pre-commit", ".venv/bin/import-linter"}
FOREIGN_OPTIONS = {"--nproc-per-node", "--ntasks-per-node"}
PYTEST_OPTIONS = ("--collect-only", "--benchmark-only", "--strict", "-s")


def prose(text):
    """A document without its blocks of code."""
    return BLOCK.sub("", text)


def blocks(language):
    """(document, code) of every block of a language."""
    return [(name, code) for name, text in TEXTS.items() for kind, code in BLOCK.findall(text) if kind == language]


def commands():
    """(document, command) of every line that a person is to type, in blocks and in sentences."""
    found = []
    for name, code in blocks("sh"):
        lines = code.replace("\\\n", " ").splitlines()
        found += [(name, shlex.join(words)) for line in lines if (words := shlex.split(line, comments=True))]
    for name, text in TEXTS.items():
        found += [(name, each) for each in INLINE.findall(prose(text)) if TYPED.match(each) and "…" not in each]
    return list(dict.fromkeys(found))


def anchors(text):
    """Those that GitHub makes of headings."""
    heads = re.findall(r"^#+ (.+)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", TEXTS)
def test_a_link_leads_somewhere(name):
    for target in LINK.findall(prose(TEXTS[name])):
        if re.match(r"\w+://", target):
            continue
        path, _, anchor = target.partition("#")
        there = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_is_named_is_there(name):
    for words in INLINE.findall(prose(TEXTS[name])):
        if not re.fullmatch(r"[\w.*<>-]+(/[\w.*<>-]+)*/?", words) or words in EXAMPLES:
            continue
        first = words.split("/")[0]
        if first in PLACES or (first == words and words.endswith((".md", ".txt", ".toml")) and (ROOT / words).exists()):
            assert any(ROOT.glob(re.sub(r"<\w+>", "*", words.rstrip("/")))), words


@pytest.mark.parametrize("name", TEXTS)
def test_a_module_or_what_is_in_it_that_is_named_is_there(name):
    for words in INLINE.findall(prose(TEXTS[name])):
        match = re.match(r"((?:harness|models)(?:\.\w+)+)(?:\(.*)?$", words)
        if not match:
            continue
        *parents, last = match[1].split(".")
        try:
            importlib.import_module(match[1])
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(".".join(parents)), last), words


def claims_parser():
    """What `pytest claims/` accepts, of our options and of those of pytest that documents name."""
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_options(SimpleNamespace(addoption=parser.add_argument))
    for option in PYTEST_OPTIONS:
        parser.add_argument(option, action="store_true")
    for option in ("-k", "-m", "--junitxml"):
        parser.add_argument(option)
    parser.add_argument("-r")
    parser.add_argument("paths", nargs="*")
    return parser


class Accepted(BaseException):
    """The command line was read, with these options."""


def read_by_harness(words):
    """What `python -m harness` makes of its arguments, up to where it would begin."""
    parse = argparse.ArgumentParser.parse_args

    def stop(self, *arguments, **options):
        raise Accepted(parse(self, *arguments, **options))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", ["harness", *words])
        patched.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(Accepted) as accepted:
            main()
    return accepted.value.args[0]


def exists(profile):
    """A profile of the project, of docs/, or a person's own; a placeholder is none."""
    if profile not in ("my.toml", "<name>"):
        load_profile(str(ROOT / profile) if profile.startswith("docs/") else profile)


@pytest.mark.parametrize(("name", "command"), commands())
def test_a_command_is_accepted(name, command):
    words = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # environment
        words = words[1:]
    words = words[words[0] == "exec" :]
    if "harness" in words and words[words.index("harness") - 1] == "-m":
        assert words[0] in ("python", ".venv/bin/python", "torchrun")
        given = read_by_harness(words[words.index("harness") + 1 :])
        exists(getattr(given, "profile", "quick"))
    elif words[0] == "make":
        variables = [word.partition("=")[0] for word in words[1:] if "=" in word]
        known = re.findall(r"\b([A-Z_]+)=", make("help").stdout)
        assert set(variables) <= set(known)
        assert make("-n", *words[1:]).returncode == 0
        exists(dict(word.split("=", 1) for word in words if "=" in word).get("PROFILE", "quick"))
    elif "pytest" in words[:3]:
        given = claims_parser().parse_args(words[words.index("pytest") + 1 :])
        assert all((ROOT / path.split("::")[0]).exists() for path in given.paths)
        exists(given.profile)
        catalogue = load_catalogue(ROOT / "claims" / "catalogue.toml")
        assert all(catalogue[claim] for claim in (given.claim or "").split(",") if claim)
    else:
        assert words[0] in FOREIGN


def options_there():
    """Every option of ours, and of others that documents name."""
    found = set(FOREIGN_OPTIONS)
    parsers = [claims_parser()]
    while parsers:
        for action in parsers.pop()._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    return found


def test_an_option_that_is_named_exists(monkeypatch):
    made = []
    add = argparse.ArgumentParser.add_argument

    def noted(self, *names, **options):
        made.extend(names)
        return add(self, *names, **options)

    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", noted)
    monkeypatch.setattr("sys.argv", ["harness", "--help"])
    with pytest.raises(SystemExit):
        main()
    known = options_there() | set(made)
    for name, text in TEXTS.items():
        for words in INLINE.findall(prose(text)):
            if words.split()[0] not in FOREIGN:
                assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", words)) <= known, (name, words)


@pytest.mark.parametrize(("name", "code"), blocks("toml"))
def test_toml_is_toml(name, code):
    assert tomllib.loads(code)


# The examples are run on networks and images of a size that takes no time.
SMALLER = {
    "alter_resnet50": "alter_resnet_micro",
    "vit_tiny": "vit_micro",
    "num_classes=100": "num_classes=10",
    "image_size=32": "image_size=8",
}
GIVEN = [name for name in TEXTS if name != "CONTRIBUTING.md" and any(name == each for each, _ in blocks("python"))]


class MyBlock(nn.Module):
    """Stands in for a person's own block."""


def stand_ins():
    """What the examples take as given, as small as it may be."""
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([1, 2, 3, 4])
    return {
        "images": images,
        "labels": labels,
        "batches": [(images, labels)],
        "soft_batches": [(images, nn.functional.one_hot(labels, 10).float())],
        "model": create_model("vit_micro", num_classes=10, image_size=8),
        "my_cnn": create_model("resnet_mini", num_classes=10, image_size=32),
        "MyBlock": MyBlock,
    }


@pytest.mark.parametrize("name", GIVEN)
def test_the_examples_run_one_after_the_other(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    space = stand_ins()
    for document, code in blocks("python"):
        if document == name:
            for large, small in SMALLER.items():
                code = code.replace(large, small)
            exec(compile(code, name, "exec"), space)


def test_what_costs_nothing_is_run(monkeypatch, capsys, tmp_path):
    """Lists of networks, and what a store holds."""
    monkeypatch.setenv("REPRO_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    ran = 0
    for _, command in commands():
        words = shlex.split(command)
        if words[:3] == ["python", "-m", "harness"] and words[3] in ("models", "store") and "take" not in words:
            monkeypatch.setattr("sys.argv", words[2:])
            main()
            ran += 1
    assert ran
    assert capsys.readouterr().out


def test_every_option_target_and_profile_is_told_of():
    texts = "\n".join(TEXTS.values())
    own = []
    add_options(SimpleNamespace(addoption=lambda name, **_: own.append(name)))
    assert [option for option in own if f"`{option}" not in TEXTS["README.md"]] == []
    targets = re.findall(r"^([a-z]+)  ", make("help").stdout, re.M)
    assert [target for target in targets if target not in ("help", "clean") and f"make {target}" not in texts] == []
    profiles = [path.stem for path in FOLDER.glob("*.toml")]
    assert [name for name in profiles if f"| `{name}` |" not in TEXTS["README.md"]] == []
    assert [name for name in TEXTS if name.startswith("docs/") and f"({name})" not in TEXTS["README.md"]] == []


def test_what_a_profile_costs_is_about_what_the_plan_says():
    """A quarter off is no reason to write a table anew."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d.]+) \|", TEXTS["docs/costs.md"], re.M)
    assert {name for name, *_ in rows} == {path.stem for path in FOLDER.glob("*.toml")}
    tests = load_tests(CLAIMS)
    for name, runs, millions in rows:
        plan = plan_of(load_profile(name), tests, Speeds())
        training = [item for item in plan.items if item.images]
        assert len(training) == pytest.approx(int(runs), rel=0.25), name
        assert sum(item.images for item in training) / 1e6 == pytest.approx(float(millions), rel=0.25), name


def test_the_table_of_results_has_the_counts_of_the_committed_sets():
    words = ("agrees", "disagrees", "negligible", "inconclusive", "out of scope")
    rows = dict(re.findall(r"^\| \[`(\w+)`\][^|]*\|[^|]*\| ([^|]*(?:\| \d+ ){5})\|", TEXTS["results/README.md"], re.M))
    assert {*rows} == {path.parent.name for path in REFERENCE.glob("*/set.json")}
    for name, row in rows.items():
        cases = json.loads((REFERENCE / name / "verdicts.json").read_text(encoding="utf-8"))["cases"]
        said = Counter(case["said"] for case in cases)
        behind = sorted({case["seeds"] for case in cases if case["seeds"]})
        seeds = " to ".join(dict.fromkeys((str(behind[0]), str(behind[-1]))))
        assert [cell.strip() for cell in row.split("|")] == [seeds, *(str(said[word]) for word in words)], name


def test_shell_blocks_are_shell():
    for name, code in blocks("sh"):
        done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (name, done.stderr)
