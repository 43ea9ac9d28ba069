"""Programs load the driver's libcuda, not the stub of a CUDA toolkit.

A CUDA toolkit holds a libcuda.so in a folder called stubs, to link programs against on machines without a driver. Where
that folder is on LD_LIBRARY_PATH, or in the loader's configuration, programs load it at run time: cuInit ends in error
34, `CUDA driver is a stub library`, in older TensorFlow shown as `UNKNOWN ERROR (-1)` or as 34 without a name.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, in_words, init_code
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = "take the stubs folder off LD_LIBRARY_PATH and out of /etc/ld.so.conf.d; it is for linking alone"
DECIDED_BY = "ldconfig -p | grep libcuda.so; echo $LD_LIBRARY_PATH"
LINKS = (
    "https://github.com/tensorflow/tensorflow/issues/36974",
    "https://github.com/tensorflow/tensorflow/issues/14224",
)
SYMPTOMS = (
    r"CUDA driver is a stub library",
    r"CUDA_ERROR_STUB_LIBRARY|cudaErrorStubLibrary",
    r"failed call to cuInit: UNKNOWN ERROR \((-1|34)\)",
    r"/stubs/libcuda\.so",
)

_STUB = 34


def applies(case: Case) -> bool:
    """Where cuInit answered; that it did not is another check's question."""
    return answered(case.facts)


def check(case: Case) -> Iterator[Finding]:
    """1. cuInit says so. 2. It fails otherwise, and what was loaded lies in a stubs folder."""
    code = init_code(case.facts)
    if code == 0:
        return
    path = known(case.facts.cuda).library
    if code != _STUB and "/stubs" not in known(path):
        return
    shown = "the library" if isinstance(path, Unread) else path
    variables = case.facts.system.variables
    search = ""
    if not isinstance(variables, Unread):
        search = next((one.value for one in variables if one.name == "LD_LIBRARY_PATH"), "")
    yield Finding(
        severity=Severity.ERROR,
        message=f"programs load a stub in place of the driver's libcuda: {shown}",
        evidence=(
            Evidence(source="cuInit(0)", value=in_words(code)),
            Evidence(source="libcuda that was loaded", value=shown),
            *((Evidence(source="echo $LD_LIBRARY_PATH", value=search),) if search else ()),
        ),
        fix=_fix(search),
    )


def _fix(search: str) -> Fix:
    if "stubs" in search:
        kept = ":".join(part for part in search.split(":") if part and "stubs" not in part)
        return Fix(text=MENDED_BY, commands=(f'export LD_LIBRARY_PATH="{kept}"',))
    commands = ("grep -rl stubs /etc/ld.so.conf.d  # remove what it names", "sudo ldconfig")
    return Fix(text=MENDED_BY, commands=commands, needs_root=True)
