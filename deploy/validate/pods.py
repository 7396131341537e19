"""Pods: what they listen on, are asked at, and write to, and what they are called."""

import re

import settings

# What every process answers (`shared/runtime/src/probes.rs`, `api/src/operations.rs`).
PROBES = {"livenessProbe": "/livez", "startupProbe": "/livez", "readinessProbe": "/readyz"}
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
# Names that others are made of: of a service, of a pod's host. Kubernetes cuts or refuses longer ones.
LONGEST = 63
# A Deployment's pods end in `-` and 16 more characters, a CronJob's or ScaledJob's in up to 12.
SUFFIX = {"Deployment": 17, "ScaledJob": 12, "Job": 6, "StatefulSet": 11}


def names(items: list[dict]) -> list[str]:
    faults = []
    for item in items:
        name, kind = item["metadata"]["name"], item["kind"]
        if not NAME.fullmatch(name) or len(name) + SUFFIX.get(kind, 0) > LONGEST:
            faults.append(f"{kind} {name}: what is made of this name would be too long, or is none")
        for key, value in item["metadata"].get("labels", {}).items():
            if not LABEL.fullmatch(value) or len(value) > LONGEST:
                faults.append(f"{kind} {name}: {value} is no value of the label {key}")
    return faults


def budgets(manifests, selects) -> list[str]:
    """A budget lets a drain take one pod, also where there is but one; and stands where a deployment brings pods back."""
    faults, scaled = [], {}
    for kind in ("ScaledObject", "HorizontalPodAutoscaler"):
        for item in manifests.by_kind[kind].values():
            spec = item["spec"]
            scaled[spec["scaleTargetRef"]["name"]] = spec.get("minReplicaCount", spec.get("minReplicas", 1))
    for name, item in manifests.by_kind["PodDisruptionBudget"].items():
        spec = item["spec"]
        chosen = [owner for _, owner, template in manifests.pods if selects(spec["selector"], template["metadata"]["labels"])]
        least = min((scaled.get(owner["metadata"]["name"], owner["spec"].get("replicas", 1)) for owner in chosen), default=2)
        if str(spec.get("maxUnavailable", "1")) in ("0", "0%") or int(str(spec.get("minAvailable", 0)).rstrip("%")) >= max(least, 1):
            faults.append(f"PodDisruptionBudget {name}: with {least} pods no node can be drained")
        faults += [f"PodDisruptionBudget {name}: nothing brings back pods of a {owner['kind']}" for owner in chosen if owner["kind"] in ("Job", "ScaledJob")]
    for where, owner, template in manifests.pods:
        selectors = [item["spec"]["selector"] for item in manifests.by_kind["PodDisruptionBudget"].values()]
        ours = template["metadata"]["labels"].get("app.kubernetes.io/name") == "waitless"
        if ours and owner["kind"] == "Deployment" and not any(selects(one, template["metadata"]["labels"]) for one in selectors):
            faults.append(f"{where}: a drain may take all of its pods at once")
    return faults


def policy_ports(manifests, selects) -> list[str]:
    """A named port of a policy is one of each pod that it selects, or it opens nothing."""
    faults = []
    for name, item in manifests.by_kind["NetworkPolicy"].items():
        wanted = {port["port"] for rule in item["spec"].get("ingress", []) for port in rule.get("ports", []) if isinstance(port.get("port"), str)}
        for where, _, template in manifests.pods:
            if selects(item["spec"]["podSelector"], template["metadata"]["labels"]):
                has = {port["name"] for container in template["spec"]["containers"] for port in container.get("ports", [])}
                faults += [f"NetworkPolicy {name}: {where} has no port {port}" for port in sorted(wanted - has)]
    return faults


def own(where: str, pod: dict, given: dict[str, object]) -> list[str]:
    """One pod of ours, with the settings it is given by `section.key`."""
    container, faults = pod["containers"][0], []
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    for probe, path in PROBES.items():
        asked = container.get(probe, {}).get("httpGet")
        if asked is None:
            continue
        if asked.get("path") != path:
            faults.append(f"{where}: {probe} asks {asked.get('path')}, and should ask {path}")
        if asked.get("port") not in ports:
            faults.append(f"{where}: {probe} asks a port {asked.get('port')} that it has not")
        # What a probe takes is three places' time, of which each has its own limit.
        if probe != "startupProbe" and container[probe].get("timeoutSeconds", 1) < 4:
            faults.append(f"{where}: {probe} gives up before the process has an answer")
    for name, key in (("http", "http.listen"), ("metrics", "telemetry.listen")):
        listens = str(given.get(key) or "")
        if name in ports and not listens.endswith(f":{ports[name]}"):
            faults.append(f"{where}: its port {name} is {ports[name]}, and {key} is {listens or 'nowhere'}")
        if listens and ports and name not in ports:
            faults.append(f"{where}: {key} is {listens}, and it has no port {name}")
        if listens.startswith(("127.", "localhost", "[::1]")) and name in ports:
            faults.append(f"{where}: {key} is {listens}, which nobody else reaches")
    return faults + writable(where, pod, given)


def writable(where: str, pod: dict, given: dict[str, object]) -> list[str]:
    """Whatever is written is written to a folder that is mounted, bounded, and not the node's."""
    container = pod["containers"][0]
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    empty = {mount["mountPath"] for mount in container.get("volumeMounts", []) if "emptyDir" in volumes.get(mount["name"], {}) and not mount.get("readOnly")}
    faults = [f"{where}: {name} may fill the node's disk" for name, volume in volumes.items() if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {})]
    faults += [f"{where}: {name} is a folder of the node" for name, volume in volumes.items() if "hostPath" in volume]
    if "/tmp" not in empty:
        faults.append(f"{where}: has no /tmp to write to")
    folder = str(given.get("service.data_dir") or "/tmp")
    if not any(folder == path or folder.startswith(path + "/") for path in empty):
        faults.append(f"{where}: service.data_dir is {folder}, which cannot be written")
    for mount in container.get("volumeMounts", []):
        if mount["mountPath"] not in empty and not mount.get("readOnly"):
            faults.append(f"{where}: may write to {mount['mountPath']}")
    return faults
