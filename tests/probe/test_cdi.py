"""CDI specs, in JSON and YAML, true and false."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.facts import CdiSpec
from gpudoctor.probe import cdi
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import DriverVersion
from tests.users import as_nobody

# As nvidia-ctk 1.17 writes it for two GPUs, shortened.
GENERATED = """\
---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
    - path: /dev/nvidia-uvm
    - path: /dev/nvidiactl
  env:
    - NVIDIA_VISIBLE_DEVICES=void
  hooks:
    - args: [nvidia-cdi-hook, update-ldcache, --folder, /usr/lib/x86_64-linux-gnu]
      hookName: createContainer
      path: /usr/bin/nvidia-cdi-hook
  mounts:
    - containerPath: /usr/bin/nvidia-smi
      hostPath: /usr/bin/nvidia-smi
      options: [ro, nosuid, nodev, bind]
    - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03
      hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03
      options: [ro, nosuid, nodev, bind]
devices:
  - containerEdits:
      deviceNodes:
        - path: /dev/nvidia0
    name: "0"
  - containerEdits:
      deviceNodes:
        - path: /dev/nvidia1
    name: "1"
  - containerEdits:
      deviceNodes:
        - path: /dev/nvidia0
        - path: /dev/nvidia1
    name: all
kind: nvidia.com/gpu
"""
MOUNTED = ("usr/bin/nvidia-smi", "usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03")
NODES = ("dev/nvidia-uvm", "dev/nvidiactl", "dev/nvidia0", "dev/nvidia1")


def world(root: Path) -> World:
    """A machine below the folder."""
    return World(root=root, environ={}, deadline=time.monotonic() + 20)


def unread(reading: object) -> Unread:
    """The reading, which has no value."""
    assert isinstance(reading, Unread), reading
    return reading


def lay_out(root: Path, files: Mapping[str, str]) -> None:
    """The files below the root, and all that the generated spec wants."""
    for name in (*MOUNTED, *NODES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name in NODES:
            (root / name).symlink_to("/dev/null")  # as test machines play a device node
        else:
            (root / name).touch()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def specs(root: Path, *folders: str) -> tuple[CdiSpec, ...]:
    """What is found in these folders."""
    found = cdi.probe(world(root), folders)
    assert not isinstance(found, Unread)
    return found


SOUND = CdiSpec(
    path="/etc/cdi/nvidia.yaml",
    devices=("0", "1", "all"),
    driver_version=DriverVersion("535.129.03"),
    missing=(),
    readable_by_all=True,
)


def test_a_sound_spec_is_read_whole(tmp_path: Path) -> None:
    lay_out(tmp_path, {"etc/cdi/nvidia.yaml": GENERATED})
    assert specs(tmp_path) == (SOUND,)


def test_json_says_the_same(tmp_path: Path) -> None:
    lay_out(tmp_path, {"var/run/cdi/nvidia.json": json.dumps(yaml.safe_load(GENERATED))})
    (found,) = specs(tmp_path)
    assert (found.path, found.devices) == ("/var/run/cdi/nvidia.json", SOUND.devices)
    assert (found.driver_version, found.missing) == (SOUND.driver_version, ())


def test_what_is_gone_from_the_host_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, {"etc/cdi/nvidia.yaml": GENERATED})
    (tmp_path / "dev/nvidia1").unlink()
    (tmp_path / MOUNTED[1]).unlink()
    (found,) = specs(tmp_path)
    assert found.missing == ("/dev/nvidia1", "/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03")
    assert found.driver_version == DriverVersion("535.129.03")


def test_a_device_node_is_looked_for_on_the_host_and_a_mounts_links_are_followed_there(tmp_path: Path) -> None:
    edits = {
        "deviceNodes": [{"path": "/dev/inside", "hostPath": "/dev/nvidiactl"}, {"path": "/dev/nvidia7"}],
        "mounts": [{"hostPath": "/opt/driver/libnvidia-ml.so.580.95.05", "containerPath": "/x"}],
    }
    document = {"kind": "nvidia.com/gpu", "devices": [{"name": "0"}], "containerEdits": edits}
    lay_out(tmp_path, {"etc/cdi/a.json": json.dumps(document), "real/libnvidia-ml.so.580.95.05": ""})
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/driver").symlink_to("/real")
    (found,) = specs(tmp_path)
    assert (found.missing, found.driver_version) == (("/dev/nvidia7",), DriverVersion("580.95.05"))


def test_at_most_twenty_missing_paths_are_named(tmp_path: Path) -> None:
    nodes = [{"path": f"/dev/nvidia{number}"} for number in range(100)]
    document = {"kind": "nvidia.com/gpu", "devices": [], "containerEdits": {"deviceNodes": nodes}}
    (tmp_path / "etc/cdi").mkdir(parents=True)
    (tmp_path / "etc/cdi/nvidia.json").write_text(json.dumps(document))
    (found,) = specs(tmp_path)
    assert not isinstance(found.missing, Unread)
    assert len(found.missing) == 20


def test_what_cannot_be_looked_at_is_not_called_missing_nor_there(public_folder: Path) -> None:
    edits = {"mounts": [{"hostPath": "/closed/libcuda.so.535.129.03", "containerPath": "/x"}]}
    document = {"kind": "nvidia.com/gpu", "devices": [], "containerEdits": edits}
    lay_out(public_folder, {"etc/cdi/nvidia.json": json.dumps(document), "closed/libcuda.so.535.129.03": ""})
    (public_folder / "closed").chmod(0)
    with as_nobody():
        (found,) = specs(public_folder)
    assert unread(found.missing).why is Why.FORBIDDEN


def test_other_vendors_and_other_classes_are_left_out(tmp_path: Path) -> None:
    files = {
        "etc/cdi/amd.yaml": GENERATED.replace("nvidia.com/gpu", "amd.com/gpu"),
        "etc/cdi/nvidia-management.yaml": GENERATED.replace("nvidia.com/gpu", "management.nvidia.com/gpu"),
        "etc/cdi/broken.yaml": "a: [",
        "etc/cdi/nvidia.yaml.bak": GENERATED,
        "etc/cdi/notes.txt": GENERATED,
    }
    lay_out(tmp_path, files)
    assert specs(tmp_path) == ()


@pytest.mark.parametrize(
    ("name", "text", "why", "detail"),
    [
        ("nvidia.yaml", "a: b: c\n", Why.GARBLED, "line 1: not YAML"),
        ("gpus.json", '{"kind": "nvidia.com/gpu"', Why.GARBLED, "line 1: no JSON"),
        ("nvidia.yaml", "kind: &k nvidia.com/gpu\ndevices: [*k]\n", Why.UNSUPPORTED, "line 2: more than plain YAML"),
        ("nvidia.yaml", "kind: nvidia.com/gpu\ndevices:\n- name: []\n", Why.GARBLED, "devices[0].name: expected text"),
        ("nvidia.yaml", "kind: nvidia.com/gpu\ndevices:\n- {}\n", Why.GARBLED, "devices[0].name: missing"),
        ("nvidia.yaml", "kind: nvidia.com/gpu\ndevices: 7\n", Why.GARBLED, "devices: expected a list"),
        ("a.json", '{"kind": "nvidia.com/gpu", "devices": [7]}', Why.GARBLED, "devices[0]: expected a mapping"),
        (
            "a.json",
            '{"kind": "nvidia.com/gpu", "containerEdits": {"mounts": ["/x"]}}',
            Why.GARBLED,
            "containerEdits.mounts[0]: expected a mapping",
        ),
        ("nvidia.yaml", "- 1\n", Why.GARBLED, "expected a mapping, found a list"),
    ],
)
def test_a_broken_spec_of_nvidias_is_a_spec_without_values(
    tmp_path: Path, name: str, text: str, why: Why, detail: str
) -> None:
    lay_out(tmp_path, {f"etc/cdi/{name}": text})
    (found,) = specs(tmp_path)
    for reading in (found.devices, found.driver_version, found.missing):
        assert (unread(reading).why, unread(reading).source) == (why, f"/etc/cdi/{name}")
        assert unread(reading).detail.startswith(detail)
    assert found.readable_by_all is True


def test_a_device_named_by_a_number_is_called_as_engines_call_it(tmp_path: Path) -> None:
    """podman 4.3 resolves nvidia.com/gpu=0 by such a spec."""
    lay_out(tmp_path, {"etc/cdi/nvidia.yaml": GENERATED.replace('name: "0"', "name: 0")})
    assert [spec.devices for spec in specs(tmp_path)] == [("0", "1", "all")]


def test_a_spec_without_a_drivers_library_tells_no_version(tmp_path: Path) -> None:
    lay_out(tmp_path, {"etc/cdi/nvidia.yaml": GENERATED.replace("libcuda.so.535.129.03", "libcuda.so.1")})
    (found,) = specs(tmp_path)
    assert unread(found.driver_version).why is Why.ABSENT


def test_who_may_read_a_spec_is_seen(tmp_path: Path) -> None:
    lay_out(tmp_path, {"etc/cdi/nvidia.yaml": GENERATED})
    (tmp_path / "etc/cdi/nvidia.yaml").chmod(0o600)
    assert [spec.readable_by_all for spec in specs(tmp_path)] == [False]
    (tmp_path / "etc/cdi/nvidia.yaml").chmod(0o644)
    (tmp_path / "etc/cdi").chmod(0o700)
    assert [spec.readable_by_all for spec in specs(tmp_path)] == [False]


def test_a_spec_that_this_user_may_not_read_is_forbidden(public_folder: Path) -> None:
    lay_out(public_folder, {"etc/cdi/nvidia.yaml": GENERATED, "etc/cdi/amd.yaml": GENERATED})
    for name in ("nvidia", "amd"):
        (public_folder / f"etc/cdi/{name}.yaml").chmod(0o600)
    with as_nobody():
        (found,) = specs(public_folder)
    assert (unread(found.devices).why, found.readable_by_all) == (Why.FORBIDDEN, False)


# --- Where ---


def test_the_engines_folders_come_instead_of_the_usual_ones(tmp_path: Path) -> None:
    lay_out(tmp_path, {"etc/cdi/nvidia.yaml": GENERATED, "opt/cdi/nvidia.yaml": GENERATED})
    assert [spec.path for spec in specs(tmp_path, "/opt/cdi/")] == ["/opt/cdi/nvidia.yaml"]
    assert [spec.path for spec in specs(tmp_path)] == ["/etc/cdi/nvidia.yaml"]
    assert [spec.path for spec in specs(tmp_path, "")] == ["/etc/cdi/nvidia.yaml"]


def test_one_folder_with_two_names_is_read_once(tmp_path: Path) -> None:
    lay_out(tmp_path, {"run/cdi/nvidia.yaml": GENERATED})
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    assert [spec.path for spec in specs(tmp_path, "/run/cdi", "/var/run/cdi")] == ["/run/cdi/nvidia.yaml"]


def test_no_folder_is_no_spec_and_a_closed_one_is_a_reason(public_folder: Path) -> None:
    assert specs(public_folder) == ()
    lay_out(public_folder, {"etc/cdi/nvidia.yaml": GENERATED})
    (public_folder / "etc/cdi").chmod(0)
    with as_nobody():
        assert unread(cdi.probe(world(public_folder), ())).why is Why.FORBIDDEN


# --- Whatever stands there ---

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["/dev/null", "/x/libcuda.so.5.1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "path", "hostPath", "containerPath", "containerEdits", "deviceNodes", "mounts", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    text=st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(["devices", "containerEdits"]), ANYTHING).map(
        lambda rest: json.dumps({"kind": "nvidia.com/gpu", **rest}).encode()
    ),
    name=st.sampled_from(["nvidia.json", "nvidia.yaml", "x.json", "x.yaml"]),
)
def test_any_spec_is_read_or_refused(text: bytes, name: str) -> None:
    found = cdi.parse(text, name)
    assert found is None or isinstance(found, (Unread, cdi.Spec))
    if isinstance(found, Unread):
        assert found.detail.isprintable()


@pytest.mark.parametrize("name", ["nvidia.json", "nvidia.yaml"])
def test_sixteen_gpus_cut_into_instances_take_no_time(tmp_path: Path, name: str) -> None:
    document: dict[str, Any] = yaml.safe_load(GENERATED)
    document["devices"] = [
        {
            "name": f"{gpu}:{instance}",
            "containerEdits": {"deviceNodes": [{"path": f"/dev/nvidia{gpu}"} for _ in range(6)]},
        }
        for gpu in range(16)
        for instance in range(7)
    ]
    text = json.dumps(document) if name.endswith("json") else yaml.safe_dump(document)
    lay_out(tmp_path, {f"etc/cdi/{name}": text})
    begun = time.monotonic()
    (found,) = specs(tmp_path)
    assert time.monotonic() - begun < 1
    assert not isinstance(found.devices, Unread)
    assert len(found.devices) == 112
