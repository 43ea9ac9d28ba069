"""Lines of a kernel's log: which of them tell of the GPU, and what.

The log may be in any of the forms in which it is found, line by line: records of /dev/kmsg, the output of dmesg and of
`journalctl -o short-monotonic`, what a syslog daemon wrote. Whatever the bytes are, nothing here raises.

The wordings are those of NVIDIA's kernel module and of Linux, with threads that show the lines as users see them:
https://github.com/NVIDIA/open-gpu-kernel-modules (2026-11): src/nvidia and kernel-open/nvidia/nv-pci.c
https://docs.nvidia.com/deploy/xid-errors/ (2026-11): Xid, SXid of NVSwitches
https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg (2026-11): records of /dev/kmsg
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from gpudoctor.facts import KernelEvent
from gpudoctor.readings import Unread, Why

MOST_EVENTS = 1_000
# A GPU that repeats itself without end must not push out what else was said.
_MOST_ALIKE = 100
_MOST_LINES = 50_000
_MOST_LINE_BYTES = 2_000
_MOST_TEXT = 300

# Every line that can matter holds one of these; looking for them first makes a log of any length cheap.
_WORDS = (
    b"NVRM",
    b"SXid",
    b"[nvidia",
    b"INFO: task ",
    b"Loading of ",
    b"unsigned module loading",
    b"PM: suspend exit",
    b"PM: hibernation",
    b"ut of memory: Kill",
    b"avc:  denied",
    b"Direct firmware load for nvidia/",
    b": reset done",
)

# A step in a trace of the kernel's that goes through NVIDIA's module: `? rm_ioctl+0x54/0xb0 [nvidia]`.
_TRACE = re.compile(r"\[nvidia(?:_uvm|_modeset|_drm)?\]")
# How far behind its head a trace may go on: seconds where they are known, else bytes.
_TRACE_SECONDS = 2.0
_TRACE_BYTES = 16 << 10

# The driver breaks its longer sentences into lines, which old drivers and log daemons make records of their own:
#   NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1b82)
#   NVRM: installed in this system is not supported by open
# https://github.com/NVIDIA/open-gpu-kernel-modules/issues/696 (2026-11)
_OPENS = re.compile(r"NVRM: (?:The NVIDIA (?!probe)|API mismatch|This PCI I/O region)")
_GOES_ON = re.compile(r"NVRM: (?!loading\b)(?:\(|(?:[a-z.]+|System|Please|Firmware|README|NVIDIA|BAR\d|A -)[ ,.])")
_MOST_JOINED = 10

_HUNG = re.compile(r"INFO: task (?P<name>.{1,64}?):\d+ (?:is )?blocked (?:in I/O wait )?for more than \d+ seconds")
# Kernel threads and programs of NVIDIA's; nvc: is the container library's.
_NVIDIA_TASK = re.compile(r"nvidia|^nv_|^nv-|^nvc:|^UVM|dcgm", re.IGNORECASE)

_XID = re.compile(r"NVRM: (?:GPU at \S{1,40} )?Xid \((?:PCI:)?(?P<gpu>[^)]{1,40})\): (?P<code>\d{1,5})\b")
_SXID = re.compile(r"nvidia-nvswitch\d{0,4}:? SXid \(PCI:(?P<gpu>[^)]{1,40})\): (?P<code>\d{1,6})\b")
# Xid 154 tells what the driver wants done; that nothing is left to do, it tells after a reset.
_RECOVERED = re.compile(r"recovery action changed from .{1,40} to 0x0\b")

# What a line's beginning tells; the first that matches decides. Of Xid, SXid and hung tasks see above.
_KINDS = (
    ("fallen_off_bus", r"NVRM:? .*(?:fallen off the bus|GPU lost from the bus)"),
    # On a GPU before Turing, said by the open module; on Blackwell, by the proprietary one.
    ("open_module_unsupported", r"NVRM:? .*not supported by open nvidia\.ko"),
    ("open_module_required", r"NVRM:? .*requires use of the NVIDIA open kernel modules"),
    ("legacy_branch", r"NVRM:? .*supported through the NVIDIA (?P<branch>\d{2,4})\.[\w.]* Legacy drivers"),
    ("unsupported_gpu", r"NVRM:? .*installed in this system is not supported by"),
    ("api_mismatch", r"NVRM:? API mismatch"),
    ("novacore_bound", r"NVRM:? .*already bound to [Nn]ova"),
    ("nouveau_bound", r"NVRM:? .*already bound to nouveau"),
    ("probe_not_called", r"NVRM:? The NVIDIA probe routine was not called"),
    # https://github.com/NVIDIA/open-gpu-kernel-modules/issues/446 and 789, 1104, 1230 (2026-11)
    (
        "gsp_failed",
        r"NVRM:? .*(?:Cannot initialize GSP firmware|No firmware image found|GSP RM heartbeat timed out"
        r"|_kgspIsHeartbeatTimedOut|waiting for RPC (?:response )?from (?:GPU\d{1,3} )?GSP"
        r"|failed to wait for GFW|WPR2 already up|\* GSP Timeout)"
        r"|nvidia \S+ Direct firmware load for nvidia/\S+ failed",
    ),
    ("rm_init_adapter_failed", r"NVRM:? .*(?:RmInitAdapter failed|rm_init_adapter failed)"),
    # https://github.com/NVIDIA/open-gpu-kernel-modules/issues/789 (2026-11)
    ("bar_invalid", r"NVRM:? .*(?:I/O region assigned to your NVIDIA device is invalid|BAR\d is 0M @)"),
    ("driver_loaded", r"NVRM:? loading NVIDIA UNIX .*Kernel Module"),
    # `module verification failed … tainting kernel` is not among them: that module was loaded.
    (
        "key_rejected",
        r"Loading of (?:unsigned module|module with \w+ (?:key|crypto)) is rejected"
        r"|Lockdown: .{1,40}: unsigned module loading is restricted",
    ),
    ("resume", r"PM: (?:suspend exit|hibernation: hibernation exit|hibernation exit)"),
    ("out_of_memory", r"(?:Memory cgroup out|Out) of memory: Kill(?:ed)? process"),
    # https://github.com/fedora-selinux/selinux-policy/issues/1695 (2026-11)
    ("avc_denied", r"(?:audit: )?type=.{1,80}avc: denied .*(?:nvidia|xserver_misc_device_t)"),
    # The PCI core's words for a device whose driver is nvidia.
    ("gpu_reset", r"nvidia \S+: reset done"),
)
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS))
_OF_NO_GPU = ("api_mismatch", "avc_denied", "key_rejected", "out_of_memory", "resume")

_ADDRESS = re.compile(r"\b([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.([0-7]))?\b", re.IGNORECASE)
# Drivers of before 2013 name bus and slot alone: Xid (0003:00).
_SHORT_ADDRESS = re.compile(r"00([0-9a-f]{2}):([0-9a-f]{2})", re.IGNORECASE)

# How lines begin: seconds since boot, and the text.
_STAMP = r"\[ {0,12}(?P<seconds>\d{1,12}\.\d{1,9})\]"
_KMSG = re.compile(r"(?P<priority>\d{1,5}),\d{1,20},(?P<microseconds>\d{1,18}),[^;]{0,80};(?P<text>.*)")
_DMESG = re.compile(rf"(?:<\d{{1,4}}>)?{_STAMP} (?:\[ {{0,8}}[TC]\d{{1,8}}\] )?(?P<text>.*)")
_DATED_DMESG = re.compile(r"\[\w{3} \w{3} {1,2}\d{1,2} [\d:]{8} \d{4}\] (?P<text>.*)")
_JOURNAL = re.compile(rf"{_STAMP} \S{{1,255}} kernel: (?P<text>.*)")
_SYSLOG = re.compile(
    r"(?:[A-Z][a-z]{2} {1,2}\d{1,2} [\d:]{8}|\d{4}-\d\d-\d\dT\S{1,30})"
    r" \S{1,255} (?P<program>[^\s:\[]{1,64})(?:\[\d{1,10}\])?: (?P<text>.*)"
)

_FIRST_LINE = b"Linux version "
# Others than the kernel's first line speak of it now and then.
_MOST_MENTIONS = 1_000

# A control character as /dev/kmsg and as rsyslog spell it.
_KMSG_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_SYSLOG_ESCAPE = re.compile(r"#0(1[0-7]|0[0-7])")
_NEXT_LINE = re.compile(r"\s*[\n\r]\s*(?:NVRM:)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line that may matter."""

    at: int
    """Where it begins in the log."""
    seconds: float | None
    text: str


