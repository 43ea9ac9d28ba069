"""Redacted facts name nobody, and are judged as before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.document import decode, encode
from gpudoctor.facts import CdiSpec, CudaLibrary, Facts, GpuProcess, MigDevice, Variable
from gpudoctor.readings import Unread, Why
from gpudoctor.redact import redacted
from tests import strategies_of_facts as strategies
from tests.fakes import engine_unread, event, facts_of, gpu, results, unread

SECRETS = ("gpubox", "alice", "10.1.2.3", "corp.example.com", "deadbeef")


def test_names_addresses_and_serials_are_gone_wherever_they_stand() -> None:
    said = "lookup gpubox.corp.example.com: /home/alice/.docker at tcp://alice:secret@10.1.2.3:2375 refused gpubox"
    source = "GET /version at ssh://alice@gpubox"
    facts = facts_of(
        system={"hostname": "gpubox.corp.example.com"},
        engine={
            **engine_unread(Why.FAILED),
            "host": "unix:///home/alice/.docker/run/docker.sock",
            "version": Unread(source=source, why=Why.FAILED, detail=said),
            "data_root": "/home/alice/.local/share/docker",
        },
        gpus=(gpu(uuid="GPU-deadbeef-1111-4222-8333-444444444444"),),
    )
    text = json.dumps(encode(redacted(facts)))
    assert [secret for secret in (*SECRETS, "secret") if secret in text] == []
    assert "tcp://host:2375" in text
    assert "unix:///home/user/.docker/run/docker.sock" in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("tcp://10.1.2.3:2375", "tcp://host:2375"),
        ("tcp://gpubox", "tcp://host"),
        ("tcp://gpubox/", "tcp://host/"),
        ("tcp://[fe80::1]:2375", "tcp://host:2375"),
        ("ssh://alice@gpubox", "ssh://host"),
        ("ssh://alice@gpubox:22/run", "ssh://host:22/run"),
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
    ],
)
def test_addresses_keep_their_kind_and_port(address: str, shown: str) -> None:
    assert redacted(facts_of(engine={"host": address})).engine.host == shown


def test_gpus_stay_told_apart_and_the_same_gpu_stays_the_same() -> None:
    mig = MigDevice(uuid="MIG-deadbeef-0000-4222-8333-444444444444", name="MIG 1g.5gb", memory_bytes=1)
    lost = Unread(source="nvml", why=Why.FAILED, detail=f"{gpu(0).uuid} is lost")
    cleaned = redacted(facts_of(gpus=(gpu(0, name=lost), gpu(1, mig_devices=(mig,)))))
    assert not isinstance(cleaned.gpus, Unread)
    first, second = cleaned.gpus
    assert not isinstance(second.mig_devices, Unread)
    uuids = [first.uuid, second.uuid, second.mig_devices[0].uuid]
    assert len(set(uuids)) == 3
    assert not {gpu(0).uuid, gpu(1).uuid, mig.uuid} & set(uuids)
    assert isinstance(first.name, Unread)
    assert first.name.detail == f"{first.uuid} is lost"


@pytest.mark.parametrize("name", ["nvidia", "ubuntu", "docker", "GPU", "x86_64", "e"])
def test_a_host_with_a_telling_name_is_judged_as_before(name: str) -> None:
    facts = facts_of(system={"hostname": name})
    cleaned = redacted(facts)
    assert cleaned.system.hostname == "host"
    assert [(one.check, one.outcome) for one in results(cleaned)] == [
        (one.check, one.outcome) for one in results(facts)
    ]
    assert (cleaned.engine.runtimes, cleaned.system.os_id) == (facts.engine.runtimes, facts.system.os_id)


def value_of(value: str, **system: str) -> str:
    """What becomes of a variable's value."""
    cleaned = redacted(facts_of(system={"variables": (Variable(name="X", value=value),), **system}))
    assert not isinstance(cleaned.system.variables, Unread)
    return cleaned.system.variables[0].value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0,1", "0,1"),
        ("-1", "-1"),
        ("", ""),
        ("all", "all"),
        ("/usr/local/cuda-12.4/lib64:/usr/lib/x86_64-linux-gnu",
         "/usr/local/cuda-12.4/lib64:/usr/lib/x86_64-linux-gnu"),
        ("/home/alice/secret-client/venv/lib/python3.11/site-packages/nvidia/cudnn/lib",
         "/home/user/folder/venv/lib/python3.11/site-packages/nvidia/cudnn/lib"),
        ("/scratch/acme/cuda/lib64/stubs", "/scratch/folder/cuda/lib64/stubs"),
        ('{"cluster": {"worker": ["node7.corp.example.com:2222", "10.1.2.3:2222", "gpu8:2222"]}}',
         '{"cluster": {"worker": ["host:2222", "host:2222", "host:2222"]}}'),
        ("--xla_dump_to=/data/acme/dump --xla_gpu_cuda_data_dir=/usr/local/cuda",
         "--xla_dump_to=/data/folder/folder --xla_gpu_cuda_data_dir=/usr/local/cuda"),
        ("alice@corp.example.com", "user@host"),
        ("fe80::1ff:fe23:4567:890a 0000:01:00.0 00:1a:2b:3c:4d:5e", "host 0000:01:00.0 hidden"),
        ("cuda>=12.4 brand=tesla,driver>=470,driver<471", "cuda>=12.4 brand=tesla,driver>=470,driver<471"),
    ],
)  # fmt: skip
def test_values_of_variables_keep_what_tells_of_the_fault(value: str, shown: str) -> None:
    assert value_of(value) == shown


