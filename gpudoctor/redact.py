"""Facts without what names a machine or its owner: for bug reports."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from gpudoctor.facts import Facts, GpuProcess, KernelEvent
from gpudoctor.readings import Unread

# Fields in which people and programs write what they like: every name is looked for.
_TEXTS = ("host", "data_root", "source", "detail", "text", "value")
# Fields that hold paths and options: checks look for words in them, so that a name which is such a word stays.
_PATHS = (
    "cdi_spec_dirs",
    "elsewhere",
    "enroot_hook",
    "exec_options",
    "executable",
    "ldconfig",
    "library",
    "missing",
    "path",
    "programs",
    "root",
    "runtimes",
    "default_runtime",
    "toolkit_sources",
)

_GPU_UUID = re.compile(r"\b(GPU-|MIG-)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_ANY_UUID = re.compile(r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])")
# CUDA_VISIBLE_DEVICES takes as much of a UUID as tells the GPUs apart.
_BEGUN_UUID = re.compile(r"\b(?:GPU|MIG)-[0-9a-fA-F]{4,8}(?:-[0-9a-fA-F]{1,12})*(?![\w-])")

_HOME = re.compile(r"/(home|Users)/([^/\s:;,'\"]+)")
# User and host of an address; a Unix socket has a path there instead.
_ADDRESS = re.compile(r"(?<=://)(?:[^/\s@]*@)?(?:\[[^\]\s]*\]|[^/\s:@,;\"'=()]+)")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
# 0000:01:00.0 is a place on the PCI bus: only what ipaddress takes for an address is one.
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])")
_MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])")
_HOST_AND_PORT = re.compile(r"(?<![\w./-])[A-Za-z][\w-]*(?:\.[\w-]+)*(?=:\d{2,5}\b)")
_SERIAL = re.compile(r"(?i)(\bserial(?:[ _-]?(?:number|no\.?))?\s*[:=#]?\s*)(?=[\w-]*\d)[\w-]{4,}")
# A program in the kernel's log: of an Xid, of the audit log, of a task that hangs, of the memory killer.
_PROGRAM = re.compile(r"(\bname=|\bcomm=\"?|\btask |\bexe=\"?|\bKilled process \d+ \()([^,\s\"():]+)")

_KNOWN_REGISTRIES = frozenset({"*", "docker.io", "gcr.io", "ghcr.io", "nvcr.io", "quay.io"})

# Whoever's GPU it is, these run on it; any other program may be called after what its owner works on.
_KNOWN_PROGRAM = re.compile(
    r"(?:python[\d.]*|pt_main_thread|ray|tritonserver|tensorflow_model_server|jupyter[\w-]*|ollama|docker[\w-]*"
    r"|containerd[\w-]*|Xorg|X|Xwayland|gnome-\w+|kwin_\w+|plasmashell|firefox|chrome|nv[\w-]*|nvidia[\w-]*"
    r"|modprobe|systemd[\w-]*|kworker[\w/-]*|java|node|bash|sh|ptxas|deviceQuery|\[[\w ]+\])",
    re.ASCII,
)

# Folders that every Linux has; what stands elsewhere is called as its owner liked.
_SYSTEM_FOLDER = re.compile(r"bin|boot|dev|etc|gnu|lib|lib32|lib64|nix|opt|proc|run|sbin|snap|sys|tmp|usr|var")
_PATH = re.compile(r"(?<![\w.:/@-])/[^\s:;,\"'=]+(?:/[^\s:;,\"'=]+)+")
_KNOWN_PART = re.compile(
    r"\.{1,2}|home|Users|user|root|mnt|data|scratch|\.?(?:docker|config|local|cache|conda|venv|nv)|ComputeCache"
    r"|lib(?:32|64)?|bin|share|include|stubs?|compat|cuda[-_.\d]*|CUPTI|extras|targets|wsl|enroot|cdi|hooks\.d"
    r"|(?:x86_64|aarch64|sbsa|i386)-linux(?:-gnu)?|(?:site|dist)-packages|python[\d.]*|tensorflow\w*|keras|tensorrt\w*"
    r"|(?:cu(?:blas|da|dnn|fft|pti|rand|solver|sparse)|nccl|nvjitlink|nvrtc)[\w.-]*|nvidia[\w.-]*|envs|(?:mini|ana)conda\d*"
    r"|miniforge\d*|lib(?:cu|nv|nccl|tensorflow)[\w+-]*\.so[\d.]*|config\.toml|(?:daemon|config)\.json|\d+-nvidia\.sh"
    r"|docker(?:\.sock)?",
    re.ASCII,
)

# Names of machines and users that are words of this field too: taking them away would change what a path says.
_TELLING = re.compile(
    r"(?i)aarch64|admin|cdi|centos|compat|config|container|containerd|containers|cuda|cudnn|data|debian|docker|driver|etc"
    r"|fedora|folder|gpu|home|host|keras|lib|lib64|libcuda|linux|local|localhost|nvidia|nvidia-smi|opt|podman|python|rhel"
    r"|root|run|runc|share|site-packages|stubs|targets|tensorflow|tmp|ubuntu|user|usr|var|wsl|x86_64"
)
_LEAST_LETTERS = 3


def redacted(facts: Facts) -> Facts:
    """The same facts with host name, user names, addresses, serial numbers and UUIDs replaced.

    GPUs stay told apart: their UUIDs become numbered ones, the same for the same GPU.
    """
    cleaned: Facts = _walk(type(facts), "", facts, _Cleaner(facts).clean)
    return cleaned


class _Cleaner:
    """Knows the names of one machine, and what each of them becomes."""

    def __init__(self, facts: Facts) -> None:
        self._uuids: dict[str, str] = {}
        self._registries: dict[str, str] = {}
        if not isinstance(facts.gpus, Unread):
            for gpu in facts.gpus:
                if not isinstance(gpu.uuid, Unread):
                    self._without_uuids(gpu.uuid)
        self._gpus = tuple(self._uuids)
        host = "" if isinstance(facts.system.hostname, Unread) else facts.system.hostname
        first, _, domain = host.partition(".")
        self._hosts = tuple(dict.fromkeys(name for name in (host, first) if name))
        self._domain = domain if "." in domain else ""
        self._users = tuple(
            sorted({match.group(2) for text in _texts(facts) for match in _HOME.finditer(text)}, key=len, reverse=True)
        )

    def clean(self, owner: type, field: str, text: str) -> str:
        """The text of that field without anybody's name."""
        if field == "hostname":
            return "host"
        if field == "registries":
            return self._registry(text)
        if owner is GpuProcess and field == "name":
            return _program(text)
        text = _HOME.sub(r"/\1/user", self._without_uuids(text))
        if field not in _TEXTS and field not in _PATHS:
            return text
        if owner is KernelEvent:
            text = _SERIAL.sub(r"\1hidden", text)
            text = _PROGRAM.sub(lambda match: match.group(1) + _program(match.group(2)), text)
        text = _without_addresses(text)
        if field == "value":
            text = _HOST_AND_PORT.sub("host", text)
        return _PATH.sub(_plain_path, self._without_names(text, every=field in _TEXTS))

    def _without_uuids(self, text: str) -> str:
        text = _GPU_UUID.sub(self._numbered, text)
        text = _BEGUN_UUID.sub(self._whole, text)
        return _ANY_UUID.sub(self._numbered, text)

    def _numbered(self, match: re.Match[str]) -> str:
        name = match.group(0)
        if name in self._uuids.values():
            return name
        kind = name[:4] if name.startswith(("GPU-", "MIG-")) else ""
        return self._uuids.setdefault(name, f"{kind}{len(self._uuids):08x}-0000-0000-0000-000000000000")

    def _whole(self, match: re.Match[str]) -> str:
        """The replacement of the one GPU whose UUID begins so."""
        begun = match.group(0)
        if begun in self._uuids.values():
            return begun
        whole = [name for name in self._gpus if name.lower().startswith(begun.lower())]
        if len(whole) == 1:
            return self._uuids[whole[0]]
        return self._numbered(match) if len(begun) >= len("GPU-12345678") else begun

    def _registry(self, name: str) -> str:
        if name in _KNOWN_REGISTRIES:
            return name
        return self._registries.setdefault(name, f"registry-{len(self._registries) + 1}")

    def _without_names(self, text: str, *, every: bool) -> str:
        if self._domain:
            text = re.sub(rf"(?i)(?<![\w.-])(?:[\w-]+\.)*{re.escape(self._domain)}(?![\w-])", "host", text)
        for name in self._hosts:
            if _tells_nothing(name):
                text = re.sub(rf"(?i)(?<![^\W_]){re.escape(name)}(?:\.[\w.-]*\w)?(?![^\W_])", "host", text)
            elif every:
                text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?:\.[\w.-]*\w)?(?![\w-])", "host", text)
        for name in filter(_tells_nothing, self._users):
            text = re.sub(rf"(?i)(?<![^\W_]){re.escape(name)}(?![^\W_])", "user", text)
        return text


