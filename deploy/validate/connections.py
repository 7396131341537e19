"""The arithmetic of database connections: at the greatest number of pods, all of them fit."""

import re

import settings

# Of a server: three for its superuser, the rest for its operator, standbys, backups, metrics and a person who looks.
KEPT = 15
# Beside the pool, a worker's heartbeat has a session of its own.
HEARTBEAT = 1


def most_pods(item: dict, scaled: list[dict]) -> int:
    """With the autoscaler at its end, and one more while it is rolled out."""
    name = item["metadata"]["name"]
    of = [other["spec"] for other in scaled if other["spec"]["scaleTargetRef"]["name"] == name]
    most = of[0].get("maxReplicaCount", of[0].get("maxReplicas")) if of else item["spec"].get("replicas", 1)
    surge = item["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 1)
    return most + surge


def needed(manifests, environment) -> tuple[int, int]:
    """Connections to the service's own database, and to a source where that is the same server."""
    scaled = list(manifests.by_kind["ScaledObject"].values()) + list(manifests.by_kind["HorizontalPodAutoscaler"].values())
    own, sources = 0, 0
    for item in manifests.by_kind["Deployment"].values():
        labels = item["metadata"].get("labels", {})
        if labels.get("app.kubernetes.io/name") != "waitless":
            continue
        variables = environment(item["spec"]["template"]["spec"])
        pods, worker = most_pods(item, scaled), labels["app.kubernetes.io/component"] == "report-worker"
        own += pods * (int(variables["WAITLESS_DATABASE__POOL"]) + (HEARTBEAT if worker else 0))
        sources += pods * int(variables["WAITLESS_WORKER__CONCURRENCY"]) if worker else 0
    for item in manifests.by_kind["ScaledJob"].values():
        variables = environment(item["spec"]["jobTargetRef"]["template"]["spec"])
        own += item["spec"]["maxReplicaCount"] * (int(variables["WAITLESS_DATABASE__POOL"]) + HEARTBEAT)
    jobs = [item for item in manifests.by_kind["Job"].values() if item["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "waitless"]
    return own + len(jobs), sources


def documented() -> tuple[int, int]:
    """What docs/OPERATIONS.md says: all connections, and of how many."""
    page = (settings.ROOT / "docs/OPERATIONS.md").read_text()
    return int(re.search(r"\| \*\*all\*\* \| \| \| \*\*(\d+)\*\* \|", page)[1]), int(re.search(r"of the (\d+) \(`max_connections`\)", page)[1])


def check(manifests, environment) -> list[str]:
    own, sources = needed(manifests, environment)
    if "report-worker-bulk" in manifests.by_kind["Deployment"] and own != documented()[0]:
        return [f"up to {own} connections, and docs/OPERATIONS.md says {documented()[0]}"]
    for item in manifests.by_kind["Cluster"].values():
        most = int(item["spec"]["postgresql"]["parameters"]["max_connections"])
        if most != documented()[1]:
            return [f"{item['metadata']['name']} has {most} connections, and docs/OPERATIONS.md says {documented()[1]}"]
        if own + KEPT > most:
            return [f"up to {own} connections and {KEPT} to be kept are more than the {most} of {item['metadata']['name']}"]
    postgres = manifests.by_kind["StatefulSet"].get("postgres")
    if postgres:
        arguments = " ".join(postgres["spec"]["template"]["spec"]["containers"][0].get("args", []))
        found = re.search(r"max_connections=(\d+)", arguments)
        most = int(found[1]) if found else 100
        if own + sources + KEPT > most:
            return [f"up to {own} connections, {sources} of reports and {KEPT} to be kept are more than the {most} of postgres"]
    return []
