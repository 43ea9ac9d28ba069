"""gpudoctor probe: the facts as JSON."""

from __future__ import annotations

from pathlib import Path

import click

from gpudoctor import exit_codes
from gpudoctor.cli import options
from gpudoctor.document import schema
from gpudoctor.facts import Facts
from gpudoctor.readings import Unread
from gpudoctor.redact import redacted
from gpudoctor.render import to_json


@click.command(epilog="Example: gpudoctor probe --redact > host.json; gpudoctor check --facts host.json")
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON Schema of the facts instead.")
@click.option("--redact", is_flag=True, help="Hide names, addresses and serial numbers.")
@options.source_options
def command(print_schema: bool, redact: bool, facts_path: str | None, host_root: Path, timeout_seconds: float) -> int:
    """Print the facts of this machine as JSON, for `--facts` on any other.

    Exit code: 0, or 3 when driver and GPUs could not be read.
    """
    if print_schema:
        document = schema(Facts)
        document["properties"]["schema"] = {"const": to_json.FACTS_SCHEMA}
        document["properties"]["version"] = {"type": "string"}
        document["required"] += ["schema", "version"]
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": to_json.FACTS_SCHEMA}
        click.echo(to_json.dumps({**head, **document}))
        return exit_codes.WELL
    facts = options.probe_facts(facts_path, host_root, timeout_seconds)
    click.echo(to_json.dumps(to_json.facts(redacted(facts) if redact else facts)))
    return exit_codes.COULD_NOT_LOOK if _blind(facts) else exit_codes.WELL


def _blind(facts: Facts) -> bool:
    """Neither NVML nor the PCI bus could be read; a bus without NVIDIA GPUs is an answer."""
    system = facts.system
    off_the_bus = system.wsl or system.jetson
    no_gpu = not isinstance(facts.pci_gpus, Unread) and not facts.pci_gpus and not off_the_bus
    return isinstance(facts.gpus, Unread) and not no_gpu