def events(log: bytes, source: str) -> tuple[KernelEvent, ...]:
    """What the log tells of its last boot, oldest first, cut as `newest` cuts."""
    return newest(_events(_joined(_lines(this_boot(log))), source))


def newest(found: Iterable[KernelEvent]) -> tuple[KernelEvent, ...]:
    """The newest 1,000, and of those that are alike the newest 100."""
    alike: Counter[tuple[object, ...]] = Counter()
    kept: list[KernelEvent] = []
    for event in reversed(tuple(found)):
        key = (event.kind, event.pci_address, event.code)
        alike[key] += 1
        if alike[key] <= _MOST_ALIKE and len(kept) < MOST_EVENTS:
            kept.append(event)
    return tuple(reversed(kept))


def this_boot(log: bytes) -> bytes:
    """The log from the first line of its last boot on; all of it where no boot begins in it."""
    begin = _begin_of_boot(log)
    return log[begin:] if begin else log


def has_boot(log: bytes) -> bool:
    """Whether a boot begins in this log."""
    return _begin_of_boot(log) is not None


def _begin_of_boot(log: bytes) -> int | None:
    at = log.rfind(_FIRST_LINE)
    for _ in range(_MOST_MENTIONS):
        if at < 0:
            break
        begin = log.rfind(b"\n", 0, at) + 1
        line = _read_line(log, begin)
        if line is not None and line.text.startswith(_FIRST_LINE.decode()) and not line.seconds:
            return begin
        at = log.rfind(_FIRST_LINE, 0, begin)
    return None