def _without_addresses(text: str) -> str:
    text = _ADDRESS.sub("host", text)
    text = _MAIL.sub("user@host", text)
    text = _MAC.sub("hidden", text)
    text = _IPV4.sub(_if_address, text)
    return _IPV6.sub(_if_address, text)


def _if_address(match: re.Match[str]) -> str:
    text = match.group(0)
    rest = ":" if text.endswith(":") and not text.endswith("::") else ""  # what follows it: fe80::1: no route
    try:
        address = ipaddress.ip_address(text.removesuffix(rest))
    except ValueError:
        return text
    return text if address.version == 6 and (address.is_unspecified or address.is_loopback) else f"host{rest}"


def _tells_nothing(name: str) -> bool:
    """Whether a name may be taken away wherever it stands."""
    return len(name) >= _LEAST_LETTERS and not _TELLING.fullmatch(name)


def _program(name: str) -> str:
    """A program by its file's name, where it is one that everybody has."""
    program = (name.strip().split() or [""])[0].rpartition("/")[2]
    return program if _KNOWN_PROGRAM.fullmatch(program) else "program"


def _plain_path(match: re.Match[str]) -> str:
    """The path with those of its folders that only its owner has renamed."""
    path = match.group(0)
    first, *rest = path.split("/")[1:]
    if _SYSTEM_FOLDER.fullmatch(first):
        return path
    return "/" + "/".join(part if not part or _KNOWN_PART.fullmatch(part) else "folder" for part in (first, *rest))


def _texts(value: Any) -> Iterator[str]:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif type(value) is str:
        yield value


def _walk(owner: type, name: str, value: Any, clean: Callable[[type, str, str], str]) -> Any:
    """The value with every text under its owner's field cleaned."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return replace(
            value, **{field.name: _walk(kind, field.name, getattr(value, field.name), clean) for field in fields(value)}
        )
    if isinstance(value, tuple):
        return tuple(_walk(owner, name, item, clean) for item in value)
    return clean(owner, name, value) if type(value) is str else value
