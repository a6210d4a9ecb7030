"""Generates the chart's policies of the store identities, which SeaweedFS reads."""

import json
from pathlib import Path

from charts.readme import CHART
from skyclass.admin.identities import Role, make_policy
from skyclass.settings import Settings

POLICIES: Path = CHART / "files/policies.json"


def generate_policies() -> str:
    """Return the policies by identity as JSON: a template, in which the buckets are values."""
    names = {
        f"{bucket}_bucket": f"{{{{ .Values.objectStore.buckets.{bucket} }}}}"
        for bucket in ("data", "models", "logs", "reports")
    }
    settings = Settings.model_construct(None, **names)
    policies = {str(role): make_policy(role, settings) for role in Role}
    return json.dumps(policies, indent=1) + "\n"
