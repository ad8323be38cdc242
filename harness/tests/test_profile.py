from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from harness.data import dataset_info
from harness.errors import HarnessError
from harness.judging.deviations import deviations
from harness.plan.case import expand
from harness.plan.cast import player
from harness.plan.catalogue import load_catalogue
from harness.plan.plan import wanted_epochs
from harness.plan.profile import FOLDER, load_profile
from harness.plan.recipe import Recipe
from harness.plan.run import ModelSpec, Run, source_of
from harness.plan.study import study
from harness.plan.wanted import wanted
from harness.probes.kinds import PROBES
from harness.store.identity import short_digest
from models import anatomy, create_model

CATALOGUE = Path(__file__).parents[2] / "claims" / "catalogue.toml"
GOOD = """
about = "a test"
datasets = ["digits"]
looks = [2]
[roles]
resnet = "resnet_micro"
vit = ["vit_micro", { name = "vit_micro", depth = 2 }]
[recipe]
epochs = 3
"""


@pytest.fixture
def profile(tmp_path):
    def load(text=GOOD, **replace):
        for old, new in replace.items():
            text = text.replace(old, new)
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return load_profile(str(path))

    return load


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_profile_loads(path):
    assert load_profile(path.stem).name == path.stem


NETWORKS = {
    (dataset_info(dataset).image_size, str(spec)): (dataset_info(dataset), spec)
    for path in FOLDER.glob("*.toml")
    for profile in [load_profile(path.stem)]
    for dataset in profile.datasets
    for role in [*profile.roles, *profile.variants]
    for lead in profile.roles[profile.lead(role)]
    for spec in [player(profile, role, lead).model]
}


@pytest.mark.parametrize(("info", "spec"), NETWORKS.values(), ids=[f"{size}-{spec}" for size, spec in NETWORKS])
def test_every_network_of_a_profile_can_be_built_for_its_data_set_and_probed(info, spec):
    overrides = {key: value for key, value in spec.overrides.items() if key != "pretrained"}
    with torch.device("meta"):
        model = create_model(
            spec.name, num_classes=info.classes, image_size=info.image_size, in_chans=info.channels, **overrides
        )
    assert len(anatomy(model).units) >= 4  # stem, two blocks, head


@pytest.mark.parametrize(
    ("name", "dataset", "placement"), [("cifar10", "cifar10", (0, 1, 1, 2)), ("imagenet", "imagenet", (0, 1, 3, 2))]
)
def test_alternet_has_its_msas_where_the_paper_draws_them(name, dataset, placement):
    (spec,) = load_profile(name).roles["alternet"]
    info = dataset_info(dataset)
    with torch.device("meta"):
        model = create_model(spec.name, num_classes=info.classes, image_size=info.image_size, **spec.overrides)
        units = anatomy(model).units
    assert (
        tuple(sum(unit.kind == "msa" and unit.stage == stage for unit in units) for stage in range(1, 5)) == placement
    )


def test_the_profiles_of_the_papers_data_sets_have_its_recipe():
    paper = load_profile("cifar100").recipe
    assert (paper, load_profile("cifar100").looks[0]) == (Recipe(), 3)
    short = load_profile("cifar10").recipe
    assert short.model_copy(update={"epochs": 300, "precision": "fp32"}) == paper
    assert short.warmup_epochs == 5
    imagenet = load_profile("imagenet").recipe
    assert (imagenet.total_epochs, imagenet.batch_size, imagenet.erasing, imagenet.clip_norm) == (305, 128, 0.25, 0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("looks =", "lookz =", r"mine\.toml: unknown key 'lookz'; did you mean 'looks'"),
        ("epochs =", "epoch =", r"unknown key 'recipe\.epoch'; did you mean 'epochs'"),
        (
            "resnet_micro",
            "resnet_mikro",
            r"roles.*no model 'resnet_mikro' for role 'resnet'; did you mean 'resnet_micro'",
        ),
        ('"digits"', '"digit"', r"datasets.*no data set 'digit'; did you mean 'digits'"),
        ("epochs = 3", "epochs = -3", r"recipe\.epochs: .*greater than or equal to 0 \(given: -3\)"),
        ("[2]", "[2, 2]", r"looks = \[2, 2\]: seeds behind each look, each more than before"),
        ("[recipe]", "[probes.fouriers]\n[recipe]", "no probe 'fouriers'; did you mean 'fourier'"),
        ("[recipe]", "[probes.fourier]\ngroup = 3\n[recipe]", "did you mean 'groups'"),
        ("epochs = 3", "epochs = ", r"cannot read .*mine\.toml"),
        ("[recipe]\nepochs = 3", "", "recipe: Field required"),
        ("epochs = 3", 'base = "week"', "no recipe 'week'; did you mean 'weak'"),
        ("epochs = 3", "mixup = 0.0", "set both or neither"),
        ("looks =", "keep = [0, 4]\nlooks =", "keep = .*the recipe has 3 epochs behind its warm-up"),
    ],
)
def test_a_wrong_profile_is_one_line(profile, old, new, message):
    with pytest.raises(HarnessError, match=message) as caught:
        profile(**{old: new})
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(HarnessError, match="no profile 'quik'; did you mean 'quick'"):
        load_profile("quik")


