"""What `check --format prometheus --output` writes is taken up by node_exporter's own textfile collector."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import prometheus_client.parser
import pytest

from tests import golden
from tests.real.packages import need_commands
from tests.real.processes import stop

START_SECONDS = 30.0


class Collector(NamedTuple):
    """A node_exporter with nothing but its textfile collector."""

    folder: Path
    address: str

    def scrape(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample that Prometheus would get."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        families = prometheus_client.parser.text_string_to_metric_families(text)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    program = need_commands("prometheus-node-exporter")["prometheus-node-exporter"]
    folder = tmp_path_factory.mktemp("textfile")
    log = tmp_path_factory.mktemp("log") / "node_exporter.log"
    with log.open("wb") as file, socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        arguments = (
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={folder}",
            f"--web.listen-address={address}",
        )
        process = subprocess.Popen((str(program), *arguments), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    running = Collector(folder=folder, address=address)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                running.scrape()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield running
    finally:
        stop(process, timeout_seconds=5)


def write(machine: str, folder: Path) -> None:
    """One run as cron would start it."""
    facts = golden.FOLDER / f"machines/{machine}.json"
    asked = ("check", "--facts", str(facts), "--format", "prometheus", "--output", str(folder / "gpudoctor.prom"))
    done = subprocess.run((sys.executable, "-m", "gpudoctor", *asked), capture_output=True, timeout=60, check=False)
    assert (done.returncode in (0, 1), done.stdout, done.stderr) == (True, b"", b"")


def test_the_collector_takes_up_every_run_and_forgets_the_one_before(collector: Collector) -> None:
    error = ("node_textfile_scrape_error", ())
    failed = ("gpudoctor_outcome", (("outcome", "failed"),))
    for machine, has_failed in (("a100-450", 0), ("driver-library-mismatch", 1), ("gpu-power-brake", 0)):
        write(machine, collector.folder)
        samples = collector.scrape()
        assert (samples[error], samples[failed]) == (0, has_failed), machine
        found = {dict(labels)["check"] for name, labels in samples if name == "gpudoctor_finding"}
        if machine == "a100-450":
            assert found == set()
        else:
            assert machine in found
        written = (collector.folder / "gpudoctor.prom").read_text(encoding="utf-8")
        names = set(re.findall(r"^(gpudoctor_\w+)", written, re.MULTILINE))
        assert {name for name, _ in samples if name.startswith("gpudoctor_")} == names
