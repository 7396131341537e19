"""KEDA's documented fields (2.17 and later), and what our triggers must be like."""

import re

SPEC = {
    "scaleTargetRef", "pollingInterval", "cooldownPeriod", "initialCooldownPeriod", "idleReplicaCount", "minReplicaCount",
    "maxReplicaCount", "fallback", "advanced", "triggers",
}
TARGET = {"apiVersion", "kind", "name", "envSourceContainerName"}
FALLBACK = {"failureThreshold", "replicas", "behavior"}
FALLBACK_BEHAVIOURS = {"static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"}
ADVANCED = {"restoreToOriginalReplicaCount", "horizontalPodAutoscalerConfig", "scalingModifiers"}
AUTOSCALER = {"name", "behavior"}
TRIGGER = {"type", "name", "metadata", "authenticationRef", "metricType", "useCachedMetrics"}
METADATA = {
    "rabbitmq": {
        "host", "hostFromEnv", "usernameFromEnv", "passwordFromEnv", "queueName", "mode", "value", "activationValue", "protocol",
        "vhostName", "useRegex", "pageSize", "operation", "timeout", "excludeUnacknowledged", "unsafeSsl",
    },
    "postgresql": {
        "connectionFromEnv", "host", "port", "userName", "passwordFromEnv", "dbName", "sslmode", "query", "targetQueryValue",
        "activationTargetQueryValue",
    },
}
PARAMETERS = {"rabbitmq": {"host", "username", "password", "tls", "ca", "cert", "key", "keyPassword"}, "postgresql": {"connection", "host", "userName", "password", "port", "dbName", "sslmode"}}
AUTHENTICATION = {"secretTargetRef", "configMapTargetRef", "env", "podIdentity", "hashiCorpVault", "boundServiceAccountToken"}


def unknown(where: str, given: dict, documented: set[str]) -> list[str]:
    return [f"{where}: KEDA has no field {field}" for field in given if field not in documented]


def check_authentication(item: dict) -> list[str]:
    where, spec = f"TriggerAuthentication {item['metadata']['name']}", item["spec"]
    faults = unknown(where, spec, AUTHENTICATION)
    for reference in spec.get("secretTargetRef", []):
        faults += unknown(where, reference, {"parameter", "name", "key"})
        faults += [f"{where}: secretTargetRef needs {field}" for field in ("parameter", "name", "key") if field not in reference]
    return faults


def check_object(item: dict, authentications: dict[str, dict]) -> list[str]:
    where, spec = f"ScaledObject {item['metadata']['name']}", item["spec"]
    faults = unknown(where, spec, SPEC) + unknown(where, spec["scaleTargetRef"], TARGET)
    fallback = spec.get("fallback", {})
    faults += unknown(where, fallback, FALLBACK)
    if not fallback:
        faults.append(f"{where}: without fallback a broker that cannot be asked scales the workers away")
    elif fallback.get("behavior", "static") not in FALLBACK_BEHAVIOURS:
        faults.append(f"{where}: fallback.behavior {fallback['behavior']} is unknown")
    faults += unknown(where, spec.get("advanced", {}), ADVANCED)
    autoscaler = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
    faults += unknown(where, autoscaler, AUTOSCALER)
    if "stabilizationWindowSeconds" not in autoscaler.get("behavior", {}).get("scaleDown", {}):
        faults.append(f"{where}: scaling down needs a stabilisation window")
    if not 0 <= spec.get("minReplicaCount", 0) < spec.get("maxReplicaCount", 100):
        faults.append(f"{where}: minReplicaCount must be below maxReplicaCount")
    for trigger in spec["triggers"]:
        faults += check_trigger(where, trigger, authentications)
    if {trigger["type"] for trigger in spec["triggers"]} != {"rabbitmq", "postgresql"}:
        faults.append(f"{where}: the queue alone hides jobs that were acknowledged early; both triggers are needed")
    return faults


def check_trigger(where: str, trigger: dict, authentications: dict[str, dict]) -> list[str]:
    kind, metadata = trigger["type"], trigger["metadata"]
    if kind not in METADATA:
        return [f"{where}: trigger {kind} is not one of ours"]
    faults = unknown(where, trigger, TRIGGER) + unknown(f"{where}, {kind}", metadata, METADATA[kind])
    faults += [f"{where}: {kind}.{field} must be text" for field, value in metadata.items() if not isinstance(value, str)]
    name = trigger.get("authenticationRef", {}).get("name")
    if name not in authentications:
        faults.append(f"{where}: there is no TriggerAuthentication {name}")
    else:
        given = {reference["parameter"] for reference in authentications[name]["spec"].get("secretTargetRef", [])}
        faults += [f"{where}: {kind} takes no parameter {parameter}" for parameter in given - PARAMETERS[kind]]
    if kind == "rabbitmq":
        if metadata.get("protocol") != "http":
            faults.append(f"{where}: by any protocol but http a queue with every job in flight looks empty")
        if metadata.get("mode") != "QueueLength" or metadata.get("excludeUnacknowledged") == "true":
            faults.append(f"{where}: the length of the queue must be counted, with what is unacknowledged")
        if not re.fullmatch(r"waitless\.(work|notify)\.[a-z]+\.v[0-9]+", metadata.get("queueName", "")):
            faults.append(f"{where}: {metadata.get('queueName')} is no queue of ours")
    elif not metadata.get("query", "").startswith("select count(*)"):
        faults.append(f"{where}: the query must count")
    return faults
