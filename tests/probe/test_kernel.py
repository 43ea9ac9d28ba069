"""The kernel's files: real folders below a root, as kernels lay them out and as they go wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.probe import kernel
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.users import as_nobody

PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version: 12\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)\n"
JETSON = "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain@mobile)\n"


def world(root: Path) -> World:
    return World(root=root, environ={}, deadline=float("inf"))


def write(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def pci(root: Path, address: str, vendor: str = "0x10de", kind: str = "0x030000", driver: str = "nvidia") -> Path:
    """A device as sysfs has it: a folder, its link on the bus, a link to its driver."""
    folder = root / "sys/devices/pci0000:00" / address
    for name, text in (("vendor", vendor), ("device", "0x2204"), ("class", kind)):
        write(root, f"sys/devices/pci0000:00/{address}/{name}", f"{text}\n")
    bus = root / "sys/bus/pci/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / address).symlink_to(f"../../../devices/pci0000:00/{address}")
    if driver:
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (folder / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    return folder


def why(reading: Reading[object]) -> Why | None:
    return reading.why if isinstance(reading, Unread) else None


# --- The module ---


@pytest.mark.parametrize(
    ("text", "version", "flavour"),
    [(PROPRIETARY, "535.129.03", "proprietary"), (OPEN, "580.95.05", "open"), (JETSON, "540.4.0", "open")],
)
def test_first_line_tells_version_and_flavour(tmp_path: Path, text: str, version: str, flavour: str) -> None:
    write(tmp_path, "proc/driver/nvidia/version", text)
    found = kernel.probe(world(tmp_path))
    assert (str(found.module_version), found.module_flavour) == (version, flavour)


def test_without_it_the_version_file_of_the_module_answers(tmp_path: Path) -> None:
    write(tmp_path, "sys/module/nvidia/version", "455.45.01\n")
    found = kernel.probe(world(tmp_path))
    assert (str(found.module_version), why(found.module_flavour)) == ("455.45.01", Why.ABSENT)


def test_neither_is_absent(tmp_path: Path) -> None:
    assert why(kernel.probe(world(tmp_path)).module_version) is Why.ABSENT


@pytest.mark.parametrize("text", ["", "\n", "NVRM version: NVIDIA UNIX x86_64 Kernel Module\n", "NVRM 1.2\n", "\0\xff"])
def test_a_garbled_version_is_garbled_and_not_absent(tmp_path: Path, text: str) -> None:
    write(tmp_path, "proc/driver/nvidia/version", text)
    assert why(kernel.probe(world(tmp_path)).module_version) is Why.GARBLED


def test_a_garbled_version_is_made_good_by_the_second_source(tmp_path: Path) -> None:
    write(tmp_path, "proc/driver/nvidia/version", "?\n")
    write(tmp_path, "sys/module/nvidia/version", "455.45.01\n")
    assert str(kernel.probe(world(tmp_path)).module_version) == "455.45.01"


def test_a_second_source_that_is_not_there_does_not_hide_why_the_first_was_unread(tmp_path: Path) -> None:
    (tmp_path / "proc/driver/nvidia/version").mkdir(parents=True)  # there, and no file
    assert why(kernel.probe(world(tmp_path)).module_version) is Why.FAILED


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=st.binary(max_size=200))
def test_no_bytes_crash_the_readers(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    for name in (
        "proc/driver/nvidia/version",
        "proc/driver/nvidia/params",
        "proc/modules",
        "sys/module/nvidia/version",
        "sys/module/nvidia_uvm/parameters/uvm_disable_hmm",
    ):
        write(root, name, text)
    device = pci(root, "0000:01:00.0")
    for name in ("vendor", "class", "device"):
        (device / name).write_bytes(text)
    kernel.probe(world(root))


# --- Modules and device nodes ---


def test_modules_that_bear_on_the_gpu_are_listed_and_no_others(tmp_path: Path) -> None:
    names = ("snd_hda_intel", "nvidia_uvm", "nvidia", "nouveau", "vfio_pci", "nvme", "nova_core", "nvgpu", "nvidiafb")
    write(tmp_path, "proc/modules", "".join(f"{name} 16384 0 - Live 0x0000000000000000\n" for name in names))
    found = kernel.probe(world(tmp_path)).modules
    assert found == ("nouveau", "nova_core", "nvgpu", "nvidia", "nvidia_uvm", "vfio_pci")


def test_a_kernel_without_modules_shows_its_built_in_ones(tmp_path: Path) -> None:
    for name in ("nvidia", "virtio_net"):
        (tmp_path / "sys/module" / name).mkdir(parents=True)
    assert kernel.probe(world(tmp_path)).modules == ("nvidia",)


def test_without_either_list_modules_are_unread(tmp_path: Path) -> None:
    assert why(kernel.probe(world(tmp_path)).modules) is Why.ABSENT


def test_only_character_devices_are_device_nodes(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "nvhost-gpu", "dxg", "null", "nvme0"):
        path = tmp_path / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/dev/null")
    write(tmp_path, "dev/nvidia1", "")  # an engine mounted a file that was not there
    (tmp_path / "dev/nvidia2").symlink_to("nowhere")
    assert kernel.probe(world(tmp_path)).device_nodes == (
        "/dev/dxg",
        "/dev/nvhost-gpu",
        "/dev/nvidia-uvm",
        "/dev/nvidia0",
        "/dev/nvidiactl",
        "/dev/nvidia-caps/nvidia-cap1",
    )


@pytest.mark.parametrize("there", [True, False])
def test_the_helper_that_makes_nodes_is_looked_for(tmp_path: Path, there: bool) -> None:
    write(tmp_path, f"usr/bin/{'nvidia-modprobe' if there else 'ls'}", "")
    assert kernel.probe(world(tmp_path)).modprobe_helper is there


def test_without_a_folder_of_programs_the_helper_is_unread(tmp_path: Path) -> None:
    assert why(kernel.probe(world(tmp_path)).modprobe_helper) is Why.ABSENT


# --- The bus ---


def test_display_devices_of_nvidia_are_gpus_and_their_sound_cards_and_switches_are_not(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0")
    pci(tmp_path, "0000:01:00.1", kind="0x040300", driver="snd_hda_intel")
    pci(tmp_path, "0000:01:00.2", kind="0x0c0330", driver="xhci_hcd")
    pci(tmp_path, "0000:02:00.0", kind="0x030200", driver="vfio-pci")
    pci(tmp_path, "0000:03:00.0", kind="0x068000", driver="nvidia-nvswitch")
    pci(tmp_path, "0000:04:00.0", vendor="0x8086", driver="i915")
    pci(tmp_path, "0000:05:00.0", driver="")
    found = kernel.probe(world(tmp_path)).pci_gpus
    assert not isinstance(found, Unread)
    assert [(gpu.address, gpu.device_id, gpu.driver) for gpu in found] == [
        ("0000:01:00.0", "2204", "nvidia"),
        ("0000:02:00.0", "2204", "vfio-pci"),
        ("0000:05:00.0", "2204", ""),
    ]


def test_a_hybrid_laptop_whose_card_shows_only_its_sound_has_no_gpu(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.1", kind="0x040300", driver="snd_hda_intel")
    assert kernel.probe(world(tmp_path)).pci_gpus == ()


def test_a_kernel_without_pci_has_no_gpu_and_one_without_sysfs_does_not_say(tmp_path: Path) -> None:
    assert why(kernel.probe(world(tmp_path)).pci_gpus) is Why.ABSENT
    (tmp_path / "sys/bus/platform").mkdir(parents=True)
    assert kernel.probe(world(tmp_path)).pci_gpus == ()


def test_a_device_that_cannot_be_read_leaves_the_list_unread(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0")
    (pci(tmp_path, "0000:02:00.0") / "vendor").unlink()
    assert why(kernel.probe(world(tmp_path)).pci_gpus) is Why.ABSENT


def test_a_device_that_was_pulled_out_meanwhile_is_none(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0")
    (tmp_path / "sys/bus/pci/devices/0000:02:00.0").symlink_to("../../../devices/pci0000:00/0000:02:00.0")
    found = kernel.probe(world(tmp_path)).pci_gpus
    assert not isinstance(found, Unread)
    assert len(found) == 1


# --- Below a root ---


def test_absolute_links_of_the_host_stay_below_its_root(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/os-release", "ID=host\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("/usr/lib/os-release")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    write(tmp_path, "run/here", "yes")
    assert world(tmp_path).read("/etc/os-release") == "ID=host\n"
    assert world(tmp_path).path("/var/run/here") == tmp_path / "run/here"
    assert world(tmp_path).path("/var/run", follow_last=False) == tmp_path / "var/run"


def test_no_link_leads_above_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, "secret", "outside")
    root.mkdir()
    (root / "up").symlink_to("../../../../secret")
    assert why(world(root).read("/up")) is Why.ABSENT
    assert why(world(root).read("/../secret")) is Why.ABSENT


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("/a")
    assert why(world(tmp_path).read("/a")) is Why.ABSENT


def test_nvswitches_are_bridges_of_nvidias(tmp_path: Path) -> None:
    for number, (kind, device) in enumerate(
        [("0x068000", "0x22a3"), ("0x068000", "0x1af1"), ("0x068000", "0x0269"), ("0x060400", "0x22a3")]
    ):
        (pci(tmp_path, f"0000:0{number}:00.0", kind=kind, driver="") / "device").write_text(f"{device}\n")
    pci(tmp_path, "0000:08:00.0", vendor="0x8086", kind="0x068000", driver="")
    found = kernel.probe(world(tmp_path))
    assert (found.nvswitches, found.pci_gpus) == (2, ())


def test_an_nvswitch_whose_number_is_garbled_is_not_counted_out(tmp_path: Path) -> None:
    (pci(tmp_path, "0000:01:00.0", kind="0x068000", driver="") / "device").write_text("?\n")
    assert why(kernel.probe(world(tmp_path)).nvswitches) is Why.GARBLED


# --- Parameters of the modules, links to device nodes ---


@pytest.mark.parametrize(("text", "answer"), [("Y\n", True), ("N\n", False), ("1", True), ("", Why.GARBLED)])
def test_hmm_is_a_parameter_of_uvm(tmp_path: Path, text: str, answer: object) -> None:
    assert why(kernel.probe(world(tmp_path)).uvm_hmm_disabled) is Why.ABSENT
    write(tmp_path, "sys/module/nvidia_uvm/parameters/uvm_disable_hmm", text)
    found = kernel.probe(world(tmp_path)).uvm_hmm_disabled
    assert (why(found) or found) == answer


PARAMETERS = "ResmanDebugLevel: 4294967295\nPreserveVideoMemoryAllocations: {}\nEnableS0ixPowerManagement: 0\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [(PARAMETERS.format(1), True), (PARAMETERS.format(0), False), ("ResmanDebugLevel: 1\n", Why.UNSUPPORTED)],
)
def test_what_outlives_a_suspend_is_a_parameter(tmp_path: Path, text: str, answer: object) -> None:
    write(tmp_path, "proc/driver/nvidia/params", text)
    found = kernel.probe(world(tmp_path)).preserves_video_memory
    assert (why(found) or found) == answer


def test_links_of_dev_char_lead_to_device_nodes_or_do_not(tmp_path: Path) -> None:
    assert why(kernel.probe(world(tmp_path)).char_links) is Why.ABSENT
    folder = tmp_path / "dev/char"
    (tmp_path / "dev").mkdir()
    assert kernel.probe(world(tmp_path)).char_links is False
    folder.mkdir()
    (folder / "1:3").symlink_to("../null")
    assert kernel.probe(world(tmp_path)).char_links is False
    (folder / "195:0").symlink_to("../nvidia0")
    assert kernel.probe(world(tmp_path)).char_links is True


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    os.mkfifo(tmp_path / "proc/modules")
    assert kernel.probe(world(tmp_path)).modules == ()


def test_a_name_that_no_file_can_have_is_unread(tmp_path: Path) -> None:
    assert why(world(tmp_path).read("/a\0b")) is Why.FAILED
    assert why(world(tmp_path).entries("/a\0b")) is Why.FAILED
    assert not world(tmp_path).exists("/a\0b")


def test_a_file_without_an_end_is_read_to_a_limit(tmp_path: Path) -> None:
    write(tmp_path, "proc/modules", b"x" * (3 << 20))
    text = world(tmp_path).read("/proc/modules")
    assert not isinstance(text, Unread)
    assert len(text) == 1 << 20


def test_what_this_user_may_not_read_is_forbidden(tmp_path: Path) -> None:
    write(tmp_path, "proc/modules", "nvidia 1\n")
    (tmp_path / "proc/modules").chmod(0)
    with as_nobody():
        assert why(kernel.probe(world(tmp_path)).modules) is Why.FORBIDDEN