def first_seconds(log: bytes) -> float | None:
    """Time of the first line that bears one, of the log's first thousand."""
    begin = 0
    for _ in range(1_000):
        line = _read_line(log, begin)
        if line is not None and line.seconds is not None:
            return line.seconds
        begin = log.find(b"\n", begin) + 1
        if not begin:
            break
    return None


def _lines(log: bytes) -> Iterator[_Line]:
    """The lines that hold one of the words; the newest of them where they are too many."""
    begins: set[int] = set()
    for word in _WORDS:
        at, count = log.rfind(word), 0
        while at >= 0 and count < _MOST_LINES:
            begin = log.rfind(b"\n", 0, at) + 1
            begins.add(begin)
            count += 1
            at = log.rfind(word, 0, begin)
    for begin in sorted(begins)[-_MOST_LINES:]:
        line = _read_line(log, begin)
        if line is not None:
            yield line


def _read_line(log: bytes, begin: int) -> _Line | None:
    """The line that begins there, None of one that the kernel did not write."""
    end = log.find(b"\n", begin, begin + _MOST_LINE_BYTES)
    line = log[begin : end if end >= 0 else begin + _MOST_LINE_BYTES].decode("utf-8", "backslashreplace")
    for form, read in _FORMS:
        match = form.fullmatch(line)
        if match is not None:
            told = read(match)
            return None if told is None else _Line(at=begin, seconds=told[0], text=_one_line(told[1]))
    match = _DATED_DMESG.fullmatch(line)
    return _Line(at=begin, seconds=None, text=_one_line(match["text"] if match is not None else line))


def _from_kmsg(match: re.Match[str]) -> tuple[float | None, str] | None:
    # Programs may write into /dev/kmsg too, under other facilities than the kernel's, which is 0.
    if int(match["priority"]) >> 3:
        return None
    return int(match["microseconds"]) / 1e6, _KMSG_ESCAPE.sub(_character(16), match["text"])


