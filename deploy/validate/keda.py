"""KEDA's documented fields (2.17 and later), and what our triggers must be like."""

import re

SPEC = {
    "scaleTargetRef", "pollingInterval", "cooldownPeriod", "initialCooldownPeriod", "idleReplicaCount", "minReplicaCount",
    "maxReplicaCount", "fallback", "advanced", "triggers",
}
JOB_SPEC = {
    "jobTargetRef", "pollingInterval", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "envSourceContainerName", "minReplicaCount",
    "maxReplicaCount", "rollout", "scalingStrategy", "triggers",
}
TARGET = {"apiVersion", "kind", "name", "envSourceContainerName"}
FALLBACK = {"failureThreshold", "replicas", "behavior"}
FALLBACK_BEHAVIOURS = {"static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"}
ADVANCED = {"restoreToOriginalReplicaCount", "horizontalPodAutoscalerConfig", "scalingModifiers"}
AUTOSCALER = {"name", "behavior"}
TRIGGER = {"type", "name", "metadata", "authenticationRef", "metricType", "useCachedMetrics"}
# Of the trigger `metrics-api`.
METADATA = {
    "url", "format", "valueLocation", "targetValue", "activationTargetValue", "unsafeSsl", "authMode", "method", "keyParamName",
    "aggregateFromKubeServiceEndpoints", "aggregationType",
}
PARAMETERS = {"token", "apiKey", "username", "password", "ca", "cert", "key"}
AUTHENTICATION = {"secretTargetRef", "configMapTargetRef", "env", "podIdentity", "hashiCorpVault", "boundServiceAccountToken"}


def unknown(where: str, given: dict, documented: set[str]) -> list[str]:
    return [f"{where}: KEDA has no field {field}" for field in given if field not in documented]


def check_authentication(item: dict) -> list[str]:
    where, spec = f"TriggerAuthentication {item['metadata']['name']}", item["spec"]
    faults = unknown(where, spec, AUTHENTICATION)
    for reference in spec.get("secretTargetRef", []):
        faults += unknown(where, reference, {"parameter", "name", "key"})
        faults += [f"{where}: secretTargetRef needs {field}" for field in ("parameter", "name", "key") if field not in reference]
        if reference.get("parameter") not in PARAMETERS:
            faults.append(f"{where}: metrics-api takes no parameter {reference.get('parameter')}")
    return faults


def check_object(item: dict, authentications: dict[str, dict]) -> list[str]:
    where, spec = f"ScaledObject {item['metadata']['name']}", item["spec"]
    faults = unknown(where, spec, SPEC) + unknown(where, spec["scaleTargetRef"], TARGET)
    fallback = spec.get("fallback", {})
    faults += unknown(where, fallback, FALLBACK)
    if not fallback:
        faults.append(f"{where}: without fallback a gateway that cannot be asked scales the workers away")
    elif fallback.get("behavior", "static") not in FALLBACK_BEHAVIOURS:
        faults.append(f"{where}: fallback.behavior {fallback['behavior']} is unknown")
    faults += unknown(where, spec.get("advanced", {}), ADVANCED)
    autoscaler = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
    faults += unknown(where, autoscaler, AUTOSCALER)
    if "stabilizationWindowSeconds" not in autoscaler.get("behavior", {}).get("scaleDown", {}):
        faults.append(f"{where}: scaling down needs a stabilisation window")
    if not 0 <= spec.get("minReplicaCount", 0) < spec.get("maxReplicaCount", 100):
        faults.append(f"{where}: minReplicaCount must be below maxReplicaCount")
    if len(spec["triggers"]) != 1:
        faults.append(f"{where}: one trigger counts every job once; of several the greatest counts")
    for trigger in spec["triggers"]:
        faults += check_trigger(where, trigger, authentications)
    return faults


def check_job(item: dict, authentications: dict[str, dict]) -> list[str]:
    where, spec = f"ScaledJob {item['metadata']['name']}", item["spec"]
    faults = unknown(where, spec, JOB_SPEC)
    if spec.get("rollout", {}).get("strategy") != "gradual":
        faults.append(f"{where}: a change of it ends what runs")
    if spec.get("scalingStrategy", {}).get("strategy") != "default":
        faults.append(f"{where}: the number counts jobs that run, so that the pods that run must be taken off")
    if spec["jobTargetRef"]["template"]["spec"].get("restartPolicy") != "Never":
        faults.append(f"{where}: a worker that has ended must not start again")
    for trigger in spec["triggers"]:
        faults += check_trigger(where, trigger, authentications)
    return faults


def check_trigger(where: str, trigger: dict, authentications: dict[str, dict]) -> list[str]:
    kind, metadata = trigger["type"], trigger["metadata"]
    if kind != "metrics-api":
        return [f"{where}: trigger {kind} needs credentials of the database or the broker, and counts messages or half of the jobs"]
    faults = unknown(where, trigger, TRIGGER) + unknown(f"{where}, {kind}", metadata, METADATA)
    faults += [f"{where}: {kind}.{field} must be text" for field, value in metadata.items() if not isinstance(value, str)]
    faults += [f"{where}: {kind} needs {field}" for field in ("url", "valueLocation", "targetValue") if field not in metadata]
    if trigger.get("metricType", "AverageValue") != "AverageValue":
        faults.append(f"{where}: the number must be shared out over the pods")
    if not re.fullmatch(r"lanes\.[a-z]+\.depth|deliveries", metadata.get("valueLocation", "")):
        faults.append(f"{where}: {metadata.get('valueLocation')} leaves out jobs that wait or jobs that run")
    name = trigger.get("authenticationRef", {}).get("name")
    if name not in authentications:
        return [*faults, f"{where}: there is no TriggerAuthentication {name}"]
    given = {reference["parameter"] for reference in authentications[name]["spec"].get("secretTargetRef", [])}
    if metadata.get("authMode") != "bearer" or given != {"token"}:
        faults.append(f"{where}: a gateway takes a bearer's token")
    return faults
