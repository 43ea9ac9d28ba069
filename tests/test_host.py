"""The host that is judged, made of the facts of a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpudoctor import host as hosts
from gpudoctor.facts import Facts
from gpudoctor.host import HostGpu
from gpudoctor.matrix import GpuRow
from gpudoctor.readings import Reading, Unread
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests.hosts import UNREAD, shipped
from tests.properties.strategies import machine


def product(name: str) -> GpuRow:
    row = shipped().gpu(name)
    assert row is not None
    return row


def facts(*names: str) -> Facts:
    rows = tuple(product(name) for name in names)
    return machine(DriverVersion("535.104.05"), rows, cuda=CudaVersion("12.2"))


def only_gpu(value: Facts) -> HostGpu:
    gpus = hosts.from_facts(value, shipped()).gpus
    assert not isinstance(gpus, Unread)
    (gpu,) = gpus
    return gpu


def changed(value: Facts, *, name: Reading[str] = UNREAD, brand: Reading[str] = UNREAD) -> Facts:
    assert not isinstance(value.gpus, Unread)
    return replace(value, gpus=(replace(value.gpus[0], name=name, brand=brand),))


def test_machine_is_taken_as_it_was_read() -> None:
    host = hosts.from_facts(facts("A100", "RTX 3090"), shipped())
    assert (str(host.driver), str(host.driver_cuda_version)) == ("535.104.05", "12.2")
    assert not isinstance(host.gpus, Unread)
    assert [gpu.label for gpu in host.gpus] == ["NVIDIA A100", "GeForce RTX 3090"]
    assert [gpu.subject for gpu in host.gpus] == ["GPU-0", "GPU-1"]
    assert [gpu.data_center for gpu in host.gpus] == ["yes", "no"]
    assert all(gpu.listed_by_driver for gpu in host.gpus)
    assert not host.what_if


def test_unread_capability_is_that_of_the_product() -> None:
    read = facts("RTX 3090")
    assert not isinstance(read.gpus, Unread)
    gpu = only_gpu(replace(read, gpus=(replace(read.gpus[0], compute_capability=UNREAD),)))
    assert gpu.compute_capability == ComputeCapability("8.6")
    nameless = only_gpu(replace(read, gpus=(replace(read.gpus[0], compute_capability=UNREAD, name=UNREAD),)))
    assert nameless.compute_capability == UNREAD


@pytest.mark.parametrize(
    ("brand", "data_center"),
    [("tesla", "yes"), ("geforce", "no"), ("geforce_rtx", "no"), ("titan", "no"), ("titan_rtx", "no")],
)
def test_product_that_no_table_holds_is_judged_by_its_brand(brand: str, data_center: str) -> None:
    for name in ("NVIDIA Z9999", UNREAD):
        assert only_gpu(changed(facts("A100"), name=name, brand=brand)).data_center == data_center


@pytest.mark.parametrize("brand", ["nvidia", "nvidia_rtx", "quadro", "grid", "", UNREAD])
def test_brand_that_tells_nothing_leaves_it_unread(brand: Reading[str]) -> None:
    gpu = only_gpu(changed(facts("A100"), name="NVIDIA Z9999", brand=brand))
    assert isinstance(gpu.data_center, Unread)
    assert "NVIDIA Z9999 is not in the table of products" in gpu.data_center.detail


def test_product_that_the_table_holds_is_judged_by_it_whatever_its_brand() -> None:
    assert only_gpu(changed(facts("A100"), name="NVIDIA A100-SXM4-40GB", brand="geforce")).data_center == "yes"


def test_gpu_without_uuid_is_called_by_its_index() -> None:
    read = facts("A100")
    assert not isinstance(read.gpus, Unread)
    assert only_gpu(replace(read, gpus=(replace(read.gpus[0], uuid=UNREAD),))).subject == "GPU 0"


def test_machine_without_a_gpu_on_its_bus_has_none_though_nvml_could_not_be_asked() -> None:
    assert hosts.from_facts(replace(facts("A100"), gpus=UNREAD, pci_gpus=()), shipped()).gpus == ()


def test_gpus_stay_unread_where_the_bus_shows_some_or_was_not_read_or_is_not_where_they_are() -> None:
    read = facts("A100")
    elsewhere = (replace(read.system, wsl=True), replace(read.system, jetson=True))
    assert hosts.from_facts(replace(read, gpus=UNREAD), shipped()).gpus == UNREAD
    assert hosts.from_facts(replace(read, gpus=UNREAD, pci_gpus=UNREAD), shipped()).gpus == UNREAD
    for system in elsewhere:
        assert hosts.from_facts(replace(read, gpus=UNREAD, pci_gpus=(), system=system), shipped()).gpus == UNREAD
