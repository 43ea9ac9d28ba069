"""The image is made for this machine's processor.

An image holds programs for one kind of processor, a name may hold images for several. On another kind the first
program ends in `exec format error`, or the engine finds no image for the platform. NVIDIA's TensorFlow images are for
x86_64, from 22.x on for arm64 servers too; those for Jetson have names of their own that end in -igpu.
"""

from __future__ import annotations

MENDED_BY = "take a tag that holds an image for the machine's processor: gpudoctor resolve names those"
DECIDED_BY = "uname -m; docker image inspect -f '{{.Os}}/{{.Architecture}}' IMAGE; docker manifest inspect IMAGE"
LINKS = (
    "https://docs.docker.com/build/building/multi-platform/",
    "https://github.com/singularityhub/singularity-hpc/issues/672",
    "https://github.com/NVIDIA/nvidia-docker/issues/1116",
)
SYMPTOMS = (
    r"exec format error",
    r"no image found in (?:image index|manifest list) for architecture",
    r"no matching manifest for linux/\w+",
    r"does not match the (?:detected host platform|specified platform)",
)
