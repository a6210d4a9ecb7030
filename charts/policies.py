"""Generates the chart's policies of the store identities, which SeaweedFS reads."""

import json

from charts.readme import CHART
from skyclass.admin.identities import Role, make_policy
from skyclass.settings import Settings

POLICIES = CHART / "files/policies.json"


def generate_policies() -> str:
    """Return the policies by identity as JSON: a template, in which the buckets are values."""
    settings = Settings.model_construct(
        data_bucket=_refer_to("data"),
        models_bucket=_refer_to("models"),
        logs_bucket=_refer_to("logs"),
        reports_bucket=_refer_to("reports"),
    )
    policies = {str(role): make_policy(role, settings) for role in Role}
    return json.dumps(policies, indent=1) + "\n"


def _refer_to(bucket: str) -> str:
    return f"{{{{ .Values.objectStore.buckets.{bucket} }}}}"
