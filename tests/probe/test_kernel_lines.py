"""Lines of the kernel's log: the wordings of drivers old and new, in every form in which a log is found."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.facts import KernelEvent
from gpudoctor.probe import kernel_lines
from gpudoctor.readings import Unread

# What the driver and the kernel say, as users posted it; kind, GPU and code that it comes to.
LINES = {
    "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.": (
        "xid",
        "0000:01:00.0",
        79,
    ),
    "NVRM: Xid (PCI:0000:61:00): 119, pid=1346198, name=nvidia-smi, Timeout waiting for RPC from GSP! Expected "
    "function 76 (GSP_RM_CONTROL) (0x2080014b 0x5).": ("xid", "0000:61:00.0", 119),
    "NVRM: Xid (PCI:0000:86:00 GPU-I:05): 94, pid=7194, name=python, Contained: SM (0x1). RST: No, D-RST: No": (
        "xid",
        "0000:86:00.0",
        94,
    ),
    "NVRM: Xid (0000:03:00): 14, Channel 00000001": ("xid", "0000:03:00.0", 14),
    "NVRM: Xid (0003:00): 8, Channel 00000020": ("xid", "0000:03:00.0", 8),
    "NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)": (
        "xid",
        "0008:01:00.0",
        154,
    ),
    "NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)": (
        "gpu_reset",
        "0008:01:00.0",
        154,
    ),
    "nvidia 0000:3b:00.0: reset done": ("gpu_reset", "0000:3b:00.0", None),
    "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)": (
        "sxid",
        "0000:05:00.0",
        12028,
    ),
    "nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short Error Rate": (
        "sxid",
        "0000:c3:00.0",
        20009,
    ),
    "NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.": ("fallen_off_bus", "0000:01:00.0", None),
    "NVRM: GPU at 0000:8a:00.0 has fallen off the bus.": ("fallen_off_bus", "0000:8a:00.0", None),
    "NVRM: nvCheckOkFailedNoLog: Check failed: GPU lost from the bus [NV_ERR_GPU_IS_LOST] (0x0000000F)": (
        "fallen_off_bus",
        "",
        None,
    ),
    "NVRM: GPU 0000:98:00.0: RmInitAdapter failed! (0x62:0x65:1792)": ("rm_init_adapter_failed", "0000:98:00.0", None),
    "NVRM: RmInitAdapter failed! (0x26:0xffff:1375)": ("rm_init_adapter_failed", "", None),
    "NVRM: rm_init_adapter failed for device bearing minor number 0": ("rm_init_adapter_failed", "", None),
    "NVRM: RmInitAdapter: Cannot initialize GSP firmware RM": ("gsp_failed", "", None),
    "NVRM: BAR1 is 0M @ 0x0 (PCI:0000:05:00.0)": ("bar_invalid", "0000:05:00.0", None),
    "NVRM RmInitAdapter: Cannot initialize GSP firmware RM": ("gsp_failed", "", None),
    "NVRM: RmFetchGspRmImages: No firmware image found": ("gsp_failed", "", None),
    "NVRM: GPU0 _kgspRpcRecvPoll: GSP RM heartbeat timed out": ("gsp_failed", "", None),
    "NVRM: GPU6 _kgspLogRpcTimeout: ********************************* GSP Timeout **********": ("gsp_failed", "", None),
    "nvidia 0000:07:00.0: Direct firmware load for nvidia/570.144/gsp_ga10x.bin failed with error -2": (
        "gsp_failed",
        "0000:07:00.0",
        None,
    ),
    "NVRM: API mismatch: the client has the version 535.54.03, but this kernel module has the version 530.30.02.": (
        "api_mismatch",
        "",
        None,
    ),
    "NVRM: The NVIDIA probe routine was not called for 1 device(s).": ("probe_not_called", "", None),
    "NVRM: GPU 0000:01:00.0 is already bound to NovaCore.": ("novacore_bound", "0000:01:00.0", None),
    "NVRM: GPU 0000:00:1e.0 is already bound to nouveau.": ("nouveau_bound", "0000:00:1e.0", None),
    "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.105.08  Wed Oct 29 23:15:11 UTC 2025": (
        "driver_loaded",
        "",
        None,
    ),
    "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.158.01  Release Build": ("driver_loaded", "", None),
    "Loading of unsigned module is rejected": ("key_rejected", "", None),
    "Loading of module with unavailable key is rejected": ("key_rejected", "", None),
    "Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7": ("key_rejected", "", None),
    "PM: suspend exit": ("resume", "", None),
    "PM: hibernation: hibernation exit": ("resume", "", None),
    "INFO: task nvidia-smi:993195 blocked for more than 120 seconds.": ("hung_task", "", None),
    "INFO: task nv_queue:1042 blocked for more than 241 seconds.": ("hung_task", "", None),
    "INFO: task nvc:[driver]:5403 blocked for more than 120 seconds.": ("hung_task", "", None),
    "Out of memory: Killed process 571 (python) total-vm:2071252kB, anon-rss:257104kB": ("out_of_memory", "", None),
    "Memory cgroup out of memory: Killed process 4182 (worker) total-vm:812044kB": ("out_of_memory", "", None),
    'audit: type=1400 audit(1684465329.146:350): avc:  denied  { read write } for  pid=2287 comm="python" '
    'name="nvidiactl" dev="devtmpfs" ino=1313 scontext=a tcontext=b tclass=chr_file permissive=0': (
        "avc_denied",
        "",
        None,
    ),
}

# Sentences that the driver breaks into lines, in its own.
SENTENCES = {
    (
        "NVRM: The NVIDIA GPU 0000:02:00.0 (PCI ID: 10de:1b82)",
        "NVRM: installed in this system is not supported by open",
        "NVRM: nvidia.ko because it does not include the required GPU",
        "NVRM: System Processor (GSP).",
        "NVRM: Please see the 'Open Linux Kernel Modules' and 'GSP",
        "NVRM: Firmware' sections in the driver README, available on",
        "NVRM: the Linux graphics driver download page at",
        "NVRM: www.nvidia.com.",
    ): ("open_module_unsupported", "0000:02:00.0", None),
    (
        "NVRM: The NVIDIA GPU 0000:02:00.0 (PCI ID: 10de:2c58)",
        "NVRM: installed in this system requires use of the NVIDIA open kernel modules.",
    ): ("open_module_required", "0000:02:00.0", None),
    (
        "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1292)",
        "NVRM: installed in this system is not supported by the 304.116",
        "NVRM: NVIDIA Linux driver release.  Please see 'Appendix",
        "NVRM: A - Supported NVIDIA GPU Products' in this release's",
        "NVRM: README, available on the Linux driver download page",
        "NVRM: at www.nvidia.com.",
    ): ("unsupported_gpu", "0000:01:00.0", None),
    (
        "NVRM: The NVIDIA GeForce GT 1030 GPU installed in this system is",
        "NVRM:  supported through the NVIDIA 580.xx Legacy drivers. Please",
        "NVRM:  visit http://www.nvidia.com/object/unix.html for more",
        "NVRM:  information.  The 610.43.02 NVIDIA driver will ignore",
        "NVRM:  this GPU.  Continuing probe...",
    ): ("legacy_branch", "", 580),
    (
        "NVRM: The NVIDIA GPU 0000:b3:00.0",
        "NVRM: (PCI ID: 10de:26b5) installed in this system has",
        "NVRM: fallen off the bus and is not responding to commands.",
    ): ("fallen_off_bus", "0000:b3:00.0", None),
    (
        "NVRM: API mismatch: the client 'kwin_wayland' (pid 1005)",
        "NVRM: has the version 595.84, but this kernel module has",
        "NVRM: the version 595.80.  Please make sure that this",
        "NVRM: kernel module and all NVIDIA driver components",
        "NVRM: have the same version.",
    ): ("api_mismatch", "", None),
}

# Lines of the same logs that tell of no fault and of nothing that we look for.
OTHERS = (
    "nvidia: module verification failed: signature and/or required key missing - tainting kernel",
    "nvidia: module license 'NVIDIA' taints kernel.",
    "nvidia-nvlink: Nvlink Core is being initialized, major device number 237",
    "nvidia-uvm: Loaded the UVM driver, major device number 236.",
    "NVRM: GPU 0000:01:00.0 is already bound to vfio-pci.",
    "NVRM: Xid (PCI:0000:66:00): abc, pid=2280636",
    "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): garbled, Fatal",
    "NVRM: No NVIDIA devices probed.",
    "INFO: task kworker/3:2:512 blocked for more than 120 seconds.",
    "PM: suspend entry (deep)",
    'audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1 comm="httpd" name="shadow" tclass=file',
    "vfio-pci 0000:01:00.0: reset done",
    "Loading of firmware took 3 ms",
    "usb 2-2: Product: the NVRM: Xid (PCI:0000:01:00): 79, that a keyboard types",
)


def only(log: str) -> tuple[str, str, int | None]:
    (event,) = kernel_lines.events(log.encode(), "the log")
    return event.kind, event.pci_address, event.code


def kmsg(*lines: str, seconds: float = 5.5, priority: int = 4) -> str:
    """Records of one text each, control characters escaped as the kernel does."""
    return "".join(
        f"{priority},{number},{int(seconds * 1e6) + number},-;"
        + line.replace("\\", r"\x5c").replace("\n", r"\x0a")
        + "\n"
        for number, line in enumerate(lines, start=700)
    )


FORMS: Mapping[str, Callable[[str], str]] = {
    "kmsg": kmsg,
    "dmesg": lambda line: f"[    5.559842] {line}\n",
    "dmesg --raw": lambda line: f"<4>[    5.559842] {line}\n",
    "dmesg with callers": lambda line: f"[    5.559842] [   T1234] {line}\n",
    "dmesg -T": lambda line: f"[Sat Oct 12 18:35:32 2024] {line}\n",
    "journal": lambda line: f"[    5.559842] gpu-1 kernel: {line}\n",
    "kern.log": lambda line: f"Oct 16 22:58:02 gpu-1 kernel: [    5.559842] {line}\n",
    "messages": lambda line: f"Oct  6 22:58:02 gpu-1.example.org kernel: {line}\n",
    "messages of today": lambda line: f"2026-11-01T04:05:06.123456+01:00 gpu-1 kernel: {line}\n",
    "nothing": lambda line: f"{line}\n",
}
UNTIMED = ("dmesg -T", "messages", "messages of today", "nothing")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("form", FORMS)
def test_each_wording_is_known_in_each_form_of_log(form: str, line: str) -> None:
    log = FORMS[form](line)
    (event,) = kernel_lines.events(log.encode(), "the log")
    assert (event.kind, event.pci_address, event.code) == LINES[line]
    assert isinstance(event.seconds, Unread) == (form in UNTIMED)
    assert " ".join(line.split())[:300] == event.text


@pytest.mark.parametrize("lines", SENTENCES)
def test_a_sentence_of_several_lines_is_one_event(lines: tuple[str, ...]) -> None:
    told = SENTENCES[lines]
    blanks = " " * 15
    joined = "\n".join(lines)
    logs = {
        "one record": kmsg(joined),
        "records of their own": kmsg(*lines),
        "dmesg": f"[    5.559842] {joined.replace(chr(10), chr(10) + blanks)}\n",
        "rsyslog": f"Jun 30 11:07:05 gpu-0 kernel: [    5.559842] {joined.replace(chr(10), '#012')}\n",
        "journal": f"[    5.559842] gpu-0 kernel: {joined.replace(chr(10), chr(10) + blanks)}\n",
    }
    for form, log in logs.items():
        assert only(log) == told, form
        assert only(log + FORMS["dmesg"]("usb 1-1: new device")) == told, form


def test_what_follows_a_sentence_is_not_drawn_into_it() -> None:
    log = kmsg(
        "NVRM: The NVIDIA GPU 0000:02:00.0 (PCI ID: 10de:2c58)\nNVRM: installed in this system requires use of the "
        "NVIDIA open kernel modules.",
        "NVRM: GPU 0000:02:00.0: RmInitAdapter failed! (0x22:0x56:884)",
        "NVRM: GPU 0000:02:00.0: rm_init_adapter failed, device minor number 0",
    )
    kinds = [event.kind for event in kernel_lines.events(log.encode(), "the log")]
    assert kinds == ["open_module_required", "rm_init_adapter_failed", "rm_init_adapter_failed"]


@pytest.mark.parametrize("line", OTHERS)
@pytest.mark.parametrize("form", ["kmsg", "dmesg", "kern.log", "messages", "nothing"])
def test_other_lines_are_no_events(form: str, line: str) -> None:
    assert kernel_lines.events(FORMS[form](line).encode(), "the log") == ()


def test_what_programs_write_is_not_the_kernels_word() -> None:
    line = "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus."
    assert kernel_lines.events(kmsg(line, priority=12).encode(), "the log") == ()  # facility 1: a user's
    assert kernel_lines.events(f"Oct 16 22:58:02 box gpud[77]: {line}\n".encode(), "the log") == ()
    assert only(kmsg(line, priority=7)) == ("xid", "0000:01:00.0", 79)


# --- Tasks that hang ---

TRACE = (
    "      Tainted: P           OE     5.15.0-97-generic #107-Ubuntu",
    "task:cache_mgr_event state:D stack:    0 pid:620917 ppid:620571 flags:0x00000002",
    "Call Trace:",
    " __schedule+0x24e/0x590",
    " ? rm_ioctl+0x54/0xb0 [nvidia]",
    " ? nvidia_ioctl+0x6cd/0x830 [nvidia]",
)


@pytest.mark.parametrize("form", ["kmsg", "dmesg", "messages"])
def test_a_program_that_hangs_in_the_driver_is_told_by_its_trace(form: str) -> None:
    head = "INFO: task python:620917 blocked for more than 120 seconds."
    log = "".join(FORMS[form](line) for line in (head, *TRACE))
    assert only(log)[0] == "hung_task"
    without = "".join(FORMS[form](line) for line in (head, *TRACE[:4]))
    assert kernel_lines.events(without.encode(), "the log") == ()


def test_a_trace_that_comes_later_is_another_ones() -> None:
    log = "[  100.000000] INFO: task python:1 blocked for more than 120 seconds.\n"
    log += "[  190.000000]  ? rm_ioctl+0x54/0xb0 [nvidia]\n"
    assert kernel_lines.events(log.encode(), "the log") == ()


# --- This boot ---

OLD = "Nov  1 01:00:00 box kernel: [  900.000000] NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.\n"
BOOT = "Nov  2 01:00:00 box kernel: [    0.000000] Linux version 6.8.0-85-generic (buildd@x) #85-Ubuntu SMP\n"
NEW = "Nov  2 01:01:00 box kernel: [   60.500000] NVRM: Xid (PCI:0000:01:00): 31, pid=7, name=python\n"


def test_only_the_last_boot_counts() -> None:
    assert only(OLD + BOOT + NEW)[2] == 31
    assert [event.code for event in kernel_lines.events((OLD + NEW).encode(), "the log")] == [79, 31]
    assert kernel_lines.has_boot((OLD + BOOT).encode())
    assert not kernel_lines.has_boot((OLD + NEW).encode())


def test_a_boot_without_times_counts_too() -> None:
    boot = "Nov  2 01:00:00 box kernel: Linux version 5.14.0-570.el9.x86_64 (mockbuild@x) #1 SMP\n"
    assert only(OLD + boot + NEW)[2] == 31


def test_somebody_who_mentions_a_linux_version_boots_nothing() -> None:
    said = "Nov  2 01:02:00 box kernel: [   90.000000] Linux version 6.8.0 is what a module wants\n"
    other = "Nov  2 01:02:00 box sudo: Linux version 6.8.0\n"
    assert only(BOOT + NEW + said + other)[2] == 31


# --- Bounds ---


def test_seconds_are_since_boot() -> None:
    (event,) = kernel_lines.events(NEW.encode(), "the log")
    assert event.seconds == 60.5
    (event,) = kernel_lines.events(kmsg("PM: suspend exit", seconds=3.25).encode(), "the log")
    assert event.seconds == pytest.approx(3.2507)


def test_text_is_one_line_of_what_can_be_printed() -> None:
    line = "NVRM: Xid (PCI:0000:01:00): 31, name=\x1b[31mpy\x07thon\u202e, " + "é" * 400
    (event,) = kernel_lines.events(line.encode(), "the log")
    assert event.text.startswith(r"NVRM: Xid (PCI:0000:01:00): 31, name=\x1b[31mpy\x07thon\u202e, é")
    assert len(event.text) == 300


def test_a_gpu_that_repeats_itself_pushes_nothing_out() -> None:
    lines = ["[    1.000000] NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus."]
    lines += [f"[{2 + number}.000000] NVRM: Xid (PCI:0000:02:00): 31, number {number}" for number in range(5_000)]
    events = kernel_lines.events("\n".join(lines).encode(), "the log")
    assert [event.code for event in events] == [79, *[31] * 100]
    assert events[-1].text.endswith("number 4999")


def test_the_newest_thousand_are_kept() -> None:
    lines = [f"[{number + 1}.000000] NVRM: Xid (PCI:0000:01:00): {number}, text" for number in range(1, 3_000)]
    events = kernel_lines.events("\n".join(lines).encode(), "the log")
    assert [event.code for event in events] == list(range(2_000, 3_000))


def test_a_hundred_thousand_lines_are_read_quickly() -> None:
    chance = random.Random(1)
    spoken = [f"[{number}.500000] {line}" for number, line in enumerate(LINES)]
    other = [f"[{number}.000000] audit: type=1326 audit(1.0:{number}): syscall={number}" for number in range(90_000)]
    lines = other + [chance.choice(spoken) for _ in range(10_000)]
    chance.shuffle(lines)
    log = "\n".join(lines).encode()
    begin = time.process_time()
    events = kernel_lines.events(log, "the log")
    took = time.process_time() - begin
    assert len(events) == 1_000
    assert took < 2  # 0.1 s on two cores of 2026


def test_a_log_of_nothing_but_such_lines_ends() -> None:
    log = b"[1.000000] NVRM: Xid (PCI:0000:01:00): 31, pid=7, name=python\n" * 300_000
    begin = time.process_time()
    assert len(kernel_lines.events(log, "the log")) == 100
    assert time.process_time() - begin < 5


# --- Any bytes ---

_SEEDS = [
    *(line.encode() for line in LINES),
    *("\n".join(lines).encode() for lines in SENTENCES),
    *(line.encode() for line in OTHERS),
    BOOT.encode(),
    NEW.encode(),
    kmsg(*LINES).encode(),
]


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Lines of a log with bytes put in, taken out and exchanged."""
    log = bytearray(b"\n".join(draw(st.lists(st.sampled_from(_SEEDS), max_size=8))))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(log)))
        log[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(log)


def _is_sound(event: KernelEvent) -> bool:
    known = {kind for kind, _, _ in (*LINES.values(), *SENTENCES.values())}
    sound = event.kind in known and event.text.isprintable() and 0 < len(event.text) <= 300
    return sound and (event.pci_address == "" or len(event.pci_address) >= len("0000:01:00.0"))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(log=st.one_of(st.binary(max_size=400), spoiled()))
def test_no_bytes_crash_the_parser(log: bytes) -> None:
    assert all(_is_sound(event) for event in kernel_lines.events(log, "the log"))
    kernel_lines.has_boot(log)
    kernel_lines.first_seconds(log)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([line for line in LINES if not line.startswith("INFO")]), max_size=12))
def test_every_line_among_others_is_found_in_its_order(lines: list[str]) -> None:
    mixed = [part for line in lines for part in ("usb 1-1: new high-speed USB device", line)]
    events = kernel_lines.events(kmsg(*mixed).encode(), "the log")
    assert [(event.kind, event.pci_address, event.code) for event in events] == [LINES[line] for line in lines]
