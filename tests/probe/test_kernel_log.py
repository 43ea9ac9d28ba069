"""Where the kernel's log is read: this machine's own, and files as machines and recordings have them."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from gpudoctor.facts import KernelEvent
from gpudoctor.probe import kernel_log
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.probe.worlds import why, world, write
from tests.users import as_nobody

XID = "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
KMSG = f"6,0,0,-;Linux version 6.8.0-85-generic\n4,812,9000000,-;{XID}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n"
BOOT = "Nov  2 01:00:00 box kernel: [    0.000000] Linux version 6.8.0-85-generic (buildd@x) #85-Ubuntu SMP\n"


def line(seconds: float, text: str = XID) -> str:
    return f"Nov  2 01:01:00 box kernel: [{seconds:12.6f}] {text}\n"


def codes(reading: Reading[tuple[KernelEvent, ...]]) -> list[int | None]:
    assert not isinstance(reading, Unread), reading
    return [event.code for event in reading]


def test_a_copy_of_the_kernels_records_is_read(tmp_path: Path) -> None:
    write(tmp_path, "dev/kmsg", KMSG)
    (event,) = _known(kernel_log.probe(world(tmp_path)))
    assert (event.kind, event.seconds, event.text) == ("xid", 9.0, XID)


def _known(reading: Reading[tuple[KernelEvent, ...]]) -> tuple[KernelEvent, ...]:
    assert not isinstance(reading, Unread), reading
    return reading


@pytest.mark.parametrize("name", ["kern.log", "messages"])
def test_without_it_the_log_of_the_daemon_is_read_from_the_last_boot_on(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"var/log/{name}", line(4, XID.replace("79", "48")) + BOOT + line(5))
    assert codes(kernel_log.probe(world(tmp_path))) == [79]


def test_a_log_that_was_rotated_since_the_boot_is_read_with_its_first_part(tmp_path: Path) -> None:
    write(tmp_path, "var/log/kern.log.1", line(4, XID.replace("79", "48")) + BOOT + line(5))
    write(tmp_path, "var/log/kern.log", line(600, XID.replace("79", "31")))
    assert codes(kernel_log.probe(world(tmp_path))) == [79, 31]


def test_what_the_kernel_has_forgotten_the_daemon_knows(tmp_path: Path) -> None:
    write(tmp_path, "dev/kmsg", f"4,812,9000000,-;{XID}\n4,813,9500000,-;{XID.replace('79', '119')}\n")
    write(tmp_path, "var/log/kern.log", BOOT + line(3, XID.replace("79", "48")) + line(9))
    assert codes(kernel_log.probe(world(tmp_path))) == [48, 79, 119]


def test_a_kernel_that_has_forgotten_nothing_is_not_doubled(tmp_path: Path) -> None:
    write(tmp_path, "dev/kmsg", KMSG)
    write(tmp_path, "var/log/kern.log", BOOT + line(3, XID.replace("79", "48")) + line(9))
    assert codes(kernel_log.probe(world(tmp_path))) == [79]


def test_nothing_to_read_is_absent_and_no_quiet_log(tmp_path: Path) -> None:
    assert why(kernel_log.probe(world(tmp_path))) is Why.ABSENT
    write(tmp_path, "dev/kmsg", "\n")
    write(tmp_path, "var/log/kern.log", "")
    (tmp_path / "var/log/messages").mkdir()
    assert why(kernel_log.probe(world(tmp_path))) is Why.ABSENT


def test_what_stands_in_for_the_device_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    os.mknod(tmp_path / "dev/kmsg", 0o666 | stat.S_IFIFO)
    assert why(kernel_log.probe(world(tmp_path))) is Why.ABSENT
    (tmp_path / "dev/kmsg").unlink()
    (tmp_path / "dev/kmsg").symlink_to("/dev/null")
    assert why(kernel_log.probe(world(tmp_path, here=True))) is not None


def test_where_only_what_is_forbidden_is_there_that_is_the_answer(tmp_path: Path) -> None:
    for name in ("dev/kmsg", "var/log/kern.log"):
        write(tmp_path, name, KMSG).chmod(0)
    with as_nobody():
        reading = kernel_log.probe(world(tmp_path))
    assert isinstance(reading, Unread)
    assert (reading.source, reading.why) == ("/dev/kmsg", Why.FORBIDDEN)


def test_a_forbidden_source_gives_way_to_one_that_may_be_read() -> None:
    # Not in pytest's own folder, into which only its user may look.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        write(root, "dev/kmsg", KMSG).chmod(0)
        write(root, "var/log/messages", BOOT + line(5))
        with as_nobody():
            assert codes(kernel_log.probe(world(root))) == [79]


def test_what_ends_with_the_boot_proves_nothing(tmp_path: Path) -> None:
    write(tmp_path, "var/log/dmesg", "[    0.000000] Linux version 6.8.0\n[    5.1] usb 1-1: new device\n")
    assert why(kernel_log.probe(world(tmp_path))) is Why.ABSENT


def test_a_file_of_an_earlier_boot_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "proc/uptime", "600.00 1000.00\n")
    log = write(tmp_path, "var/log/kern.log", BOOT + line(5))
    assert codes(kernel_log.probe(world(tmp_path, here=True))) == [79]
    os.utime(log, (time.time() - 3600,) * 2)
    assert why(kernel_log.probe(world(tmp_path, here=True))) in (Why.ABSENT, Why.FORBIDDEN, Why.FAILED)


def test_of_a_log_of_a_gigabyte_the_end_is_read(tmp_path: Path) -> None:
    log = write(tmp_path, "var/log/kern.log")
    with log.open("wb") as file:
        file.seek(1 << 30)  # a hole: nothing of it is on disk
        file.write(b"\n" + line(700).encode())
    begin = time.process_time()
    assert codes(kernel_log.probe(world(tmp_path))) == [79]
    assert time.process_time() - begin < 3


def test_this_machines_own_log_is_what_dmesg_prints() -> None:
    here = World(root=Path("/"), environ=os.environ, deadline=time.monotonic() + 20)
    if not os.access("/dev/kmsg", os.R_OK):
        pytest.skip("no /dev/kmsg to read here")
    log = kernel_log._kmsg(here)
    if isinstance(log, Unread):
        assert log.why in (Why.FORBIDDEN, Why.ABSENT)
        return
    assert log.count(b"\n") > 10
    assert all(record.partition(b",")[0].isdigit() for record in log.splitlines())
    assert not isinstance(kernel_log.probe(here), Unread)


def test_a_user_without_rights_is_told_so() -> None:
    if os.geteuid() or not Path("/dev/kmsg").exists() or Path("/proc/sys/kernel/dmesg_restrict").read_text() != "1\n":
        pytest.skip("needs root and a kernel that keeps its log from others")
    here = World(root=Path("/"), environ=os.environ, deadline=time.monotonic() + 20)
    with as_nobody():
        reading = kernel_log.probe(here)
    if isinstance(reading, Unread):
        assert (reading.source, reading.why) == ("/dev/kmsg", Why.FORBIDDEN)


PROGRAM = """#!/bin/sh
{}
"""


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (f'echo "[    9.000000] box kernel: {XID}"', [79]),
        ("echo 'No journal files were opened due to insufficient permissions.'; exit 1", Why.FORBIDDEN),
        ("echo 'Hint: You are currently not seeing messages from other users.' >&2; echo '-- No entries --'", "denied"),
        ("echo '-- No entries --'", Why.ABSENT),
        ("echo 'Failed to open: Input/output error' >&2; exit 1", Why.FAILED),
        ("sleep 30", Why.TIMEOUT),
    ],
)
def test_the_journal_is_the_last_resort(tmp_path: Path, script: str, found: object) -> None:
    program = write(tmp_path, "bin/journalctl", PROGRAM.format(script))
    program.chmod(0o755)
    # The world's files stand below the folder; the program is found through PATH as journalctl of this machine is.
    here = _HereWithPrograms(
        root=tmp_path / "root", environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, deadline=time.monotonic() + 20
    )
    begin = time.monotonic()
    reading = kernel_log.probe(here)
    assert time.monotonic() - begin < kernel_log._SECONDS + 2
    if isinstance(found, list):
        assert codes(reading) == found
    else:
        assert why(reading) is (Why.FORBIDDEN if found == "denied" else found)


class _HereWithPrograms(World):
    """Passes for this machine, with other files and the same programs."""

    @property
    def is_here(self) -> bool:
        return True

    def path(self, name: str, *, follow_last: bool = True) -> Path:
        return Path(name) if name.endswith("/journalctl") else self.root / name.lstrip("/")
