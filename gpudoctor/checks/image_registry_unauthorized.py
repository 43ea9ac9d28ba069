"""The registry lets this user pull the image.

nvcr.io gives NVIDIA's public images, tensorflow among them, to anybody. It refuses images that want an agreement or a
subscription, and it refuses credentials that have expired, also where none would have been needed: after a
`docker login` with an old key even public images answer 401.
"""

from __future__ import annotations

MENDED_BY = (
    "for a public image: docker logout nvcr.io; else docker login nvcr.io, with the user $oauthtoken and an API key of"
    " NGC as the password"
)
DECIDED_BY = "docker logout nvcr.io && docker manifest inspect IMAGE; gpudoctor resolve --image IMAGE"
LINKS = (
    "https://docs.nvidia.com/ngc/gpu-cloud/ngc-private-registry-user-guide/index.html",
    "https://github.com/NVIDIA/DeepLearningExamples/issues/451",
    "https://github.com/XingangPan/DragGAN/issues/149",
)
SYMPTOMS = (
    r"unauthorized: authentication required",
    r"failed to (?:fetch|authorize).*(?:anonymous|oauth) token.*401",
    r"nvcr\.io.*\b(?:401|403|unauthorized|denied)\b",
    r"pull access denied for nvcr\.io",
    r"unauthorized: <html>",
)
