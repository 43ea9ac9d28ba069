"""The h5py that is installed can load the models of this TensorFlow.

h5py 3 gives texts as str where h5py 2 gave bytes, and the Keras of TensorFlow up to 2.3 decodes them: load_model and
load_weights of an .h5 file end in AttributeError: 'str' object has no attribute 'decode'. Saving and training work, so
that the fault shows only when the work is to be used. Few of these TensorFlows say which h5py they want, so that pip
brings the newest.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import python_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "take h5py back to 2.10: pip install 'h5py<3'"
DECIDED_BY = "pip list | grep -iE 'h5py|tensorflow'"
LINKS = (
    "https://github.com/tensorflow/tensorflow/issues/44467",
    "https://github.com/matterport/Mask_RCNN/issues/2594",
    "https://github.com/keras-team/keras/issues/14265",
)
SYMPTOMS = (
    r"'str' object has no attribute 'decode'",
    r"f\.attrs\[.(?:keras_version|backend|layer_names).\]\.decode",
)

# 1.15.5 and 2.3.4 with h5py 3 fail to load what they saved; 2.4 asks for h5py 2.10 and reads both. LINKS (2026-11)
_FIRST_FOR_H5PY_3 = (2, 4)

applies = python_here.holds_tensorflow


def check(case: Case) -> Iterator[Finding]:
    """Compare two versions. The GPU works all the same, so it is a warning."""
    python = known(case.facts.python)
    package = python_here.tensorflow(python)
    tf = None if package is None else python_here.version(package)
    h5py = python_here.installed(python, "h5py")
    if tf is None or h5py is None or tf.minor >= _FIRST_FOR_H5PY_3 or python_here.numbers(h5py)[:1] < (3,):
        return
    yield Finding(
        severity=Severity.WARNING,
        message=f"TensorFlow {tf} cannot load .h5 models with h5py {h5py}: it needs h5py 2",
        evidence=python_here.evidence(python, "h5py"),
        fix=Fix(text="take h5py back to 2.10", commands=(python_here.pip(python, "'h5py<3'"),), url=LINKS[0]),
    )