def _from_syslog(match: re.Match[str]) -> tuple[float | None, str] | None:
    if match["program"] != "kernel":
        return None
    text = _SYSLOG_ESCAPE.sub(_character(8), match["text"])
    stamped = _DMESG.match(text)
    if stamped is None:
        return None, text
    return float(stamped["seconds"]), text[stamped.start("text") :]


def _from_dmesg(match: re.Match[str]) -> tuple[float | None, str]:
    return float(match["seconds"]), match["text"]


_FORMS = ((_KMSG, _from_kmsg), (_SYSLOG, _from_syslog), (_JOURNAL, _from_dmesg), (_DMESG, _from_dmesg))


def _character(base: int) -> Callable[[re.Match[str]], str]:
    return lambda match: chr(int(match[1], base))


def _one_line(text: str) -> str:
    """The text in one line, blanks made one, without what cannot be printed."""
    text = " ".join(_NEXT_LINE.sub(" ", text).split())
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _joined(lines: Iterable[_Line]) -> Iterator[_Line]:
    """The lines, with those that make one sentence of the driver's put together."""
    sentence: _Line | None = None
    joined = 0
    for line in lines:
        if sentence is not None and joined < _MOST_JOINED and _GOES_ON.match(line.text):
            sentence = replace(sentence, text=f"{sentence.text} {line.text.removeprefix('NVRM:').strip()}")
            joined += 1
            continue
        if sentence is not None:
            yield sentence
        sentence, joined = (line, 0) if _OPENS.match(line.text) else (None, 0)
        if sentence is None:
            yield line
    if sentence is not None:
        yield sentence


def _events(lines: Iterable[_Line], source: str) -> list[KernelEvent]:
    found: list[KernelEvent] = []
    hung: tuple[_Line, int] | None = None
    for line in lines:
        task = _HUNG.match(line.text)
        if task is not None:
            hung = (line, len(found))
            if _NVIDIA_TASK.search(task["name"]):
                found.append(_event(line, source, "hung_task"))
                hung = None
            continue
        if hung is not None and _TRACE.search(line.text):
            # Whatever program it is, it hangs in the driver.
            if _same_trace(hung[0], line):
                found.insert(hung[1], _event(hung[0], source, "hung_task"))
            hung = None
            continue
        event = _read_event(line, source)
        if event is not None:
            found.append(event)
    return found


def _same_trace(head: _Line, step: _Line) -> bool:
    if head.seconds is not None and step.seconds is not None:
        return 0 <= step.seconds - head.seconds <= _TRACE_SECONDS
    return step.at - head.at <= _TRACE_BYTES


def _read_event(line: _Line, source: str) -> KernelEvent | None:
    for kind, form in (("xid", _XID), ("sxid", _SXID)):
        match = form.match(line.text)
        if match is not None:
            recovered = kind == "xid" and _RECOVERED.search(line.text)
            where = match["gpu"]
            return _event(line, source, "gpu_reset" if recovered else kind, int(match["code"]), where)
    match = _ANY.match(line.text)
    if match is None:
        return None
    kind = next(name for name, _ in _KINDS if match[name] is not None)
    branch = match["branch"]
    return _event(line, source, kind, int(branch) if branch else None, "" if kind in _OF_NO_GPU else line.text)


def _event(line: _Line, source: str, kind: str, code: int | None = None, where: str = "") -> KernelEvent:
    untimed = Unread(source=source, why=Why.ABSENT, detail="the log bears no time since boot")
    return KernelEvent(
        kind=kind,
        seconds=untimed if line.seconds is None else line.seconds,
        pci_address=_address(where),
        code=code,
        text=line.text[:_MOST_TEXT],
    )


def _address(text: str) -> str:
    match = _ADDRESS.search(text)
    if match is not None:
        domain, bus, slot, function = match.groups()
        return f"{int(domain, 16):04x}:{bus}:{slot}.{function or 0}".lower()
    match = _SHORT_ADDRESS.fullmatch(text)
    return f"0000:{match[1]}:{match[2]}.0".lower() if match is not None else ""
