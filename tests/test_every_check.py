"""What holds for every check there is, and for every one that will be added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import checks
from gpudoctor.checks import AREAS, Case, Check
from gpudoctor.facts import (
    CdiSpec,
    CudaLibrary,
    DaemonConfiguration,
    Facts,
    GpuFacts,
    GpuProcess,
    MigDevice,
    ModuleFile,
    NvLink,
    Package,
    PciGpu,
    RemappedRows,
    ToolkitConfiguration,
    Variable,
)
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.readings import Unread, UnreadError, Why
from gpudoctor.versions import DriverVersion
from tests import strategies_of_facts as strategies
from tests.checks.inside import (
    A100,
    GTX_1080,
    H100,
    NGC_20_03,
    NGC_22_01,
    NGC_23_02,
    NGC_24_03,
    NGC_25_02,
    RTX_5090,
    inside,
)
from tests.fakes import (
    NO_ENGINE,
    NOT_LOADED,
    cuda_says,
    data_center_gpu,
    driver_says,
    event,
    facts_of,
    gpu,
    pci_gpu,
    results,
    shipped_matrix,
    shipped_policy,
    unread,
)
from tests.pythons import with_tensorflow

CHECKS = checks.discover()
IDS = [check.id for check in CHECKS]
HERE = Path(__file__).parent

# What they find is never more than worth knowing.
EXPLANATIONS = {"gpu-fabric-manager-not-applicable", "image-minor-version-compat"}

SICK = {
    "no GPU": facts_of(driver=NOT_LOADED, gpus=unread(Why.ABSENT, code=12), pci_gpus=()),
    "not loaded": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, ""),)),
    "nouveau": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"),)),
    "vfio": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "vfio-pci"),)),
    "mismatch": facts_of(driver=driver_says(unread(code=18)), gpus=unread(code=18)),
    "two versions": facts_of(driver={"kernel_module_version": DriverVersion("535.1")}),
    "no libraries": facts_of(driver=driver_says(unread(Why.ABSENT, code=12)), gpus=unread(Why.ABSENT, code=12)),
    "no node": facts_of(driver={"device_nodes": (), "modprobe_helper": False}),
    "one missing": facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1))),
    "no toolkit": facts_of(engine={"runtimes": (), "toolkit_binaries": ()}),
    "no engine": facts_of(engine=NO_ENGINE),
    "full disk": facts_of(engine={"data_root_free_bytes": 0}),
    "container without GPUs": facts_of(
        system={"container": "docker", "shm_bytes": 64 << 20}, driver={"device_nodes": ()}, gpus=unread(code=9)
    ),
    "container without its GPU": facts_of(system={"container": "docker"}, gpus=()),
    "Windows gives none": facts_of(
        system={"wsl": True, "packages": ()},
        driver={"wsl_libraries": ("libcuda.so.1", "libnvidia-ml.so.1"), "libcuda": ()},
        gpus=(),
        pci_gpus=(),
    ),
}


# --- machines of the areas container, image, slurm
_UNREGISTERED = DaemonConfiguration(
    path="/etc/docker/daemon.json", runtimes=(), default_runtime="", cdi=None, exec_options=()
)
_PLAIN_ENGINE: dict[str, Any] = {"runtimes": ("io.containerd.runc.v2", "runc"), "daemon": _UNREGISTERED}
_CONFIGURATION = ToolkitConfiguration(
    path="/etc/nvidia-container-runtime/config.toml",
    mode="auto",
    no_cgroups=False,
    ldconfig="/sbin/ldconfig.real",
    ldconfig_exists=True,
    root="",
)
_OLD_SPEC = CdiSpec(
    path="/etc/cdi/nvidia.yaml",
    devices=("0", "all"),
    driver_version=DriverVersion("535.104.05"),
    missing=("/usr/lib/libcuda.so.535.104.05",),
    readable_by_all=True,
)
_BAKED = CudaLibrary(path="/usr/local/lib/libcuda.so.1", version=DriverVersion("470.82.01"), kind="driver")
_HOSTS = CudaLibrary(path="/usr/lib/libcuda.so.1", version=DriverVersion("535.129.03"), kind="driver")
SICK |= {
    "engine not restarted": facts_of(engine={"runtimes": ("runc",)}),
    "runtime not registered": facts_of(engine={**_PLAIN_ENGINE, "toolkit_binaries": ("nvidia-ctk",)}),
    "Docker Desktop": facts_of(
        engine={**_PLAIN_ENGINE, "operating_system": "Docker Desktop", "toolkit_binaries": ()},
    ),
    "CDI alone and no device": facts_of(
        engine={**_PLAIN_ENGINE, "version": "29.3.0", "toolkit_binaries": ("nvidia-ctk",)}
    ),
    "stale CDI": facts_of(engine={"toolkit": replace(_CONFIGURATION, mode="cdi"), "cdi_specs": (_OLD_SPEC,)}),
    "no-cgroups left on": facts_of(engine={"toolkit": replace(_CONFIGURATION, no_cgroups=True)}),
    "rootless with cgroups": facts_of(engine={"security_options": ("name=rootless",)}),
    "no such ldconfig": facts_of(
        engine={"toolkit": replace(_CONFIGURATION, ldconfig_exists=False), "toolkit_version": "1.14.3"}
    ),
    "enroot without its program": facts_of(engine={**NO_ENGINE, "enroot_hook": "/etc/enroot/hooks.d/98-nvidia.sh"}),
    "container after a reload": inside({}, driver_facts=driver_says(unread(code=999)), gpus=unread(code=999)),
    "container under SELinux": inside(
        {}, system={"selinux": "enforcing"}, driver_facts=driver_says(unread(code=4)), gpus=unread(code=4)
    ),
    "Apptainer without --nv": inside({}, system={"container": "apptainer"}, driver_facts={"libcuda": ()}),
    "container without compute": inside({"NVIDIA_DRIVER_CAPABILITIES": "utility"}, driver_facts={"libcuda": ()}),
    "container by CDI without CUDA": inside({"NVIDIA_VISIBLE_DEVICES": "void"}, cuda=cuda_says(999)),
    "image and driver": inside(NGC_24_03, driver="470.256.02", driver_cuda="11.4"),
    "image and branch": inside(NGC_23_02, driver="520.61.05", driver_cuda="11.8", gpus=(A100,)),
    "image and Pascal": inside(NGC_25_02, driver="570.86.10", driver_cuda="12.8", gpus=(GTX_1080,)),
    "image and Ampere": inside(NGC_20_03),
    "image and Blackwell": inside(NGC_24_03, driver="570.86.10", driver_cuda="12.8", gpus=(RTX_5090,)),
    "image on a Jetson": inside(
        NGC_24_03, driver="540.4.0", system={"jetson": True, "architecture": "aarch64"}, gpus=(gpu(),)
    ),
    "image without AVX": inside(NGC_24_03, system={"cpu_flags": ("sse4_2",)}),
    "image with a driver": inside({}, driver_facts={"libcuda": (_BAKED, _HOSTS)}),
}
# Nothing fails on these yet: they are warned.
WARNED = {
    "reload ahead": facts_of(driver={"char_links": False}),
    "two package sources": facts_of(
        engine={
            "toolkit_sources": (
                "/etc/apt/sources.list.d/nvidia-container-toolkit.list",
                "/etc/apt/sources.list.d/nvidia-docker.list",
            )
        }
    ),
    "image and Hopper": inside(NGC_22_01, gpus=(H100,)),
    "image that demands more": inside({**NGC_24_03, "NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}),
}
SICK |= WARNED
# --- end of the areas container, image, slurm

# --- machines of the areas driver, cuda
_GONE: dict[str, Any] = {"gpus": unread(code=9), "pci_gpus": (pci_gpu(0, ""),), "cuda": cuda_says(100)}
_OTHER_KERNEL = ModuleFile(
    path="/lib/modules/6.8.0-79-generic/updates/dkms/nvidia.ko",
    kernel_release="6.8.0-79-generic",
    version=DriverVersion("535.129.03"),
    flavour="proprietary",
)
_IN_WSL = CudaLibrary(path="/usr/lib/wsl/lib/libcuda.so.1", version=unread(Why.GARBLED), kind="wsl")
_STALE = CudaLibrary(path="/usr/local/cuda/compat/libcuda.so.1", version=DriverVersion("525.60.13"), kind="compat")
_STUCK = Unread(
    source="nvmlInitWithFlags", why=Why.TIMEOUT, detail="no answer within 20 s (process state D, in rwsem_down_write)"
)


def _wsl(**driver: Any) -> dict[str, Any]:
    nodes = {"device_nodes": ("/dev/dxg",), "wsl_libraries": ("libcuda.so.1",), "libcuda": (_IN_WSL,)}
    return {
        "system": {"wsl": True},
        "driver": {**NOT_LOADED, **nodes, **driver},
        "gpus": unread(code=9),
        "pci_gpus": (),
        "cuda": cuda_says(100),
    }


def _on_bus(device_id: str, driver: str = "nvidia") -> tuple[PciGpu, ...]:
    return (PciGpu(address="0000:01:00.0", device_id=device_id, driver=driver),)


SICK |= {
    "module for another kernel": facts_of(driver={**NOT_LOADED, "module_files": (_OTHER_KERNEL,)}, **_GONE),
    "module refused": facts_of(
        system={"secure_boot": True}, driver=NOT_LOADED, kernel_log=(event("key_rejected"),), **_GONE
    ),
    "module refused, and nouveau": facts_of(
        system={"secure_boot": True},
        driver=NOT_LOADED,
        kernel_log=(event("key_rejected"),),
        **{**_GONE, "pci_gpus": (pci_gpu(0, "nouveau"),)},
    ),
    "nova": facts_of(driver=NOT_LOADED, **{**_GONE, "pci_gpus": (pci_gpu(0, "NovaCore"),)}),
    "Kepler on 535": facts_of(driver=NOT_LOADED, **{**_GONE, "pci_gpus": _on_bus("128b", "")}),
    "Pascal and the open module": facts_of(
        driver={"module_flavour": "open"}, gpus=(), pci_gpus=_on_bus("1b80"), cuda=cuda_says(100)
    ),
    "Blackwell and the closed module": facts_of(
        driver={"kernel_module_version": DriverVersion("580.95.05"), "version": DriverVersion("580.95.05")},
        gpus=(),
        pci_gpus=_on_bus("2b85"),
        cuda=cuda_says(100),
        kernel_log=(event("rm_init_adapter_failed", "NVRM: RmInitAdapter failed! (0x22:0x56:884)"),),
    ),
    "Ampere that does not start": facts_of(
        gpus=(),
        cuda=cuda_says(100),
        kernel_log=(event("rm_init_adapter_failed", "NVRM: RmInitAdapter failed! (0x62:0x55:2477)"),),
    ),
    "hang": facts_of(driver=driver_says(_STUCK), gpus=_STUCK, cuda=_STUCK),
    "WSL without a library": facts_of(**_wsl(wsl_libraries=(), libcuda=())),
    "WSL with a driver of Linux": facts_of(
        **_wsl(libcuda=(CudaLibrary(path="/usr/lib/libcuda.so.1", version=DriverVersion("550.54.15"), kind="driver"),))
    ),
    "no libcuda": facts_of(driver={"libcuda": ()}, cuda=unread(Why.ABSENT)),
    "compat on a GeForce": facts_of(cuda=cuda_says(804)),
    "compat older than the driver": facts_of(
        driver={"libcuda": (_STALE,)}, cuda=replace(cuda_says(803), library=_STALE.path)
    ),
    "stub": facts_of(cuda=replace(cuda_says(34), library="/usr/local/cuda/lib64/stubs/libcuda.so")),
    "no visible device": facts_of(
        system={"variables": (Variable(name="CUDA_VISIBLE_DEVICES", value="7"),)}, cuda=cuda_says(100)
    ),
    "woken": facts_of(cuda=cuda_says(999), kernel_log=(event("driver_loaded"), event("resume", "PM: suspend exit"))),
    "HMM": facts_of(cuda=cuda_says(3)),
    "MPS": facts_of(system={"daemons": ("nvidia-cuda-mps-control",)}, cuda=cuda_says(805)),
    "CUDA fails for no known reason": facts_of(cuda=cuda_says(999)),
}
# --- end of the areas driver, cuda

# --- machines of the area gpu
_AT_FIRST = "0000:01:00.0"
_LOST = unread(code=15)
_HELD = GpuProcess(process_id=7, kind="compute", memory_bytes=23 << 30, name="python")
_INSTANCES = tuple(MigDevice(uuid=f"MIG-{number}", name="1g", memory_bytes=1) for number in range(2))
_TWO_LINKS = (NvLink(index=0, active=True), NvLink(index=1, active=False))


def _data_center(**changed: Any) -> Facts:
    return facts_of(gpus=(data_center_gpu(**{"nvlinks": (), **changed}),))


def _geforce(**changed: Any) -> Facts:
    return facts_of(gpus=(gpu(**changed),))


def _rows(**changed: bool) -> RemappedRows:
    return replace(RemappedRows(correctable=0, uncorrectable=1, pending=False, failure=False), **changed)


SICK |= {
    "GPU that is lost": facts_of(
        gpus=(gpu(0), gpu(1, **dict.fromkeys(("uuid", "name", "temperature_celsius", "processes"), _LOST))),
        pci_gpus=(pci_gpu(0), pci_gpu(1)),
    ),
    "GPU that left the bus": facts_of(
        gpus=(), pci_gpus=(), kernel_log=(event("fallen_off_bus", pci_address=_AT_FIRST),)
    ),
    "GSP that does not answer": facts_of(
        gpus=(data_center_gpu(nvlinks=(), recovery_action="gpu_reset"),),
        kernel_log=(event("xid", code=119, pci_address=_AT_FIRST),),
    ),
    "memory error": facts_of(
        gpus=(data_center_gpu(nvlinks=(), ecc_uncorrected_volatile=1, remapped_rows=_rows(pending=True)),),
        kernel_log=(event("xid", code=48, pci_address=_AT_FIRST), event("xid", code=63, pci_address=_AT_FIRST)),
    ),
    "row that is lost": _data_center(remapped_rows=_rows(failure=True), ecc_uncorrected_volatile=1),
    "SRAM that is used up": _data_center(ecc_sram_threshold_exceeded=True, ecc_uncorrected_volatile=5),
    "pages that are used up": _geforce(retired_pages=64, retired_pages_pending=True, ecc_uncorrected_volatile=1),
    "GPU that wants a reset": _data_center(
        recovery_action=unread(code=16), temperature_celsius=unread(code=16), processes=unread(code=16)
    ),
    "fabric that nobody set up": facts_of(
        gpus=(data_center_gpu(nvlinks=_TWO_LINKS, fabric_state="not_started"),),
        driver={"nvswitches": 4},
        cuda=cuda_says(802),
    ),
    "fabric that is sick": _data_center(nvlinks=_TWO_LINKS, fabric_health="unhealthy"),
    "link that is down": _data_center(nvlinks=_TWO_LINKS),
    "too hot": _geforce(temperature_celsius=97, clocks_event_reasons=("hw_slowdown", "hw_thermal_slowdown")),
    "taken": facts_of(gpus=(gpu(compute_mode="exclusive_process", processes=(_HELD,)),), cuda=cuda_says(46)),
    "MIG without instances": facts_of(
        gpus=(data_center_gpu(nvlinks=(), mig_enabled=True, mig_pending=True),), cuda=cuda_says(3)
    ),
}
_WARM = {
    "GPU that is back": facts_of(kernel_log=(event("xid", code=79, pci_address=_AT_FIRST),)),
    "row that waits": _data_center(remapped_rows=_rows(pending=True)),
    "page that waits": _geforce(retired_pages_pending=True),
    "ECC that waits": _data_center(ecc_pending=False),
    "MIG that waits": _data_center(mig_pending=True),
    "brake": _geforce(clocks_event_reasons=("hw_power_brake_slowdown", "hw_slowdown")),
    "little power": _geforce(power_limit_watts=100.0),
    "four lanes": _geforce(pcie_width=4),
    "InfoROM": _geforce(inforom_valid=False),
    "memory that is held": _geforce(processes=(_HELD,)),
    "memory that is gone": _geforce(memory_free_bytes=1 << 30),
    "instances": facts_of(
        system={"container": "docker"},
        gpus=(data_center_gpu(nvlinks=(), mig_enabled=True, mig_pending=True, mig_devices=_INSTANCES),),
    ),
    "Fabric Manager of another day": facts_of(
        system={"packages": (Package(name="nvidia-fabricmanager-535", version="535.161.07-1"),)},
        driver={"nvswitches": 4},
        gpus=(data_center_gpu(nvlinks=()),),
    ),
    "Fabric Manager for nothing": facts_of(system={"programs": ("/usr/bin/nv-fabricmanager",)}),
}
WARNED |= _WARM
SICK |= _WARM

# Interpreters that --python named.
_OLD = {
    "h5py 3 beside an old TensorFlow": facts_of(
        python=with_tensorflow("2.3.4", more=(Package(name="h5py", version="3.1.0"),))
    ),
}
WARNED |= _OLD
SICK |= _OLD
SICK |= {
    "a TensorFlow for the CPU": facts_of(
        python=with_tensorflow("2.17.1", name="tensorflow-cpu", tensorflow_gpu_build=False)
    ),
    "TensorFlow replaced in NVIDIA's image": facts_of(
        python=with_tensorflow("2.18.1", tensorflow_gpu_build=False),
        system={"variables": (Variable(name="NVIDIA_TENSORFLOW_VERSION", value="25.02-tf2"),)},
    ),
}
# --- end of the area gpu


def test_checks_are_found_by_looking_at_the_folder() -> None:
    folder = Path(checks.__file__).parent
    assert sorted(IDS) == sorted(
        path.stem.replace("_", "-") for path in folder.glob("*.py") if path.name != "__init__.py"
    )


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_every_check_has_a_test_file_that_names_it(check: Check) -> None:
    path = HERE / "checks" / f"test_{check.id.replace('-', '_')}.py"
    assert f'CHECK = "{check.id}"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_first_word_of_an_id_is_an_area(check: Check) -> None:
    assert check.area in AREAS


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_every_check_has_a_title_that_is_one_sentence_and_fits_a_line(check: Check) -> None:
    assert check.module.__doc__
    first = check.module.__doc__.partition("\n")[0]
    assert first.endswith(".")
    assert check.title == first[:-1]
    assert len(check.title) < 80


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_causes_are_checks_that_there_are(check: Check) -> None:
    assert set(check.caused_by) <= set(IDS) - {check.id}


def test_causes_never_lead_back_to_where_they_began() -> None:
    causes = {check.id: check.caused_by for check in CHECKS}

    def roots(check: str, above: tuple[str, ...] = ()) -> None:
        assert check not in above
        for cause in causes[check]:
            roots(cause, (*above, check))

    for check in causes:
        roots(check)


def test_every_check_finds_something_on_one_of_the_sick_machines() -> None:
    found = {
        result.check
        for facts in SICK.values()
        for result in results(facts, engine_asked=True)
        if any(finding.severity is not Severity.INFO for finding in result.findings)
    }
    # What refuses this user is a state of the engine that excludes the others.
    assert found | {"container-socket-permission"} == {check.id for check in CHECKS if check.judges} - EXPLANATIONS


@pytest.mark.parametrize("name", SICK)
def test_findings_are_one_sentence_with_evidence_and_fix(name: str) -> None:
    for result in results(SICK[name], engine_asked=True):
        for finding in result.findings:
            assert not finding.message.endswith(".")
            assert finding.message.splitlines() == [finding.message]
            assert finding.evidence
            assert finding.fix is not None


def _findings(facts: Facts) -> list[tuple[CheckResult, Finding]]:
    return [(result, finding) for result in results(facts) for finding in result.findings]


@pytest.mark.parametrize("name", sorted(SICK.keys() - WARNED.keys() - {"no engine", "full disk"}))
def test_a_sick_machine_has_one_root_that_its_other_errors_name(name: str) -> None:
    errors = [(result, finding) for result, finding in _findings(SICK[name]) if finding.severity is Severity.ERROR]
    (root,) = {result.check for result, finding in errors if finding.caused_by is None}
    assert {finding.caused_by for _, finding in errors} <= {None, root}


def test_a_healthy_machine_has_no_finding() -> None:
    assert _findings(facts_of()) == []


@settings(max_examples=200, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS, engine_asked=st.booleans())
def test_no_check_crashes_on_any_facts(facts: Facts, engine_asked: bool) -> None:
    _assert_none_crashes(facts, engine_asked=engine_asked)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None, derandomize=False)
@given(facts=strategies.ANY_FACTS, engine_asked=st.booleans())
def test_no_check_crashes_on_ten_thousand_facts_that_are_others_each_time(facts: Facts, engine_asked: bool) -> None:
    _assert_none_crashes(facts, engine_asked=engine_asked)


def _assert_none_crashes(facts: Facts, *, engine_asked: bool) -> None:
    crashed = [result for result in results(facts, engine_asked=engine_asked) if result.outcome is Outcome.CRASHED]
    assert crashed == []


def _outcomes(facts: Facts) -> dict[tuple[str, str], CheckResult]:
    """By check and place among its subjects: an unread UUID would rename one."""
    seen: dict[str, int] = {}
    by_place = {}
    for result in results(facts):
        by_place[(result.check, str(seen.setdefault(result.check, 0)))] = result
        seen[result.check] += 1
    return by_place


@pytest.mark.parametrize("name", ["healthy", *SICK])
@pytest.mark.parametrize(
    "why",
    [
        Why.FORBIDDEN,
        pytest.param(Why.TIMEOUT, marks=pytest.mark.long),
        pytest.param(Why.GARBLED, marks=pytest.mark.long),
        Why.ABSENT,
    ],
)
def test_one_reading_less_never_heals_and_never_accuses(name: str, why: Why) -> None:
    facts = SICK.get(name, facts_of())
    before = _outcomes(facts)
    for path in strategies.readings(facts):
        if isinstance(strategies.reading_at(facts, path), Unread):
            continue
        after = _outcomes(strategies.with_reading(facts, path, unread(why)))
        for place, result in before.items():
            now = after.get(place, result)
            if result.outcome is Outcome.FAILED:
                assert now.outcome is not Outcome.PASSED, path
            if result.outcome is Outcome.PASSED and why is not Why.ABSENT:
                assert not any(finding.severity is Severity.ERROR for finding in now.findings), path
        if why is not Why.ABSENT and any(result.outcome is Outcome.FAILED for result in before.values()):
            # An error may become a question; it never vanishes without one.
            assert any(result.outcome in (Outcome.FAILED, Outcome.UNKNOWN) for result in after.values()), path


@settings(max_examples=200, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS, data=st.data())
def test_knowing_less_of_any_facts_never_turns_failed_into_passed(facts: Facts, data: st.DataObject) -> None:
    there = [path for path in strategies.readings(facts) if not isinstance(strategies.reading_at(facts, path), Unread)]
    if not there:
        return
    path = data.draw(st.sampled_from(there))
    less = strategies.with_reading(facts, path, data.draw(st.from_type(Unread)))
    before, after = _outcomes(facts), _outcomes(less)
    healed = [
        place
        for place, result in before.items()
        if result.outcome is Outcome.FAILED and place in after and after[place].outcome is Outcome.PASSED
    ]
    assert healed == []


# --- The runner ---


def _case(facts: Facts | None = None) -> Case:
    return Case(facts=facts or facts_of(), matrix=shipped_matrix(), policy=shipped_policy(), engine_asked=False)


def _check(id_: str, **members: object) -> Check:
    module = ModuleType(id_, "A made-up check.\n")
    for name, value in members.items():
        setattr(module, name, value)
    return Check(id=id_, module=module)


def _finds(severity: Severity) -> object:
    def check(case: Case) -> Iterator[Finding]:
        yield Finding(severity=severity, message="found")

    return check


def _crashes(*_: object) -> Iterator[Finding]:
    raise ZeroDivisionError("by hand\nand a second line")


def _is_unread(*_: object) -> Iterator[Finding]:
    raise UnreadError(unread())


def test_a_check_that_crashes_stops_no_other_and_says_so_in_one_line() -> None:
    crash, well = checks.run(_case(), (_check("gpu-a", check=_crashes), _check("gpu-b", check=lambda case: iter(()))))
    assert (crash.outcome, crash.crash) == (Outcome.CRASHED, "ZeroDivisionError: by hand")
    assert well.outcome is Outcome.PASSED


@pytest.mark.parametrize("asks", [_crashes, _is_unread])
def test_whether_a_check_applies_or_decides_may_be_unknown_too(asks: object) -> None:
    (result,) = checks.run(_case(), (_check("gpu-a", check=_crashes, applies=asks, decides=asks),))
    assert result.outcome in (Outcome.CRASHED, Outcome.UNKNOWN)
    assert result.deciding


def test_what_was_found_before_a_gap_stays_found() -> None:
    def check(case: Case) -> Iterator[Finding]:
        yield Finding(severity=Severity.ERROR, message="found")
        raise UnreadError(unread())

    (result,) = checks.run(_case(), (_check("gpu-a", check=check),))
    assert (result.outcome, len(result.findings), result.unread) == (Outcome.FAILED, 1, unread())


def test_a_check_of_gpus_is_asked_once_for_each_and_judges_each_alone() -> None:
    def check_gpu(case: Case, one: GpuFacts) -> Iterator[Finding]:
        if one.index == 1:
            raise UnreadError(unread())
        if one.index == 2:
            yield Finding(severity=Severity.ERROR, message="found")

    facts = facts_of(gpus=(gpu(0), gpu(1, uuid=unread()), gpu(2)))
    found = checks.run(_case(facts), (_check("gpu-a", check_gpu=check_gpu),))
    assert [result.outcome for result in found] == [Outcome.PASSED, Outcome.UNKNOWN, Outcome.FAILED]
    assert [result.subject for result in found] == [f"gpu:{gpu(0).uuid}", "gpu:1", f"gpu:{gpu(2).uuid}"]


def test_a_check_of_gpus_is_unknown_without_their_list() -> None:
    (result,) = checks.run(_case(facts_of(gpus=unread())), (_check("gpu-a", check_gpu=_crashes),))
    assert result.outcome is Outcome.UNKNOWN


def test_the_root_of_a_chain_is_named_and_not_its_middle() -> None:
    error = _finds(Severity.ERROR)
    chain = (
        _check("gpu-a", check=error, CAUSED_BY=("gpu-b",)),
        _check("gpu-b", check=error, CAUSED_BY=("gpu-c",)),
        _check("gpu-c", check=error),
    )
    assert [result.findings[0].caused_by for result in checks.run(_case(), chain)] == ["gpu-c", "gpu-c", None]


def test_what_ails_one_gpu_explains_nothing_of_another() -> None:
    def on(*indices: int) -> object:
        def check_gpu(case: Case, one: GpuFacts) -> Iterator[Finding]:
            if one.index in indices:
                yield Finding(severity=Severity.ERROR, message="found")

        return check_gpu

    pair = (_check("gpu-a", check_gpu=on(0, 1), CAUSED_BY=("gpu-b",)), _check("gpu-b", check_gpu=on(0)))
    found = checks.run(_case(facts_of(gpus=(gpu(0), gpu(1)))), pair)
    causes = {(one.check, one.subject): one.findings[0].caused_by for one in found if one.findings}
    assert causes == {
        ("gpu-a", f"gpu:{gpu(0).uuid}"): "gpu-b",
        ("gpu-a", f"gpu:{gpu(1).uuid}"): None,
        ("gpu-b", f"gpu:{gpu(0).uuid}"): None,
    }


def test_a_warning_is_no_root_of_a_finding_and_may_explain_a_gap() -> None:
    warning = _check("gpu-a", check=_finds(Severity.WARNING))
    follows = _check("gpu-b", check=_finds(Severity.ERROR), CAUSED_BY=("gpu-a",))
    open_ = _check("gpu-c", check=_is_unread, CAUSED_BY=("gpu-a",))
    _, finding, gap = checks.run(_case(), (warning, follows, open_))
    assert finding.findings[0].caused_by is None
    assert gap.explained_by == "gpu-a"