def test_a_user_seen_in_one_place_is_gone_from_all() -> None:
    facts = facts_of(
        system={"variables": (Variable(name="LD_LIBRARY_PATH", value="/usr/local/lib-marigold:/tmp/marigold_1"),)},
        engine={"data_root": "/home/marigold/.local/share/docker"},
        driver={"libcuda": (CudaLibrary(path="/opt/marigold/lib/libcuda.so.1", version=unread(), kind="driver"),)},
    )
    text = json.dumps(encode(redacted(facts)))
    assert "marigold" not in text
    assert "/opt/user/lib/libcuda.so.1" in text
    assert "/usr/local/lib-user:/tmp/user_1" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/usr/bin/python3.11", "python3.11"),
        ("/home/alice/acme/train", "program"),
        ("python train.py --password=secret", "python"),
        ("/usr/lib/xorg/Xorg", "Xorg"),
        ("acme-fraud-model", "program"),
        ("", "program"),
    ],
)
def test_programs_are_named_where_everybody_has_them(name: str, shown: str) -> None:
    process = GpuProcess(process_id=1, kind="compute", memory_bytes=1, name=name)
    cleaned = redacted(facts_of(gpus=(gpu(processes=(process,)),)))
    assert not isinstance(cleaned.gpus, Unread)
    assert cleaned.gpus[0].processes == (GpuProcess(process_id=1, kind="compute", memory_bytes=1, name=shown),)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("NVRM: Xid (PCI:0000:01:00): 31, pid=71, name=acme-train, Ch 00000008",
         "NVRM: Xid (PCI:0000:01:00): 31, pid=71, name=program, Ch 00000008"),
        ("NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
         "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=program, GPU has fallen off the bus."),
        ("NVRM: GPU at PCI:0000:01:00: GPU-deadbeef-1111-4222-8333-444444444444",
         "NVRM: GPU at PCI:0000:01:00: GPU-00000002-0000-0000-0000-000000000000"),
        ("NVRM: GPU Board Serial Number: 1324620098765", "NVRM: GPU Board Serial Number: hidden"),
        ("task acme-train:123 blocked for more than 120 seconds.",
         "task program:123 blocked for more than 120 seconds."),
        ("task nv_queue:123 blocked for more than 120 seconds.",
         "task nv_queue:123 blocked for more than 120 seconds."),
        ('avc: denied { read } comm="acme" name="nvidiactl" dev="devtmpfs"',
         'avc: denied { read } comm="program" name="nvidiactl" dev="devtmpfs"'),
        ("nvidia: loading out-of-tree module taints kernel.", "nvidia: loading out-of-tree module taints kernel."),
        ("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03",
         "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03"),
        ("NVRM: RmInitAdapter failed! (0x62:0x55:2477)", "NVRM: RmInitAdapter failed! (0x62:0x55:2477)"),
    ],
)  # fmt: skip
def test_lines_of_the_kernels_log_keep_what_the_driver_said(text: str, shown: str) -> None:
    cleaned = redacted(facts_of(kernel_log=(event("xid", text),)))
    assert not isinstance(cleaned.kernel_log, Unread)
    assert cleaned.kernel_log[0].text == shown


def test_registries_of_a_company_are_numbered() -> None:
    names = ("*", "docker.io", "harbor.acme.example:5000", "nvcr.io", "registry.acme.example")
    cleaned = redacted(facts_of(engine={"registries": names}))
    assert cleaned.engine.registries == ("*", "docker.io", "registry-1", "nvcr.io", "registry-2")
    assert redacted(cleaned) == cleaned


def test_the_beginning_of_a_uuid_still_means_the_same_gpu() -> None:
    named = Variable(name="CUDA_VISIBLE_DEVICES", value="GPU-deadbeef")
    one, other = gpu(0), gpu(1, uuid="GPU-deadbeef-1111-4222-8333-444444444444")
    cleaned = redacted(facts_of(system={"variables": (named,)}, gpus=(one, other)))
    assert not isinstance(cleaned.gpus, Unread)
    assert cleaned.system.variables == (Variable(name="CUDA_VISIBLE_DEVICES", value=str(cleaned.gpus[1].uuid)),)


