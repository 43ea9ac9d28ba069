"""CUDA programs reach the MPS server where one is asked for.

With the Multi-Process Service, programs share a GPU through a server. A CUDA program that finds MPS switched on has to
reach the control daemon's pipe, by default /tmp/nvidia-mps, as the same user. In a container that pipe is missing
unless it is mounted, and shared memory needs the host's IPC; then cuInit ends in error 805, or waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, in_words, init_code
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = ("container-gpus-not-requested", "driver-call-hung")

MENDED_BY = "start the MPS control daemon as this user, or end MPS and unset the variables that point to it"
DECIDED_BY = "ps -eo user,cmd | grep nvidia-cuda-mps; ls -ld ${CUDA_MPS_PIPE_DIRECTORY:-/tmp/nvidia-mps}"
LINKS = (
    "https://docs.nvidia.com/deploy/mps/index.html",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/714",
    "https://github.com/NVIDIA/nvidia-docker/issues/1543",
)
SYMPTOMS = (
    r"MPS client failed to connect to the MPS control daemon",
    r"CUDA_ERROR_MPS_(CONNECTION_FAILED|RPC_FAILURE|SERVER_NOT_READY)",
    r"cudaErrorMps(ConnectionFailed|RpcFailure|ServerNotReady)",
    r"MPS server is not ready to accept new MPS client requests",
    r"failed call to cuInit: UNKNOWN ERROR \(805\)",
)

# Connection failed, RPC failure, server not ready.
_CODES = (805, 806, 807)
_DAEMON = "nvidia-cuda-mps-control"
_PIPE = "CUDA_MPS_PIPE_DIRECTORY"


def applies(case: Case) -> bool:
    """Where cuInit answered, or was waited for in vain."""
    return answered(case.facts) or _waits(case)


def check(case: Case) -> Iterator[Finding]:
    """1. cuInit says so. 2. It does not return, and MPS is on."""
    pipe, daemon = _variable(case), _has_daemon(case)
    evidence = (
        Evidence(source=f"ps -e | grep {_DAEMON}", value="running" if daemon else "not running"),
        Evidence(source=f"echo ${_PIPE}", value=pipe or "not set: /tmp/nvidia-mps"),
    )
    if not answered(case.facts) and (pipe or daemon):
        yield Finding(
            severity=Severity.WARNING,
            message="CUDA does not answer while MPS is on, as it does where its server cannot be reached",
            evidence=evidence,
            fix=_fix(case, daemon),
        )
        return
    code = init_code(case.facts)
    if code in _CODES:
        yield Finding(
            severity=Severity.ERROR,
            message=f"the MPS server cannot be reached: cuInit ends in {in_words(code)}",
            evidence=(Evidence(source="cuInit(0)", value=in_words(code)), *evidence),
            fix=_fix(case, daemon),
        )


def _waits(case: Case) -> bool:
    cuda = case.facts.cuda
    init = cuda if isinstance(cuda, Unread) else cuda.init
    return isinstance(init, Unread) and init.why is Why.TIMEOUT


def _variable(case: Case) -> str:
    variables = case.facts.system.variables
    return "" if isinstance(variables, Unread) else case.variable(_PIPE) or ""


def _has_daemon(case: Case) -> bool:
    daemons = case.facts.system.daemons
    return not isinstance(daemons, Unread) and _DAEMON in known(daemons)


def _fix(case: Case, daemon: bool) -> Fix:
    system = case.facts.system
    if not isinstance(system.container, Unread) and system.container:
        return Fix(
            text="start the container with the host's IPC and pipe, as the user who runs MPS: --ipc=host"
            " -v /tmp/nvidia-mps:/tmp/nvidia-mps --user $(id -u); or end MPS on the host",
            commands=("echo quit | nvidia-cuda-mps-control  # on the host, ends MPS",),
            url=LINKS[0],
        )
    if daemon:
        text = "run as the user who started the MPS control daemon, with its CUDA_MPS_PIPE_DIRECTORY; or end MPS"
        return Fix(text=text, commands=("echo quit | nvidia-cuda-mps-control  # ends MPS",), url=LINKS[0])
    commands = ("nvidia-cuda-mps-control -d", f"unset {_PIPE}  # in place of it")
    return Fix(text=MENDED_BY, commands=commands, url=LINKS[0])
