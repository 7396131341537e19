"""The chart: linted, its values held against their schema, and what it renders compared with what kustomize renders."""

import copy
import os
import re
import subprocess
import tempfile
import pathlib

import yaml

import settings

CHART = settings.ROOT / "deploy/helm/waitless"
# What only one of the two tools writes.
LABELS = {"app.kubernetes.io/managed-by", "helm.sh/chart"}
ANNOTATIONS = ("argocd.argoproj.io/", "helm.sh/", "checksum/")
# Values that the schema must refuse.
WRONG = [
    "gateway.pool=0",
    "gateway.pools=3",
    "image.digest=latest",
    "workers.interactive.concurrency=none",
    "workers.interactive.shutdownGrace=2 minutes",
    "notifier.minReplicas=-1",
    "zones.gateway=Always",
    "rabbitmq.replicas=2",
    "networkPolicies.requestsFrom=keda",
    "workers.bulk.mode=pods",
    "workers.bulk.endWhenIdle=soon",
    "podDeletionCost.enabled=perhaps",
    "podDeletionCost=true",
    "colour=red",
]
# Values that are good each for itself, and not together.
NOT_TOGETHER = [["workers.bulk.mode=jobs", "autoscaling.enabled=false"]]


class Chart:
    def __init__(self, helm: str):
        self.helm = helm

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        with tempfile.TemporaryDirectory() as home:
            environment = {"HOME": home, "PATH": "/usr/bin:/bin"}
            return subprocess.run([self.helm, *arguments], capture_output=True, text=True, check=False, env=environment)

    def template(self, *arguments: str) -> tuple[list[dict], list[str]]:
        answer = self.run("template", "waitless", str(CHART), "--namespace", "waitless", *arguments)
        if answer.returncode:
            return [], [f"helm template {' '.join(arguments)}: {answer.stderr.strip()}"]
        return [item for item in yaml.safe_load_all(answer.stdout) if item], []

    def lint(self) -> list[str]:
        faults = []
        for arguments in ([], ["-f", str(CHART / "values-production.yaml")]):
            answer = self.run("lint", "--strict", str(CHART), *arguments)
            faults += [f"helm lint: {answer.stdout.strip()} {answer.stderr.strip()}"] if answer.returncode else []
        return faults

    def wrong_values(self) -> list[str]:
        passed = [value for value in WRONG if not self.template("--set", value)[1]]
        passed += [" and ".join(values) for values in NOT_TOGETHER if not self.template("--set", ",".join(values))[1]]
        return [f"the chart's schema lets {value} pass" for value in passed]


def normal(items: list[dict]) -> dict[tuple[str, str], dict]:
    """Objects by kind and name, without what the tools write for themselves."""
    known = {}
    for item in copy.deepcopy(items):
        metadata = item["metadata"]
        metadata.pop("namespace", None)
        plain(metadata)
        template = item.get("spec", {}).get("template", {}) if item["kind"] in ("Deployment", "Job") else {}
        template = item["spec"]["jobTargetRef"]["template"] if item["kind"] == "ScaledJob" else template
        plain(template.get("metadata", {}))
        if item["kind"] == "ConfigMap":
            metadata["name"] = without_hash(metadata["name"])
            item["data"] = {name: text.rstrip("\n") for name, text in item["data"].items()}
        if item["kind"] == "Job":
            metadata["name"] = re.sub(r"-[0-9a-f]{6}$", "", metadata["name"])
        for volume in template.get("spec", {}).get("volumes", []):
            if "configMap" in volume:
                volume["configMap"]["name"] = without_hash(volume["configMap"]["name"])
        known[item["kind"], metadata["name"]] = item
    # Kustomize makes the namespace, Helm is given it.
    return {key: item for key, item in known.items() if key[0] != "Namespace"}


def without_hash(name: str) -> str:
    return re.sub(r"-[a-z0-9]{10}$", "", name)


def plain(metadata: dict) -> None:
    for kind, mine in (("labels", lambda name: name in LABELS), ("annotations", lambda name: name.startswith(ANNOTATIONS))):
        left = {name: value for name, value in metadata.get(kind, {}).items() if not mine(name)}
        metadata.pop(kind, None)
        if left:
            metadata[kind] = left


def compare(where: str, chart: list[dict], kustomize: list[dict]) -> list[str]:
    ours, theirs = normal(chart), normal(kustomize)
    faults = [f"{where}: {' '.join(key)} is made by kustomize only" for key in theirs.keys() - ours.keys()]
    faults += [f"{where}: {' '.join(key)} is made by the chart only" for key in ours.keys() - theirs.keys()]
    for key in sorted(ours.keys() & theirs.keys()):
        faults += [f"{where}: {' '.join(key)}: {fault}" for fault in differences("", ours[key], theirs[key])]
    return faults


def differences(path: str, one: object, other: object) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return [fault for key in sorted({*one, *other}) for fault in differences(f"{path}.{key}", one.get(key), other.get(key))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [fault for index, pair in enumerate(zip(one, other)) for fault in differences(f"{path}[{index}]", *pair)]
    return [] if one == other else [f"{path} is {one!r} in the chart, {other!r} in kustomize"]


def production_with(folder: pathlib.Path, components: list[str]) -> None:
    """The production overlay with more components, behind the first one, as whoever copies it writes them."""
    production = settings.ROOT / "deploy/k8s/overlays/production"
    folder.mkdir(parents=True, exist_ok=True)
    back = os.path.relpath(production, folder)
    made = yaml.safe_load((production / "kustomization.yaml").read_text())
    made["components"][1:1] = [f"../../components/{name}" for name in components]
    for part in ("resources", "components"):
        made[part] = [f"{back}/{path}" for path in made[part]]
    # Kustomize reads no file of another folder.
    for name in ("ingress.yaml", "network-policies.yaml", "waitless.toml"):
        (folder / name).write_text((production / name).read_text())
    made["resources"] = [path if not path.endswith("ingress.yaml") else "ingress.yaml" for path in made["resources"]]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(made))


def overlay(folder: pathlib.Path, components: list[str]) -> None:
    """An overlay of the base with some components, for comparisons."""
    folder.mkdir(parents=True, exist_ok=True)
    k8s = os.path.relpath(settings.ROOT / "deploy/k8s", folder)
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: waitless"]
    lines += [f"resources: [{k8s}/base]", "components:", *[f"  - {k8s}/components/{name}" for name in components]]
    (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n")