def test_the_boot_is_not_told() -> None:
    facts = facts_of()
    assert redacted(facts).system.boot_id != facts.system.boot_id


def test_redacting_twice_changes_nothing_more() -> None:
    once = redacted(facts_of())
    assert redacted(once) == once


HOST, DOMAIN, USER = "zq7rack", "lab.meadow.example", "marigold"
UUID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
SECRET = (
    HOST,
    f"{HOST}.{DOMAIN}",
    f"other.{DOMAIN}",
    f"/home/{USER}",
    f"/export/home/{USER}/.docker",
    f"/scratch/{USER}/lib",
    f"unix:///home/{USER}/docker.sock",
    f"ssh://{USER}@{HOST}",
    f"tcp://{HOST}.{DOMAIN}:2375",
    f"{USER}@{HOST}",
    "10.20.30.40",
    "tcp://[fd12:3456::789a]:2376",
    "fd12:3456::789a",
    f"GPU-{UUID}",
    f"MIG-{UUID}",
    UUID,
    UUID.upper(),
)
TOLD = (HOST, DOMAIN, USER, "10.20.30.40", "fd12:3456", UUID)
BETWEEN = (" ", ", ", " at ", ": ", "=", '"', "(", ")", "\n", ";")


@st.composite
def said(draw: st.DrawFn, between: tuple[str, ...] = BETWEEN) -> str:
    """Something written that holds what nobody shall see."""
    parts = draw(
        st.lists(st.sampled_from(SECRET) | st.sampled_from(["NVRM", "no such file", "0"]), min_size=1, max_size=4)
    )
    return "".join(part for secret in parts for part in (secret, draw(st.sampled_from(between))))


@st.composite
def telling_facts(draw: st.DrawFn) -> Facts:
    """Facts with such texts wherever people and programs write what they like."""
    paths = st.sampled_from(
        [f"/home/{USER}/lib", f"/scratch/{USER}/lib", f"/nfs/{HOST}/lib", f"/net/10.20.30.40/{UUID}"]
    )
    why = Unread(source=draw(said()), why=Why.FAILED, detail=draw(said()))
    spec = CdiSpec(
        path=f"{draw(paths)}/nvidia.yaml",
        devices=("0", f"GPU-{UUID}"),
        driver_version=why,
        missing=(f"{draw(paths)}/libcuda.so.1",),
        readable_by_all=True,
    )
    process = GpuProcess(process_id=1, kind="compute", memory_bytes=1, name=draw(paths) + "/train")
    return facts_of(
        system={
            "hostname": draw(st.sampled_from([HOST, f"{HOST}.{DOMAIN}"])),
            "boot_id": UUID,
            "variables": (
                Variable(name="TF_CONFIG", value=draw(said())),
                Variable(name="HOMES", value=f"/home/{USER}"),
            ),
            "programs": (f"{draw(paths)}/nvidia-smi",),
        },
        driver={"libcuda": (CudaLibrary(path=f"{draw(paths)}/libcuda.so.1", version=why, kind="stub"),)},
        engine={
            "host": f"tcp://{HOST}.{DOMAIN}:2375",
            "version": why,
            "data_root": draw(paths),
            "cdi_specs": (spec,),
            "cdi_spec_dirs": (draw(paths),),
            "registries": (f"{HOST}.{DOMAIN}:5000", "nvcr.io"),
            "enroot_hook": draw(paths),
        },
        kernel_log=(event("xid", draw(said())),),
        gpus=(gpu(uuid=f"GPU-{UUID}", processes=(process,), name=why),),
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(facts=telling_facts())
def test_no_uuid_host_name_home_or_address_survives(facts: Facts) -> None:
    hostname = facts.system.hostname
    assert isinstance(hostname, str)
    told = [name for name in TOLD if name != DOMAIN or DOMAIN in hostname]
    text = json.dumps(encode(redacted(facts)), ensure_ascii=False).lower()
    assert [name for name in told if name in text] == []


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=said(between=(" ", ", ", " at ", ": ", "\n")))
def test_what_was_said_is_redacted_once_and_for_all(text: str) -> None:
    once = redacted(facts_of(kernel_log=(event("xid", text),), python=Unread(source="x", why=Why.FAILED, detail=text)))
    assert json.dumps(encode(redacted(once))) == json.dumps(encode(once))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS)
def test_any_facts_can_be_redacted_and_read_back(facts: Facts) -> None:
    text = json.dumps(encode(redacted(facts)))  # no number that is none equals itself, but its text does
    assert json.dumps(encode(decode(Facts, json.loads(text)))) == text
