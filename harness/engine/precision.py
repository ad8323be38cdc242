"""bf16 only where it is fast. Known without torch, since the identity of a run, and so the plan, depends on it."""

from __future__ import annotations

from pathlib import Path

from harness.plan.profile import Profile

CPUINFO, DEVICES = Path("/proc/cpuinfo"), Path("/dev")
GPUS = ("nvidia[0-9]*", "kfd", "dxg")  # NVIDIA's, AMD's, and either under WSL
FAST = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 and ARM


def in_fast_precision(profile: Profile, device: str, engine: str = "local") -> tuple[Profile, str | None]:
    """The profile with float32 in the place of bf16 where a CPU would have to imitate it, up to 25 times slower.

    Args:
        device: `--device`.
        engine: `--engine`; with "ray" and "auto" the cluster may have GPUs that this machine has not.

    Returns:
        The profile, and in a line what was changed; None if nothing.
    """
    may_be_gpu = device == "cuda" or (device == "auto" and (engine == "ray" or has_gpu()))
    if profile.recipe.precision != "bf16" or may_be_gpu or has_fast_bf16():
        return profile, None
    recipe = profile.recipe.model_copy(update={"precision": "fp32"})
    remark = "this CPU has no instructions for bf16: networks are trained in fp32, which are other runs"
    return profile.model_copy(update={"recipe": recipe}), remark


def has_gpu() -> bool:
    """Whether the system shows a device that torch may compute on."""
    return any(next(DEVICES.glob(pattern), None) for pattern in GPUS)


def has_fast_bf16() -> bool:
    """Whether the CPU multiplies in bf16; taken for granted where the system does not say (Linux does)."""
    try:
        told = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return True
    return not FAST.isdisjoint(told)
