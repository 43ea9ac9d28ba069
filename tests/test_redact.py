"""Redacted facts name nobody, and are judged as before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from gpudoctor.document import decode, encode
from gpudoctor.facts import Facts, MigDevice
from gpudoctor.readings import Unread, Why
from gpudoctor.redact import redacted
from tests import strategies_of_facts as strategies
from tests.fakes import engine_unread, facts_of, gpu, results

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


def test_redacting_twice_changes_nothing_more() -> None:
    once = redacted(facts_of())
    assert redacted(once) == once


@settings(max_examples=150, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS)
def test_any_facts_can_be_redacted_and_read_back(facts: Facts) -> None:
    assert decode(Facts, json.loads(json.dumps(encode(redacted(facts))))) == redacted(facts)