def test_a_role_with_two_models_makes_two_cases_with_different_runs(profile):
    cases, missing = expand("F1", None, ["resnet", "vit"], ["fourier"], profile())
    assert missing == []
    assert [case.name for case in cases] == ["digits-vit_micro", "digits-vit_micro(depth=2)"]
    runs = {run.run_id for case in cases for run, _ in case.runs("fingerprint")}
    assert len(runs) == 6  # three networks × two seeds; the ResNet is shared


VARIANTS = """
[variants]
more = {of = "vit", study = "heads", at = 4, model = {heads = 4}}
vit_heads_2 = {of = "vit", study = "heads", at = 2, model = {heads = 2}}
vit_weak = {of = "vit", recipe = {mixup = 0.0, cutmix = 0.0}}
vit_little = {of = "vit", share = 0.0625}
"""


def test_a_variant_differs_from_its_role_in_what_it_says_and_in_nothing_else(profile):
    mine = profile(GOOD + VARIANTS)
    roles = ["vit", study("heads", of="vit"), "vit_weak", "vit_little"]
    cases, missing = expand("L16", None, roles, ["fourier"], mine)
    assert missing == []
    assert [case.cast["vit"].overrides for case in cases] == [{}, {"depth": 2}]
    case = cases[1]
    assert case.roles == ("vit", "vit_heads_2", "more", "vit_weak", "vit_little")
    runs = {role: case.run(role, 0, "fingerprint") for role in case.roles}
    assert len({run.run_id for run in runs.values()}) == 5
    plain = runs["vit"].model_dump()
    for role, key, value in (
        ("more", "model", {"name": "vit_micro", "overrides": {"depth": 2, "heads": 4}}),
        ("vit_weak", "recipe", {**plain["recipe"], "mixup": 0.0, "cutmix": 0.0}),
        ("vit_little", "train_images", 90),
    ):
        assert runs[role].model_dump() == {**plain, key: value}
    assert str(case.players["vit_weak"]) == "vit_micro(depth=2), mixup 0.0, cutmix 0.0"
    assert str(case.players["vit_little"]) == "vit_micro(depth=2), 6.25 % of the training images"


def test_networks_with_weights_from_elsewhere_and_a_persons_own_come_in_no_variants(profile, tmp_path):
    mine = profile(GOOD + VARIANTS)
    weights = tmp_path / "weights.safetensors"
    assert list(mine.with_subject("my_net:factory").variants) == ["vit_weak", "vit_little"]
    fixed = mine.with_subject("my_net:factory", weights)
    assert expand("L6", None, ["vit", "vit_weak"], ["fourier"], fixed) == ([], ["model for role vit_weak"])


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ('x = {of = "vitt"}', "variants.x: no role 'vitt'; did you mean 'vit'"),
        ('vit = {of = "resnet"}', "variants.vit: there is a role of this name"),
        ('x = {of = "vit", recipe = {mixupp = 1.0}}', "variants.x.recipe.mixupp.*did you mean 'mixup'"),
        ('x = {of = "vit", share = 1.5}', "variants.x.share"),
        ('x = {of = "vit", study = "heads"}', "study = 'heads' and at = None: a point of a study needs both"),
        (
            'x = {of = "vit", study = "heads", at = 2}\ny = {of = "vit", study = "heads", at = 2}',
            "variants.x and variants.y are the same point",
        ),
        ('x = {of = "vit", modell = {}}', "unknown key 'variants.x.modell'; did you mean 'model'"),
    ],
)
def test_a_wrong_variant_is_one_line(profile, variant, message):
    with pytest.raises(HarnessError, match=message) as caught:
        profile(f"{GOOD}[variants]\n{variant}")
    assert "\n" not in str(caught.value)


