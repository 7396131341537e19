"""Breaks valid manifests one by one: a check that cannot fail is none."""

import copy
from collections.abc import Callable, Iterator

from manifests import Manifests


def find(items: list[dict], kind: str, name: str) -> dict:
    (item,) = [item for item in items if item["kind"] == kind and item["metadata"]["name"] == name]
    return item


def pod(items: list[dict], name: str, kind: str = "Deployment") -> dict:
    return find(items, kind, name)["spec"]["template"]["spec"]


def triggers(items: list[dict], name: str) -> list[dict]:
    return find(items, "ScaledObject", name)["spec"]["triggers"]


WORKER = "report-worker-bulk"
BREAKAGES: dict[str, Callable[[list[dict]], object]] = {
    "a field Kubernetes does not know": lambda items: pod(items, "gateway").update(restartPolicies="Always"),
    "a secret that is not there": lambda items: items.remove(find(items, "Secret", "waitless-sources")),
    "a secret's key that is not there": lambda items: find(items, "Secret", "waitless")["data"].pop("mail-url"),
    "a service account that is not there": lambda items: pod(items, "notifier").update(serviceAccountName="nobody"),
    "a service that selects nothing": lambda items: find(items, "Service", "gateway")["spec"]["selector"].update(x="y"),
    "a budget that selects nothing": lambda items: find(items, "PodDisruptionBudget", WORKER)["spec"]["selector"]["matchLabels"].update(x="y"),
    "a port nobody has": lambda items: find(items, "Service", "gateway")["spec"]["ports"][0].update(targetPort="web"),
    "a setting that is not one": lambda items: pod(items, WORKER)["containers"][0]["env"].append({"name": "WAITLESS_WORKER__LANE", "value": "x"}),
    "a grace shorter than the drain": lambda items: pod(items, WORKER).update(terminationGracePeriodSeconds=60),
    "a root file system that can be written": lambda items: pod(items, WORKER)["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
    "a container that may gain rights": lambda items: pod(items, "postgres", "StatefulSet")["containers"][0].pop("securityContext"),
    "a pod without limits": lambda items: pod(items, "gateway")["containers"][0]["resources"].pop("limits"),
    "replicas beside an autoscaler": lambda items: find(items, "Deployment", WORKER)["spec"].update(replicas=1),
    "a trigger by amqp": lambda items: triggers(items, WORKER)[0]["metadata"].update(protocol="amqp"),
    "a trigger that leaves out what is in flight": lambda items: triggers(items, WORKER)[0]["metadata"].update(excludeUnacknowledged="true"),
    "a trigger on another lane's queue": lambda items: triggers(items, WORKER)[0]["metadata"].update(queueName="waitless.work.interactive.v1"),
    "a trigger without its database": lambda items: triggers(items, WORKER).pop(),
    "a field KEDA does not know": lambda items: triggers(items, WORKER)[0]["metadata"].update(queueLength="5"),
    "a trigger without authentication": lambda items: items.remove(find(items, "TriggerAuthentication", "waitless-rabbitmq")),
    "no fallback": lambda items: find(items, "ScaledObject", WORKER)["spec"].pop("fallback"),
    "an autoscaler of nothing": lambda items: items.remove(find(items, "Deployment", "notifier")),
}


def all_of(items: list[dict], documented: str) -> Iterator[tuple[str, bool]]:
    """What was broken, and whether it was noticed."""
    for what, break_it in BREAKAGES.items():
        broken = copy.deepcopy(items)
        break_it(broken)
        yield what, bool(Manifests("broken", broken, documented).check())
