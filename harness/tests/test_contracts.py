"""What holds for every probe, and for every claim: one test over all of them, so that a new one need not remember."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import one_hot

import harness.probes
from harness.errors import HarnessError
from harness.judging.again import load_tests
from harness.judging.evidence import read_all_evidence
from harness.plan.case import expand
from harness.plan.catalogue import EffectRule, Rule, load_catalogue
from harness.plan.profile import FOLDER, load_profile
from harness.plan.study import Point, Study
from harness.probes.kinds import PROBES, GroupedParameters
from models import create_model

CLAIMS = Path(__file__).parents[2] / "claims"
CATALOGUE = load_catalogue(CLAIMS / "catalogue.toml")
TESTS = load_tests(CLAIMS)

# --- probes -----------------------------------------------------------------------------------------------------------

IMAGES = 24
FEW = {
    "corruption": {"mean": (0.5,), "std": (0.25,), "corruptions": ("shot_noise", "fog")},
    "hessian": {"top": 2},
    "landscape": {"points": 3, "directions": 2},
    "noise": {"amplitudes": (0.5,)},
    "throughput": {"repetitions": 2},
}
NEEDS_LABELS = [name for name in PROBES if name not in ("fourier", "variance", "similarity")]


@pytest.fixture
def network():
    """With BatchNorm, whose statistics a forward pass in training mode would change, and some use of randomness."""
    torch.manual_seed(0)
    model = create_model("alter_resnet_micro", num_classes=10, image_size=8, in_chans=1, drop_path_rate=0.5)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(16, 1, 8, 8))
    return model


def batches(probe, sizes):
    """The same images with their labels, or soft targets, cut into batches of these sizes."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(IMAGES, 1, 8, 8, generator=generator)
    labels = torch.randint(10, (IMAGES,), generator=generator)
    targets = 0.9 * one_hot(labels, 10).float() + 0.01 if PROBES[probe].split == "train" else labels
    return list(zip(images.split(sizes), targets.split(sizes), strict=True))


def measure(probe, model, data, **parameters):
    return getattr(harness.probes, probe)(model, data, **{**FEW.get(probe, {}), **parameters})


def parameters_of(probe, **wanted):
    return {name: value for name, value in wanted.items() if name in PROBES[probe].parameters.model_fields}


@pytest.mark.parametrize("probe", PROBES)
def test_a_table_has_the_columns_that_are_declared_and_a_row_for_each_combination_of_keys(probe, network):
    kind, table = PROBES[probe], measure(probe, network, batches(probe, [16, 8]))
    assert {"sample", "images", *kind.keys, *kind.values} <= set(table.columns)
    assert not table.duplicated(["sample", *kind.keys]).any()
    rows = table.groupby("sample").size()
    assert rows.nunique() == 1  # every sample has the same rows, or statistics could not average over samples
    assert (table.groupby("sample")["images"].nunique() == 1).all()
    assert all(pd.api.types.is_float_dtype(table[value]) for value in kind.values)
    assert np.isfinite(table[list(kind.values)].to_numpy()).all()
    for name in kind.told:
        assert name in kind.parameters.model_fields


@pytest.mark.parametrize("probe", PROBES)
def test_it_measures_in_evaluation_mode_and_leaves_the_network_as_it_was(probe, network):
    before = copy.deepcopy(network.state_dict())
    evaluated = measure(probe, copy.deepcopy(network).eval(), batches(probe, [16, 8]))
    in_training = measure(probe, network.train(), batches(probe, [16, 8]))
    rest = evaluated.columns.difference(PROBES[probe].values if PROBES[probe].clocked else [])
    pd.testing.assert_frame_equal(evaluated[rest], in_training[rest], check_exact=True)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    hooks = [(module._forward_hooks, module._forward_pre_hooks) for module in network.modules()]
    assert not any(own for pair in hooks for own in pair)


