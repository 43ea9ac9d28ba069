"""One check's answer to one GPU, and to a site that thinks otherwise."""

from __future__ import annotations

from typing import Any

from gpudoctor import checks, health_policy
from gpudoctor.facts import Facts
from gpudoctor.findings import CheckResult
from tests.fakes import answer, data_center_gpu, facts_of, gpu, shipped_matrix, shipped_policy


def of_data_center_gpu(check: str, **changed: Any) -> CheckResult:
    """Of a machine with one H100, healthy but for what is named."""
    return answer(check, facts_of(gpus=(data_center_gpu(**changed),)))


def of_geforce(check: str, **changed: Any) -> CheckResult:
    """Of a workstation with one RTX 3090, healthy but for what is named."""
    return answer(check, facts_of(gpus=(gpu(**changed),)))


def under(policy: str, check: str, facts: Facts) -> CheckResult:
    """What the check says where a site's file changes the policy."""
    changed = health_policy.parse(policy.encode(), "site.yaml", over=shipped_policy())
    case = checks.Case(facts=facts, matrix=shipped_matrix(), policy=changed, engine_asked=False)
    (result,) = (one for one in checks.run(case) if one.check == check)
    return result
