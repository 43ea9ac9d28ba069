"""Variables of this process's environment that CUDA, TensorFlow, NVIDIA's containers and schedulers read."""

from __future__ import annotations

from collections.abc import Mapping

from gpudoctor.facts import Variable

# Nothing else leaves the machine: an environment holds what is nobody's business. TF_ alone is Terraform's too, whose
# TF_VAR_… often hold passwords.
_PREFIXES = (
    "CUDA_",
    "NCCL_",
    "NVIDIA_",
    "TF_ALLOW_",
    "TF_AUTOTUNE_",
    "TF_CPP_",
    "TF_CUBLAS",
    "TF_CUDA",
    "TF_CUDNN",
    "TF_DETERMINISTIC",
    "TF_DISABLE_",
    "TF_ENABLE_",
    "TF_FORCE_",
    "TF_GPU_",
    "TF_KERAS",
    "TF_NUM_",
    "TF_USE_",
    "TF_XLA_",
    "XLA_",
)
_NAMES = (
    "APPTAINER_NV",
    "CUDNN_PATH",
    "GPU_DEVICE_ORDINAL",
    "KERAS_BACKEND",
    "KUBERNETES_SERVICE_HOST",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
    "SINGULARITY_NV",
    "SLURM_GPUS",
    "SLURM_GPUS_ON_NODE",
    "SLURM_JOB_GPUS",
    "SLURM_JOB_ID",
    "SLURM_STEP_GPUS",
    "TENSORFLOW_VERSION",
)
_SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH")
_MOST_CHARACTERS = 4_096
_MOST_VARIABLES = 200


def variables(environ: Mapping[str, str]) -> tuple[Variable, ...]:
    """Those that are set, by name; values without what cannot be printed, and cut where they are long."""
    return tuple(
        Variable(name=name, value=_shown(environ[name])[:_MOST_CHARACTERS])
        for name in sorted(environ)
        if _is_ours(name)
    )[:_MOST_VARIABLES]


def _is_ours(name: str) -> bool:
    if not (name.startswith(_PREFIXES) or name in _NAMES) or not name.isprintable():
        return False
    return not any(word in name.upper() for word in _SECRETS)


def _shown(value: str) -> str:
    if value.isprintable():
        return value
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in value)
