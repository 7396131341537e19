"""Objects of operators: their documented fields, as far as ours use them.

Their schemas are not in any registry that a build reaches, so that these tables are written by hand: CloudNativePG 1.25 (`postgresql.cnpg.io/v1`),
RabbitMQ's cluster operator 2.12 (`rabbitmq.com/v1beta1`), the Prometheus operator (`monitoring.coreos.com/v1`). A table names every field of an object
that we may use, down to where a plain value, a Kubernetes object or free text begins (`...`); `[…]` is a list.
"""

SPREAD = [{"maxSkew": ..., "topologyKey": ..., "whenUnsatisfiable": ..., "labelSelector": ...}]
SECRET = {"name": ...}
NAMED = [{"name": ..., "securityContext": ...}]
TABLES = {
    ("postgresql.cnpg.io/v1", "Cluster"): {
        "instances": ...,
        "imageName": ...,
        "postgresql": {"synchronous": {"method": ..., "number": ..., "dataDurability": ...}, "parameters": ...},
        "bootstrap": {"initdb": {"database": ..., "owner": ..., "secret": SECRET}},
        "storage": {"size": ..., "storageClass": ...},
        "walStorage": {"size": ..., "storageClass": ...},
        "affinity": {"enablePodAntiAffinity": ..., "podAntiAffinityType": ..., "topologyKey": ...},
        "topologySpreadConstraints": SPREAD,
        "resources": ...,
    },
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"): {
        "replicas": ...,
        "image": ...,
        "secretBackend": {"externalSecret": SECRET},
        "tls": {"secretName": ..., "caSecretName": ..., "disableNonTLSListeners": ...},
        "persistence": {"storage": ..., "storageClassName": ...},
        "resources": ...,
        "rabbitmq": {"additionalConfig": ..., "additionalPlugins": ...},
        "affinity": {"podAntiAffinity": ...},
        "override": {"statefulSet": {"spec": {"template": {"spec": {"securityContext": ..., "initContainers": NAMED, "containers": NAMED, "topologySpreadConstraints": SPREAD}}}}},
    },
    ("monitoring.coreos.com/v1", "PodMonitor"): {
        "jobLabel": ...,
        "podTargetLabels": ...,
        "selector": {"matchLabels": ..., "matchExpressions": ...},
        "podMetricsEndpoints": [{"port": ..., "path": ..., "interval": ...}],
    },
    ("monitoring.coreos.com/v1", "PrometheusRule"): {
        "groups": [{"name": ..., "interval": ..., "rules": [{"alert": ..., "record": ..., "expr": ..., "for": ..., "labels": ..., "annotations": ...}]}],
    },
}
GROUPS = ("keda.sh", "postgresql.cnpg.io", "rabbitmq.com", "monitoring.coreos.com")


def is_custom(item: dict) -> bool:
    return item["apiVersion"].split("/")[0] in GROUPS


def check(item: dict) -> list[str]:
    if item["apiVersion"].startswith("keda.sh/"):
        return []
    where = f"{item['kind']} {item['metadata']['name']}"
    table = TABLES.get((item["apiVersion"], item["kind"]))
    if table is None:
        return [f"{where}: nothing is known of {item['apiVersion']} {item['kind']}"]
    return walk(where, "spec", item["spec"], table) + three_of(where, item)


def walk(where: str, path: str, found: object, table: object) -> list[str]:
    if table is ...:
        return [f"{where}: {path} is empty"] if found is None else []
    if isinstance(table, list):
        if not isinstance(found, list) or not found:
            return [f"{where}: {path} must be a list of something"]
        return [fault for number, one in enumerate(found) for fault in walk(where, f"{path}[{number}]", one, table[0])]
    if not isinstance(found, dict):
        return [f"{where}: {path} must have fields"]
    faults = [f"{where}: the operator documents no field {path}.{name}" for name in found if name not in table]
    return faults + [fault for name in found if name in table for fault in walk(where, f"{path}.{name}", found[name], table[name])]


def three_of(where: str, item: dict) -> list[str]:
    """Servers that lose nothing with a node or a zone."""
    spec = item["spec"]
    if item["kind"] == "Cluster" and spec["instances"] < 2:
        return [f"{where}: one instance is lost with its node"]
    if item["kind"] == "RabbitmqCluster" and (spec["replicas"] < 3 or spec["replicas"] % 2 == 0):
        return [f"{where}: quorum queues need three nodes, or another odd number"]
    return []
