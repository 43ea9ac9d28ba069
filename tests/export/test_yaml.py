"""The spellings in YAML and JSON: read back, they hold what was asked for; their own tools and schemas take them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from gpudoctor.errors import InputError
from gpudoctor.export import compose, devcontainer, kubernetes, yaml_text
from gpudoctor.plan import CACHE_PATH, LaunchPlan, Mount
from tests.export import ODD, SOME, TEXT, UUIDS, plans
from tests.real.cannot import cannot
from tests.real.interpreters import cache_folder
from tests.real.packages import need_commands

VERSIONS_OF_KUBERNETES = ("1.27", "1.37")

DEVCONTAINER_CLI = "0.89.0"

# --- YAML itself ---

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), TEXT)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=9,
)


@given(document=st.dictionaries(TEXT, DOCUMENTS))
def test_yaml_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    text = yaml_text.dump(document)
    assert yaml.load(text, Loader=yaml.SafeLoader) == document
    if document:
        assert yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == document


# --- Compose ---


def unescaped(value: Any) -> Any:
    """As Compose reads it: two dollars are one, and a single one would begin a variable."""
    if isinstance(value, str):
        assert "$" not in value.replace("$$", "")
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: unescaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unescaped(inner) for inner in value]
    return value


def assert_service(plan: LaunchPlan, service: Mapping[str, Any]) -> None:
    assert service["image"] == plan.pinned_image
    assert tuple(service.get("command", ())) == plan.command
    assert service.get("environment", {}) == dict(plan.whole_environment)
    assert service.get("labels", {}) == dict(plan.labels)
    volumes = service.get("volumes", [])
    found = [
        Mount(source=one["source"], target=one["target"], read_only=one.get("read_only", False))
        for one in volumes
        if one["type"] == "bind"
    ]
    assert found == list(plan.folders)
    assert [one["target"] for one in volumes if one["type"] == "volume"] == [CACHE_PATH] * (plan.cache == "cuda-cache")
    devices = [] if plan.cpu_only else service["deploy"]["resources"]["reservations"]["devices"]
    if plan.cpu_only:
        assert "deploy" not in service
    elif plan.gpus is None:
        assert [one["count"] for one in devices] == ["all"]
    else:
        assert [tuple(one["device_ids"]) for one in devices] == [plan.gpus]
    assert all(one["capabilities"] == ["gpu"] and one["driver"] == "nvidia" for one in devices)
    assert service["ulimits"] == {"memlock": -1, "stack": 67108864}


@given(plan=plans())
@example(plan=ODD)
def test_a_compose_file_holds_what_was_asked_for(plan: LaunchPlan) -> None:
    document = unescaped(yaml.safe_load(compose.spell(plan, "a title\nof two lines").text))
    assert_service(plan, document["services"]["tensorflow"])


def composed(text: str) -> dict[str, Any]:
    """What `docker-compose config` makes of it; variables of the shell's are set to what must not be put in."""
    command = need_commands("docker-compose")["docker-compose"]
    done = subprocess.run(
        (str(command), "-f", "-", "config", "--no-interpolate"),
        input=text.encode(),
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "A": "put in"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    document: dict[str, Any] = yaml.safe_load(done.stdout)
    return document


# It reads these as any other letter; what it prints of them is read as a line break, by itself too.
LINE_BREAKS_OF_YAML = ("\x85", "\u2028", "\u2029")


def printed_by_compose(plan: LaunchPlan) -> bool:
    texts = [*plan.command, *(value or "" for _, value in plan.environment), *(text for _, text in plan.labels)]
    paths = [path for one in plan.mounts for path in (one.source, one.target)]
    return not any(letter in text for text in (*texts, *paths) for letter in LINE_BREAKS_OF_YAML)


ODD_FOR_COMPOSE = replace(
    ODD, command=tuple(one for one in ODD.command if one not in LINE_BREAKS_OF_YAML), environment=(), labels=()
)


# docker-compose takes a second to start: what fails is shown as it was found.
@settings(max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(plan=plans().filter(printed_by_compose))
@example(plan=ODD_FOR_COMPOSE)
def test_docker_compose_takes_any_plan(plan: LaunchPlan) -> None:
    document = unescaped(composed(compose.spell(plan, "").text))
    service = document["services"]["tensorflow"]
    assert tuple(service["command"]) == plan.command
    assert service.get("environment", {}) == dict(plan.whole_environment)


def test_docker_compose_takes_everything_at_once() -> None:
    document = composed(compose.spell(SOME, "").text)
    service = unescaped(document["services"]["train-1"])
    assert_service(SOME, service)
    assert service["user"] == "1000:1000"
    assert service["working_dir"] == "/work dir"
    assert service["container_name"] == "train-1"
    assert service["shm_size"] == f"{8 << 30}b"
    assert service["ports"] == ["127.0.0.1:8888:8888/tcp", {"protocol": "udp", "published": 53, "target": 53}]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_docker_compose_takes_a_volume_for_the_cache() -> None:
    document = composed(compose.spell(replace(SOME, user="", cache="cuda-cache", host_ipc=True), "").text)
    assert document["volumes"] == {"cuda-cache": {"name": "cuda-cache"}}
    assert document["services"]["train-1"]["ipc"] == "host"


def test_docker_compose_puts_no_variable_in() -> None:
    plan = LaunchPlan(image=SOME.image, command=("echo", "$A ${A} $$A"), gpus=None, environment=(("B", "$A"),))
    command = need_commands("docker-compose")["docker-compose"]
    done = subprocess.run(
        (str(command), "-f", "-", "config"),
        input=compose.spell(plan, "").text.encode(),
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "A": "put in"},
        check=True,
    )
    # What it prints is escaped again, to be read by itself.
    service = unescaped(yaml.safe_load(done.stdout))["services"]["tensorflow"]
    assert (service["command"], service["environment"]) == (["echo", "$A ${A} $$A"], {"B": "$A"})


# --- Kubernetes ---


def expanded(text: str) -> str:
    """By Kubernetes' rule: $(NAME) is a variable, two dollars are one, any other stays.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/ (2026-11)
    """
    letters, found = iter(text), []
    for letter in letters:
        following = next(letters, "") if letter == "$" else ""
        assert following != "(", "a variable"
        found.append("$" if following == "$" else letter + following)
    return "".join(found)


def documents(text: str) -> list[dict[str, Any]]:
    found = list(yaml.safe_load_all(text))
    for one in found:
        for version in VERSIONS_OF_KUBERNETES:
            kubernetes_validate.validate(one, version, strict=True)
    return found


@settings(max_examples=50)
@given(plan=plans())
@example(plan=ODD)
def test_a_job_holds_what_was_asked_for_and_keeps_to_the_schema(plan: LaunchPlan) -> None:
    job, *others = documents(kubernetes.spell(plan, "a title\nof two lines").text)
    assert [one["kind"] for one in others] == ["PersistentVolumeClaim"] * (plan.cache == "cuda-cache")
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == plan.pinned_image
    assert tuple(expanded(word) for word in container["args"]) == plan.command
    variables = container.get("env", [])
    assert {one["name"]: expanded(one["value"]) for one in variables if "value" in one} == {
        name: value for name, value in plan.whole_environment if value is not None
    }
    by_name = [one["valueFrom"]["secretKeyRef"] for one in variables if "value" not in one]
    assert by_name == [
        {"name": "tensorflow-environment", "key": name} for name, value in plan.environment if value is None
    ]
    assert job["metadata"].get("annotations", {}) == dict(plan.labels)
    paths = {one["name"]: one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one}
    found = [
        Mount(source=paths[one["name"]], target=one["mountPath"], read_only=one["readOnly"])
        for one in container["volumeMounts"]
        if one["name"] in paths
    ]
    assert found == list(plan.folders)
    limits = container.get("resources", {}).get("limits")
    assert limits == (None if plan.cpu_only else {"nvidia.com/gpu": plan.gpu_count})


def test_a_job_has_shared_memory_in_memory_and_the_users_numbers() -> None:
    (job,) = documents(kubernetes.spell(SOME, "").text)
    spec = job["spec"]["template"]["spec"]
    assert spec["volumes"][0] == {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8192Mi"}}
    assert spec["containers"][0]["volumeMounts"][0] == {"name": "shm", "mountPath": "/dev/shm"}
    assert spec["securityContext"] == {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
    assert spec["containers"][0]["ports"][1] == {"containerPort": 53, "protocol": "UDP"}
    assert spec["restartPolicy"] == "Never"


@pytest.mark.parametrize(
    ("wish", "said"),
    [({"user": "alice"}, "users by number"), ({"name": "-"}, "--name -"), ({"cache": "a..b-"}, "--cache")],
)
def test_what_kubernetes_does_not_take_is_refused(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        kubernetes.spell(replace(SOME, **{"user": "", **wish}), "")


def test_the_schema_is_one_that_refuses() -> None:
    (job,) = documents(kubernetes.spell(SOME, "").text)
    job["spec"]["template"]["spec"]["containers"][0]["arguments"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSIONS_OF_KUBERNETES[0], strict=True)


# --- devcontainer.json ---


@given(plan=plans())
@example(plan=ODD)
def test_a_devcontainer_holds_what_was_asked_for(plan: LaunchPlan) -> None:
    document = json.loads(devcontainer.spell(plan, "").text)
    assert document["image"] == plan.pinned_image
    assert tuple(document["postStartCommand"]) == plan.command
    wanted = {name: f"${{localEnv:{name}}}" if value is None else value for name, value in plan.whole_environment}
    assert document.get("containerEnv", {}) == wanted
    words = document["runArgs"]
    gpus = words[words.index("--gpus") + 1] if "--gpus" in words else None
    assert gpus == ("all" if plan.gpus is None else f'"device={",".join(plan.gpus)}"' if plan.gpus else None)
    assert len(document.get("mounts", [])) == len(plan.folders) + (plan.cache == "cuda-cache")


@pytest.mark.parametrize(
    "text",
    ["${localEnv:HOME}", "a ${localWorkspaceFolder}/b", "${containerEnv:PATH:x}", "${devcontainerId}", "${env:A}"],
)
def test_a_value_that_a_devcontainer_would_change_is_refused(text: str) -> None:
    for wish in ({"command": ("echo", text)}, {"environment": (("A", text),)}, {"labels": (("a", text),)}):
        with pytest.raises(InputError, match="no way to say"):
            devcontainer.spell(replace(SOME, **wish), "")


def devcontainer_cli() -> Path:
    """The `devcontainer` command by those who wrote the specification, from npm; kept in the cache."""
    folder = cache_folder() / f"devcontainer-cli-{DEVCONTAINER_CLI}"
    program = folder / "node_modules/.bin/devcontainer"
    if not program.exists():
        npm = need_commands("npm")["npm"]
        command = (str(npm), "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts")
        done = subprocess.run((*command, f"@devcontainers/cli@{DEVCONTAINER_CLI}"), capture_output=True, text=True)
        if done.returncode != 0:
            cannot(f"npm cannot install @devcontainers/cli: {done.stderr.strip()[-200:]}")
    return program


def test_the_devcontainer_command_reads_it_and_puts_only_named_variables_in(tmp_path: Path) -> None:
    file = tmp_path / ".devcontainer" / "devcontainer.json"
    file.parent.mkdir()
    odd = ("echo", "it's", '"', "$HOME", "${HOME}", "a\nb", "\\", "日本", "", "\x07")
    plan = replace(SOME, command=odd, environment=(("A", "${HOME} $A"), ("TOKEN", None)), gpus=UUIDS, workdir="")
    file.write_text(devcontainer.spell(plan, "").text, encoding="utf-8")
    # It asks the engine for a container of that folder, and there is none.
    no_engine = tmp_path / "docker"
    no_engine.write_text("#!/bin/sh\nexit 0\n")
    no_engine.chmod(0o755)
    command = (str(devcontainer_cli()), "read-configuration", "--workspace-folder", str(tmp_path))
    done = subprocess.run(
        (*command, "--docker-path", str(no_engine)),
        capture_output=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TOKEN": "from outside", "A": "put in"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)["configuration"]
    assert tuple(found["postStartCommand"]) == odd
    assert found["containerEnv"] == {"A": "${HOME} $A", "TOKEN": "from outside"}
    assert f'"device={",".join(UUIDS)}"' in found["runArgs"]