def test_a_probe_of_an_epoch_is_counted_in_the_runs_own_recipe(profile):
    mine = profile(GOOD + '[variants]\nvit_long = {of = "vit", recipe = {epochs = 6}}')
    chosen = [wanted("hessian", after=0), wanted("hessian", after="1/3"), wanted("hessian", augment=False)]
    (case, _), _ = expand("L2", None, ["vit", "vit_long"], chosen, mine)
    assert [[case.request(role, probe, 0).epoch for probe in case.probes] for role in case.roles] == [
        [0, 1, None],
        [0, 2, None],
    ]
    assert [probe.name for probe in chosen] == ["hessian-warmup", "hessian-after-1-3", "hessian-augment-False"]
    parameters = [case.request("vit", probe, 0).parameters.augment for probe in chosen]
    assert parameters == [True, True, False]
    assert len({case.request("vit", probe, 0).key("run") for probe in chosen}) == 3
    (bare, _), _ = expand("L2", None, ["vit"], chosen, profile(**{"epochs = 3": "epochs = 3\nwarmup_epochs = 0"}))
    with pytest.raises(HarnessError, match="no warm-up"):
        bare.request("vit", chosen[0], 0)


def test_a_profile_judges_the_claims_that_it_names(profile):
    mine = profile(**{"looks =": 'claims = ["L2 warmup", "F1"]\nlooks ='})
    cast = {(claim, part): expand(claim, part, ["vit", "resnet"], ["fit"], mine) for claim in ("L2", "F1", "F10")
            for part in (None, "warmup", "training")}  # fmt: skip
    assert {key for key, (cases, _) in cast.items() if cases} == {
        ("L2", "warmup"), *(("F1", part) for part in (None, "warmup", "training"))
    }  # fmt: skip
    assert cast["L2", "training"][1] == ["claim L2 training among those that it judges"]
    assert expand("F10", None, [], [], mine)[0]  # a theorem takes nothing


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_profile_names_claims_that_there_are(path):
    catalogue = load_catalogue(CATALOGUE)
    for name in load_profile(path.stem).claims or []:
        claim, _, part = name.partition(" ")
        assert catalogue[claim].rules
        assert not part or catalogue[claim].rule(part)


def test_spectra_under_one_augmentation_whatever_was_trained_with(profile):
    """Under its own a network has one table; the request of the other holds all that its images depend on."""
    changes = 'rand_augment = "none", mixup = 0.0, cutmix = 0.0, label_smoothing = 0.0'
    weak = f'weak = {{of = "vit", study = "augmentation", at = "weak", recipe = {{{changes}}}}}'
    strong = 'strong = {of = "vit", study = "augmentation", at = "strong"}'
    mine = profile(f"{GOOD}[variants]\n{weak}\n{strong}")
    chosen = [wanted("hessian"), *(wanted("hessian", augmentation=name) for name in ("weak", "strong"))]
    (case, _), _ = expand("L19", None, ["weak", "strong"], chosen, mine)
    own, weak, as_strong = (case.request("weak", probe, 0) for probe in case.probes)
    assert own == weak
    assert as_strong.parameters.augmentation == case.players["strong"].recipe.augmentation
    assert as_strong.parameters.augmentation["mixup"] == 1.0
    own, as_weak, strong = (case.request("strong", probe, 0) for probe in case.probes)
    assert own == strong
    assert as_weak.parameters.augmentation == case.players["weak"].recipe.augmentation
    assert len({request.key("run") for request in (own, as_weak, as_strong)}) == 3
    assert as_weak == as_weak.model_validate_plain(as_weak.model_dump(mode="json"))
    with pytest.raises(HarnessError, match="no variant of the study augmentation at 'medium'"):
        wanted("hessian", augmentation="medium").request(mine, case.players["weak"], 0)


def test_weights_are_wanted_as_far_as_is_measured(profile):
    mine = profile(**{"looks =": "keep = [0, 2]\nlooks ="})
    chosen = {epoch: wanted("hessian", after=Fraction(epoch, 3)) for epoch in (0, 1, 3)}
    (case, _), _ = expand("L2", None, ["vit"], list(chosen.values()), mine)
    run = case.run("vit", 0, "fingerprint")

    def epochs(*after):
        return wanted_epochs(run, [case.request("vit", chosen[epoch], 0) for epoch in after], mine)

    assert epochs(0) == (0,)
    assert epochs(1) == (0, 1)
    assert epochs(1, 3) == (0, 1, 2, None)


