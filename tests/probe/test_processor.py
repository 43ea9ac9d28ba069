"""The processor's instruction sets, and the hypervisor that may have made it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudoctor.probe import processor
from gpudoctor.readings import Why
from tests.probe.worlds import why, world, write

DMI = "sys/class/dmi/id"


def cpu(*flags: str) -> str:
    return (
        f"processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse4_1 {' '.join(flags)}\nbugs\t\t: spectre_v1\n\n"
    )


def test_only_what_every_processor_has_counts(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", cpu("avx", "avx2", "fma") + cpu("avx", "sse4_2", "avx2") + cpu("avx", "avx2"))
    assert processor.flags(world(tmp_path)) == ("avx", "avx2", "sse4_1")


def test_other_architectures_have_none_of_them(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 2000.00\nFeatures\t: fp asimd sve\n")
    assert processor.flags(world(tmp_path)) == ()


@pytest.mark.parametrize("text", ["", "vendor_id\t: GenuineIntel\n"])
def test_a_processor_without_a_line_of_flags_is_garbled(tmp_path: Path, text: str) -> None:
    write(tmp_path, "proc/cpuinfo", text)
    assert why(processor.flags(world(tmp_path))) is Why.GARBLED


def test_more_than_a_megabyte_of_processors_is_read(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", cpu("avx", "x" * 3000) * 600 + cpu("fma"))
    assert processor.flags(world(tmp_path)) == ("sse4_1",)


@pytest.mark.parametrize(
    ("maker", "product", "flags", "answer"),
    [
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", ("hypervisor",), "Standard PC (Q35 + ICH9, 2009)"),
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", (), "Standard PC (Q35 + ICH9, 2009)"),  # it hides its flag
        ("VMware, Inc.", "VMware Virtual Platform", ("hypervisor",), "VMware Virtual Platform"),
        ("Microsoft Corporation", "Virtual Machine", ("hypervisor",), "Virtual Machine"),
        ("Microsoft Corporation", "Surface Laptop Studio", (), ""),
        ("Amazon EC2", "p4d.24xlarge", ("hypervisor",), "p4d.24xlarge"),
        ("Amazon EC2", "g4dn.metal", (), ""),
        ("Google", "Google Compute Engine", ("hypervisor",), "Google Compute Engine"),
        ("Dell Inc.", "PowerEdge XE9680", (), ""),
        (None, None, ("hypervisor",), "virtual machine"),
        (None, None, (), ""),
        ("Acme", "Cloud\x1b[31m  Box\n", ("hypervisor",), "Cloud [31m Box"),
    ],
)
def test_a_hypervisors_machine_is_known_by_its_name_or_its_flag(
    tmp_path: Path, maker: str | None, product: str | None, flags: tuple[str, ...], answer: str
) -> None:
    write(tmp_path, "proc/cpuinfo", cpu(*flags))
    tables: Mapping[str, str | None] = {"sys_vendor": maker, "product_name": product}
    for name, text in tables.items():
        if text is not None:
            write(tmp_path, f"{DMI}/{name}", f"{text}\n")
    assert processor.virtual_machine(world(tmp_path)) == answer


def test_on_other_architectures_the_tables_decide(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd\n")
    assert why(processor.virtual_machine(world(tmp_path))) is Why.ABSENT
    write(tmp_path, f"{DMI}/sys_vendor", "NVIDIA\n")
    write(tmp_path, f"{DMI}/product_name", "GH200 P5042\n")
    assert processor.virtual_machine(world(tmp_path)) == ""
    write(tmp_path, f"{DMI}/sys_vendor", "QEMU\n")
    assert processor.virtual_machine(world(tmp_path)) == "GH200 P5042"
