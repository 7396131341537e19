"""Files that two tools want in places of their own: each is a copy of one, and this makes and compares them."""

import textwrap

import settings

DEPLOY = settings.ROOT / "deploy"
CHART = DEPLOY / "helm/waitless/files"

RULE = """\
# The rules of alerts.yaml, for the Prometheus operator. Written by `deploy/validate/run --refresh`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: waitless
  labels: { app.kubernetes.io/name: waitless }
spec:
"""


def wanted() -> dict:
    """What each copy must hold."""
    alerts = (DEPLOY / "observability/alerts.yaml").read_text()
    rules = alerts[alerts.index("groups:") :]
    return {
        DEPLOY / "observability/prometheus-rule.yaml": RULE + textwrap.indent(rules, "  ", lambda line: line.strip()),
        CHART / "alerts.yaml": rules,
        CHART / "dashboard.json": (DEPLOY / "observability/dashboard.json").read_text(),
        CHART / "waitless.toml": (DEPLOY / "k8s/base/config/waitless.toml").read_text(),
        CHART / "orders-of-a-day.toml": (DEPLOY / "k8s/base/catalogue/orders-of-a-day.toml").read_text(),
    }


def refresh() -> None:
    for path, text in wanted().items():
        path.write_text(text)


def check() -> list[str]:
    return [
        f"{path.relative_to(settings.ROOT)} is no copy of what it should be: `deploy/validate/run --refresh`"
        for path, text in wanted().items()
        if not path.exists() or path.read_text() != text
    ]