@pytest.mark.parametrize(("probe", "name"), [("hessian", "start_seed"), ("landscape", "direction_seed")])
def test_a_parameter_that_came_later_leaves_stored_tables_where_they_are(profile, probe, name):
    """At its default it is no part of the key; two seeds, of the images and of what the probe draws, are two keys."""

    def key(changes=""):
        mine = profile(GOOD.replace("epochs = 3", f"epochs = 3\n[probes.{probe}]\n{changes}"))
        (case, _), _ = expand("L2", None, ["vit"], [probe], mine)
        return case.request("vit", case.probes[0], 0)

    usual = key()
    plain = usual.model_dump(mode="json")
    assert plain.pop("held_out") is None
    for later in PROBES[probe].parameters.later:
        del plain["parameters"][later]
    assert usual.key("run") == f"probes/run/{probe}-{short_digest({'version': 1, **plain})}"
    keys = {key(changes).key("run") for changes in ("", f"{name} = 1", "seed = 1", f"{name} = 1\nseed = 1")}
    assert len(keys) == 4


def test_every_seed_draws_its_own_the_same_for_all_networks_of_that_seed(profile):
    """Unless the profile names a draw; seed 0 has the draw, and the keys, that all seeds had before."""
    (case, _), _ = expand("F1", None, ["vit", "resnet"], ["fourier", "hessian", "landscape"], profile())
    drawn = {"fourier": {"draw"}, "hessian": {"seed", "start_seed"}, "landscape": {"seed", "direction_seed"}}
    for probe in case.probes:
        first, second = (case.request("vit", probe, seed) for seed in (0, 1))
        assert case.request("resnet", probe, 1) == second
        differing = {name for name, value in second.parameters if value != getattr(first.parameters, name)}
        assert differing == drawn[probe.probe]
        assert all(getattr(second.parameters, name) == 1 for name in differing)
        assert first.parameters == type(first.parameters).model_validate({})
    plain = case.request("vit", case.probes[0], 0).model_dump(mode="json")
    assert plain["parameters"].pop("draw") == 0
    assert plain.pop("held_out") is None
    version = PROBES["fourier"].version
    key = f"probes/run/fourier-{short_digest({'version': version, **plain})}"
    assert case.request("vit", case.probes[0], 0).key("run") == key
    named = profile(GOOD.replace("epochs = 3", "epochs = 3\n[probes.fourier]\ndraw = 7\n[probes.hessian]\nseed = 0"))
    (case, _), _ = expand("F1", None, ["vit"], ["fourier", "hessian"], named)
    images, spectrum = (case.request("vit", probe, 1).parameters for probe in case.probes)
    assert (images.draw, spectrum.seed, spectrum.start_seed) == (7, 0, 1)


def test_looks_are_taken_as_far_as_seeds_are_allowed(profile):
    mine = profile(**{"looks = [2]": "looks = [3, 5, 8]"})
    for most, planned, allowed in (
        (None, (3, 5, 8), (3, 5, 8)),
        (20, (3, 5, 8), (3, 5, 8)),
        (5, (3, 5, 8), (3, 5)),
        (4, (3, 5, 8), (3,)),
        (2, (2, 3, 5, 8), (2,)),
    ):
        given = mine.model_copy(update={"most_seeds": most})
        assert (given.planned_looks, given.allowed_looks) == (planned, allowed)
    fixed = mine.with_subject("my_net:factory", Path("weights.pt"))
    assert expand("F1", None, ["vit"], ["fourier"], fixed)[0][0].looks == (1,)


def test_whether_a_network_has_learned_is_measured_wherever_it_is_looked_at(profile):
    chosen = [wanted("hessian", after=0), "fourier", "prediction"]
    (case, _), _ = expand("F1", None, ["vit"], chosen, profile())
    more = wanted("prediction", after=0, brief=True)  # at the end it is among the claim's own
    assert case.all_probes == (*case.probes, more)
    assert case.control.all_probes == case.probes
    assert {player.recipe.total_epochs for player in case.control.players.values()} == {0}
    (large, _), _ = expand("F1", None, ["vit"], ["fourier"], profile(digits="cifar10"))
    assert large.all_probes[1] == wanted("prediction", images=1000, brief=True)