# Of a Hessian the mini-batch is the sample, and a clock tells the time of one batch.
@pytest.mark.parametrize("probe", [name for name in PROBES if name != "hessian" and not PROBES[name].clocked])
def test_how_images_are_cut_into_batches_changes_nothing(probe, network):
    whole, cut = (measure(probe, network, batches(probe, sizes)) for sizes in ([24], [5, 16, 3]))
    values = list(PROBES[probe].values)
    rest = whole.columns.difference(values)
    pd.testing.assert_frame_equal(whole[rest], cut[rest])
    np.testing.assert_allclose(whole[values], cut[values], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("probe", [name for name in PROBES if issubclass(PROBES[name].parameters, GroupedParameters)])
def test_fewer_images_than_groups_make_fewer_groups(probe, network):
    (few,) = batches(probe, [6, 18])[:1]
    table = measure(probe, network, [few], groups=32, **parameters_of(probe, minibatch=6))
    assert 1 <= table["sample"].nunique() <= 6
    assert table.groupby("sample")["images"].first().sum() == 6


@pytest.mark.parametrize("probe", NEEDS_LABELS)
def test_images_without_labels_are_refused_in_a_line(probe, network):
    with pytest.raises(HarnessError, match="label|target") as caught:
        measure(probe, network, [images for images, _ in batches(probe, [16, 8])])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_without_images_is_refused_in_a_line(probe, network):
    with pytest.raises(HarnessError, match=r"image|batch") as caught:
        measure(probe, network, [])
    assert "\n" not in str(caught.value)


# --- claims -----------------------------------------------------------------------------------------------------------


class Recorder:
    """Stands for a claim on a case of which nothing was measured: takes down which effects a test would measure."""

    def __init__(self, roles):
        self.names, self.premises, self.points = [], [], {}
        for role in roles:
            if isinstance(role, Study):
                self.points |= {f"{role}, {at}": Point(of=role.of, study=role.study, at=at) for at in places(role)}
        self.roles = tuple(role for role in roles if isinstance(role, str)) + tuple(self.points)

    def study(self, name, *, of=None):
        return {point.at: role for role, point in self.points.items() if point.study == name and of in (None, point.of)}

    def effect(self, name, role, statistic, **others):
        del statistic, others
        assert set([role] if isinstance(role, str) else role) <= set(self.roles), name
        self.names.append(name)

    def premise(self, name, role, statistic, **others):
        del statistic, others
        assert set([role] if isinstance(role, str) else role) <= set(self.roles), name
        self.premises.append(name)

    def effect_over_draws(self, name, values):
        assert len(values) > 1
        self.names.append(name)

    def average(self, role):
        """Of a network of three stages with three units of each kind."""
        assert role in self.roles
        units = enumerate((stage, kind) for stage in (1, 2, 3) for kind in ("conv", "msa", "mlp") * 3)
        about = [{"unit": unit, "stage": stage, "kind": kind} for unit, (stage, kind) in units]
        return pd.DataFrame(about).assign(variance=1.0, delta_accuracy=-5.0)


def places(study):
    """Of the largest profile, which has all of them."""
    variants = load_profile("cifar100").variants.values()
    mine = [variant.at for variant in variants if (variant.of, variant.study) == (study.of, study.study)]
    return mine if study.at is None else [study.at]


@pytest.mark.parametrize(("claim", "part"), TESTS, ids=[" ".join(filter(None, key)) for key in TESTS])
def test_a_claims_test_measures_the_effects_of_its_rule_and_no_others(claim, part):
    case = Recorder(TESTS[claim, part].roles)
    TESTS[claim, part].measure(case)
    rule = CATALOGUE[claim].rule(part)
    assert sorted(case.names) == sorted(effect.name for effect in rule.measured(case.names))
    assert all(any(effect.called(name) for name in case.names) for effect in rule.effects)
    assert sorted(case.premises) == sorted(premise.name for premise in rule.premises)


def test_nothing_that_was_measured_lies_where_its_rule_says_that_no_truth_can():
    seen = set()
    for reference in ("quick", "digits", "mini", "warmup"):
        for (claim, _), evidence in read_all_evidence(CLAIMS.parent / "results" / "reference" / reference).items():
            rule = CATALOGUE[claim].rule(evidence.rule.part)
            theirs = {effect.name: effect for effect in evidence.effects}
            for effect in rule.measured(theirs):
                if effect.range and theirs[effect.name].value is not None:
                    found, (least, most) = theirs[effect.name], effect.range
                    assert least - 1e-9 <= min(found.by_seed, default=least), (claim, effect.name)
                    assert max(found.by_seed, default=most) <= most + 1e-9, (claim, effect.name)
                    assert effect.paper is None or least <= effect.paper <= most
                    assert least < effect.null < most, (claim, effect.name)
                    seen.add((claim, effect.name))
    assert len(seen) > 30


def test_an_effect_for_each_has_the_papers_number_where_the_paper_has_one():
    each = EffectRule(
        name="{} of it", each="stage", unit="pp", null=0.0, decides=True, paper=1.0, papers={"2": 3.0}, source="Fig 1"
    )
    rule = Rule(text="", effects=[each, EffectRule(name="one", unit="pp", null=0.0, decides=False)])
    assert [(found.name, found.paper) for found in rule.measured(["one", "2 of it", "none", "5 of it"])] == [
        ("2 of it", 3.0),
        ("5 of it", 1.0),
        ("one", None),
    ]
    assert rule.measured([" of it"]) == []  # nothing stands there
    for wrong in ({"name": "no place"}, {"name": "{} and {}"}, {"name": "one {}", "each": None}):
        with pytest.raises(ValueError, match="one {} in the name"):
            EffectRule(**{**each.model_dump(), "papers": {}, **wrong})
    with pytest.raises(ValueError, match="has papers"):
        EffectRule(**{**each.model_dump(), "name": "one", "each": None})


def test_every_study_of_a_profile_is_compared_by_a_claim_and_every_role_has_a_part_in_one():
    asked = [role for test in TESTS.values() for role in test.roles]
    studies = {(role.study, role.of) for role in asked if isinstance(role, Study)}
    named = {role for role in asked if isinstance(role, str)}
    described = {name for claim in CATALOGUE.claims.values() for name in claim.studies}
    assert {study for study, _ in studies} <= described
    for path in FOLDER.glob("*.toml"):
        profile = load_profile(path.stem)
        points = [variant.point for variant in profile.variants.values()]
        assert all((point.study, point.of) in studies for point in points), path.stem
        assert set(profile.roles) <= named | {point.of for point in points}, path.stem


# On a sixteenth of the digits, 90 images, ViT learns nothing in as many epochs: 20 steps.
HOPELESS = {("digits", "L3", "epochs")}


@pytest.mark.parametrize("profile", ["cifar100", "mini", "digits"])
def test_the_larger_profiles_have_whom_the_tests_ask_for(profile):
    for (claim, part), test in TESTS.items():
        _, missing = expand(claim, part, test.roles, test.probes, load_profile(profile))
        assert bool(missing) == ((profile, claim, part) in HOPELESS), (claim, part, missing)