@pytest.mark.parametrize(
    ("changes", "probe", "images"),
    [
        ("", "prediction", 90),
        ("[images]\ntest = 50", "prediction", 13),
        ("[probes.hessian]\nimages = 96", "hessian", 32),
        ("[probes.hessian]\nimages = 16", "hessian", 16),
        ("[probes.landscape]\nimages = 48", "landscape", 12),
        ("[images]\ntrain = 80", "fit", 20),
        ("", "throughput", 96),
    ],
)
def test_what_random_weights_show_is_seen_on_a_part_of_the_samples_unless_a_rule_compares_with_them(
    changes, probe, images, profile
):
    (case, _), _ = expand("F1", None, ["vit"], [probe], profile(GOOD + changes))
    claims = load_catalogue(CATALOGUE)
    compares, shows = claims["F4"].rule(None), claims["L4"].rule(None)
    assert (compares.compares, shows.compares) == (True, False)
    (asked,) = case.control.requests("vit", 0)
    assert case.control_for(compares).requests("vit", 0) == [asked]
    (fewer,) = case.control_for(shows).requests("vit", 0)
    assert fewer.images("digits", case.run("vit", 0, "").train_images) == images
    assert fewer.model_copy(update={"parameters": asked.parameters}) == asked


def test_a_role_nobody_plays_makes_no_case(profile):
    assert expand("F3", None, ["vit", "swin"], ["fourier"], profile()) == ([], ["model for role swin"])


def test_the_identity_of_a_run_is_all_that_it_is_made_of():
    base = {
        "model": ModelSpec(name="vit_micro"),
        "dataset": "digits",
        "fingerprint": "f",
        "train_images": None,
        "recipe": Recipe(),
        "seed": 0,
    }
    changes = [
        {},
        {"model": ModelSpec(name="vit_micro", overrides={"depth": 2})},
        {"dataset": "cifar10"},
        {"fingerprint": "g"},
        {"train_images": 100},
        {"recipe": Recipe(epochs=2)},
        {"seed": 1},
        {"source": "s"},
        {"version": 0},
    ]
    ids = [Run(**{**base, **change}).run_id for change in changes]
    assert len(set(ids)) == len(ids)
    assert Run(**base).run_id == ids[0]
    assert Run.model_validate(Run(**base).model_dump(mode="json")).run_id == ids[0]


def test_a_subject_is_named_by_its_code(tmp_path, monkeypatch, profile):
    (tmp_path / "my_net.py").write_text("def factory(num_classes, image_size): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    mine = profile().with_subject("my_net:factory")
    (spec,) = mine.roles["vit"]
    before = source_of(spec)
    (tmp_path / "my_net.py").write_text("def factory(num_classes, image_size): return 1\n")
    assert source_of(spec) != before
    assert profile().with_subject("resnet=my_net:factory").roles["resnet"] == [ModelSpec(name="subject/my_net:factory")]
    assert source_of(ModelSpec(name="vit_micro")) is None


@pytest.mark.parametrize(
    ("subject", "message"),
    [("nothing", "package.module:factory"), ("no_such_module:f", "no module 'no_such_module'"), ("vitt=a:b", "'vitt'")],
)
def test_a_wrong_subject_is_one_line(profile, subject, message):
    with pytest.raises(HarnessError, match=message):
        source_of(profile().with_subject(subject).roles["vit"][0])


# --- catalogue and deviations ----------------------------------------------------------------------------------------


def test_the_catalogue_holds_every_claim():
    claims = load_catalogue(CATALOGUE).claims
    wanted = [f"L{i}" for i in range(1, 20)] + [f"F{i}" for i in range(1, 11)] + [f"S{i}" for i in range(1, 6)]
    assert set(claims) == {*wanted, *(f"A{i}" for i in range(1, 7)), "D1", "D2", "D3", "U1", "U2", "X1"}
    for claim in claims.values():
        for rule in claim.rules:
            assert any(effect.decides for effect in rule.effects), claim.id
            names = [effect.name for effect in rule.effects]
            assert len(set(names)) == len(names), claim.id
            assert all((effect.paper is None) == (effect.source is None) for effect in rule.effects), claim.id


@pytest.mark.parametrize(
    ("old", "new"), [('figure = "Fig 2a"', ""), ("null = 0.0", 'null = "zero"'), ("[F1]", "[F1]\nstatment = 1")]
)
def test_a_wrong_catalogue_is_one_line(tmp_path, old, new):
    text = CATALOGUE.read_text()
    assert old in text
    (tmp_path / "catalogue.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(HarnessError, match=r"catalogue\.toml") as caught:
        load_catalogue(tmp_path / "catalogue.toml")
    assert "\n" not in str(caught.value)


def test_a_rule_is_hashed_with_all_its_numbers():
    rule = load_catalogue(CATALOGUE)["F1"].rule(None)
    effects = [rule.effects[0].model_copy(update={"null": 0.1}), *rule.effects[1:]]
    assert rule.model_copy(update={"effects": effects}).model_copy().sha256 != rule.sha256


def test_deviations_list_what_differs_and_nothing_else(profile):
    claim = load_catalogue(CATALOGUE)["A2"]
    toml = GOOD.replace("digits", "cifar100").replace('"resnet_micro"', '"resnet50"').replace("epochs = 3", "")
    toml = toml.replace("resnet =", 'preact_resnet = "preact_resnet50"\nalternet = "alter_resnet50"\nresnet =')
    toml = toml.replace('["vit_micro", { name = "vit_micro", depth = 2 }]', '"vit_tiny"')
    roles = ["alternet", "preact_resnet", "vit"]
    (case,), _ = expand("A2", "accuracy", roles, ["prediction"], profile(toml))
    assert deviations(claim, case, "CIFAR-100") == []

    changed = toml.replace(
        "[recipe]",
        '[images]\ntrain = 5000\n[recipe]\nepochs = 25\nflip = false\nrand_augment = "none"\nmixup = 0\ncutmix = 0',
    ).replace("looks = [2]", "looks = [1]")
    (case,), _ = expand(
        "A2", "accuracy", roles, ["prediction"], profile(changed.replace("alter_resnet50", "alter_resnet18"))
    )
    assert deviations(claim, case, "CIFAR-100 (JPEG q75 copy)") == [
        "CIFAR-100 (JPEG q75 copy) instead of the original images",
        "5,000 of 50,000 training images",
        "alter_resnet18 instead of alter_resnet50",
        "30 of 305 epochs",
        "horizontal flip off instead of on",
        "RandAugment none instead of rand-m9-n2-mstd1.0",
        "mixup alpha 0 instead of 1",
        "CutMix alpha 0 instead of 0.8",
        "single seed",
    ]


def test_after_the_warmup_only_its_epochs_count(profile):
    claim = load_catalogue(CATALOGUE)["A3"]
    toml = GOOD.replace("digits", "cifar100").replace('"resnet_micro"', '"resnet50"\nalternet = "alter_resnet50"')
    few = "hessian over 1,024 training images instead of a tenth of them"
    for images, epochs, expected in ((5000, 5, []), (1024, 2, [few, "2 of 5 warm-up epochs"])):
        mine = toml.replace("epochs = 3", f"epochs = 3\nwarmup_epochs = {epochs}")
        mine = profile(f"{mine}\n[probes.hessian]\nimages = {images}\n")
        (case,), _ = expand("A3", None, ["alternet", "resnet"], [wanted("hessian", after=0)], mine)
        assert deviations(claim, case, "CIFAR-100") == expected


def test_a_study_of_other_numbers_than_the_papers_says_so():
    claim = load_catalogue(CATALOGUE)["L16"]
    (case,), _ = expand("L16", None, [study("heads", of="vit")], [wanted("hessian", after=0)], load_profile("mini"))
    assert "heads 1, 2, 4, 6 instead of 1, 2, 3, 4, 5, 6, 7, 8, 9" in deviations(claim, case, "CIFAR-10")


def test_on_imagenet_the_papers_own_recipe_and_weights_are_no_deviations():
    claims, shipped = load_catalogue(CATALOGUE), load_profile("imagenet")
    (case,), _ = expand("F3", None, ["pit", "swin"], ["fourier"], shipped)
    assert deviations(claims["F3"], case, "ImageNet-1K") == ["single seed"]
    (case,), _ = expand("F1", None, ["resnet", "vit"], ["fourier"], shipped)
    assert deviations(claims["F1"], case, "ImageNet-1K") == ["single seed"]
    (case,), _ = expand("F1", None, ["resnet", "vit"], ["fourier"], load_profile("imagenet_pretrained"))
    assert deviations(claims["F1"], case, "ImageNet-1K (1,000 of 50,000 validation images)") == [
        "ImageNet-1K (1,000 of 50,000 validation images) instead of the original images",
        "timm/resnet50.a1_in1k(pretrained=True) instead of resnet50",
        "timm/deit_tiny_patch16_224.fb_in1k(pretrained=True) instead of vit_tiny",
        "timm/resnet50.a1_in1k(pretrained=True) with weights from elsewhere, not trained here",
        "timm/deit_tiny_patch16_224.fb_in1k(pretrained=True) with weights from elsewhere, not trained here",
        "single seed",
    ]
