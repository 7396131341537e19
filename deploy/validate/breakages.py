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


def policy(items: list[dict], name: str) -> dict:
    return find(items, "NetworkPolicy", name)["spec"]


def variable(items: list[dict], name: str, value: str) -> dict:
    (found,) = [one for one in pod(items, WORKER)["containers"][0]["env"] if one["name"] == name]
    return found.update(value=value)


def volume(items: list[dict], deployment: str, name: str) -> dict:
    (found,) = [volume for volume in pod(items, deployment)["volumes"] if volume["name"] == name]
    return found


def annotations(items: list[dict]) -> dict:
    return find(items, "Ingress", "waitless")["metadata"]["annotations"]


def close_port(items: list[dict], name: str, port: int) -> None:
    for rule in policy(items, name)["egress"]:
        rule["ports"] = [one for one in rule["ports"] if one["port"] != port]


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
    "a grace shorter than drain and farewell": lambda items: pod(items, "gateway").update(terminationGracePeriodSeconds=40),
    "a gateway that refuses at once": lambda items: pod(items, "gateway")["containers"][0].pop("lifecycle"),
    "a root file system that can be written": lambda items: pod(items, WORKER)["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
    "a container that may gain rights": lambda items: pod(items, "postgres", "StatefulSet")["containers"][0].pop("securityContext"),
    "files that are opened to a group": lambda items: pod(items, "rabbitmq", "StatefulSet")["securityContext"].pop("fsGroupChangePolicy"),
    "a pod without limits": lambda items: pod(items, "gateway")["containers"][0]["resources"].pop("limits"),
    "pods in one zone": lambda items: pod(items, WORKER)["topologySpreadConstraints"].pop(0),
    "a process with every secret": lambda items: volume(items, "gateway", "secrets")["secret"].pop("items"),
    "a gateway with the mail server's password": lambda items: volume(items, "gateway", "secrets")["secret"]["items"].append({"key": "mail-url", "path": "mail-url"}),
    "a notifier with the sources' passwords": lambda items: volume(items, "notifier", "scratch").update(secret={"secretName": "waitless-sources"}),
    "replicas beside an autoscaler": lambda items: find(items, "Deployment", WORKER)["spec"].update(replicas=1),
    "a trigger on the broker": lambda items: triggers(items, WORKER)[0].update(type="rabbitmq"),
    "a trigger that leaves out what runs": lambda items: triggers(items, WORKER)[0]["metadata"].update(valueLocation="lanes.bulk.ready"),
    "a trigger on another lane": lambda items: triggers(items, WORKER)[0]["metadata"].update(valueLocation="lanes.interactive.depth"),
    "a trigger that counts for other pods": lambda items: triggers(items, WORKER)[0]["metadata"].update(targetValue="9"),
    "a trigger in another namespace": lambda items: triggers(items, WORKER)[0]["metadata"].update(url="http://gateway.waitless.svc/v1/admin/backlog"),
    "a second trigger": lambda items: triggers(items, WORKER).append(copy.deepcopy(triggers(items, WORKER)[0])),
    "a field KEDA does not know": lambda items: triggers(items, WORKER)[0]["metadata"].update(queueLength="5"),
    "a trigger without authentication": lambda items: items.remove(find(items, "TriggerAuthentication", "waitless-backlog")),
    "KEDA with a secret of the service": lambda items: find(items, "TriggerAuthentication", "waitless-backlog")["spec"]["secretTargetRef"][0].update(name="waitless", key="link-secret"),
    "no fallback": lambda items: find(items, "ScaledObject", WORKER)["spec"].pop("fallback"),
    "an autoscaler of nothing": lambda items: items.remove(find(items, "Deployment", "notifier")),
    "more connections than there are": lambda items: variable(items, "WAITLESS_DATABASE__POOL", "8"),
    "a database on the default number of connections": lambda items: pod(items, "postgres", "StatefulSet")["containers"][0].pop("args"),
    "no MySQL": lambda items: close_port(items, "to-sources", 3306),
    "no OpenShift": lambda items: close_port(items, "names", 5353),
    "no identity": lambda items: close_port(items, "to-places", 80),
    "plain HTTP to anybody": lambda items: policy(items, "to-places")["egress"][0]["ports"].append({"protocol": "TCP", "port": 80}),
    "a way out for mail from everywhere": lambda items: policy(items, "to-mail")["podSelector"]["matchLabels"].pop("app.kubernetes.io/component"),
    "metrics for everybody": lambda items: policy(items, "to-metrics")["ingress"][0].pop("from"),
    "a policy that closes nothing": lambda items: policy(items, "nothing").update(policyTypes=["Ingress"]),
}
PRODUCTION: dict[str, Callable[[list[dict]], object]] = {
    "a field the database's operator does not know": lambda items: find(items, "Cluster", "waitless-postgres")["spec"].update(replicas=3),
    "a database of one instance": lambda items: find(items, "Cluster", "waitless-postgres")["spec"].update(instances=1),
    "a database with too few connections": lambda items: find(items, "Cluster", "waitless-postgres")["spec"]["postgresql"]["parameters"].update(max_connections="100"),
    "a broker of two nodes": lambda items: find(items, "RabbitmqCluster", "waitless-rabbitmq")["spec"].update(replicas=2),
    "a field the broker's operator does not know": lambda items: find(items, "RabbitmqCluster", "waitless-rabbitmq")["spec"]["tls"].update(secret="x"),
    "workers that nobody scrapes": lambda items: items.remove(find(items, "PodMonitor", "waitless-background")),
    "a job that no alert names": lambda items: find(items, "PodMonitor", "waitless-gateway")["spec"].pop("jobLabel"),
    "a port that is not scraped": lambda items: find(items, "PodMonitor", "waitless-gateway")["spec"]["podMetricsEndpoints"][0].update(port="web"),
    "a KEDA that may not ask": lambda items: policy(items, "to-gateway")["ingress"][0]["from"].pop(),
    "an ingress that keeps events back": lambda items: annotations(items).pop("nginx.ingress.kubernetes.io/proxy-buffering"),
    "an ingress that cuts streams off": lambda items: annotations(items).update({"nginx.ingress.kubernetes.io/proxy-read-timeout": "60"}),
    "an ingress that leads nowhere": lambda items: items.remove(find(items, "Service", "gateway")),
    "an object that is too large": lambda items: find(items, "ConfigMap", "waitless-catalogue")["data"].update({"x.toml": "x" * 300_000}),
}


def container_of(items: list[dict], name: str) -> dict:
    return pod(items, name)["containers"][0]


def probe(items: list[dict], name: str, which: str) -> dict:
    return container_of(items, name)[which]


def folder(items: list[dict], text: str) -> None:
    (config,) = [item for item in items if item["kind"] == "ConfigMap" and "waitless.toml" in item["data"]]
    config["data"]["waitless.toml"] = config["data"]["waitless.toml"].replace('data_dir = "/tmp/waitless"', text)


# Of pods, each as it could be wrong in any of them.
PODS: dict[str, Callable[[list[dict]], object]] = {
    "a liveness probe that fails with the database": lambda items: probe(items, "notifier", "livenessProbe")["httpGet"].update(path="/readyz"),
    "a probe at a port nobody has": lambda items: probe(items, WORKER, "readinessProbe")["httpGet"].update(port="probes"),
    "a probe that does not wait for the answer": lambda items: probe(items, "gateway", "readinessProbe").pop("timeoutSeconds"),
    "a port that the process does not listen on": lambda items: container_of(items, "gateway")["ports"][0].update(containerPort=80),
    "metrics on a port nobody listens on": lambda items: container_of(items, "gateway")["ports"][1].update(containerPort=9000),
    "a folder that cannot be written": lambda items: folder(items, 'data_dir = "/var/lib/waitless"'),
    "a folder that fills the node": lambda items: volume(items, WORKER, "scratch")["emptyDir"].pop("sizeLimit"),
    "a folder of the node": lambda items: volume(items, WORKER, "scratch").update(hostPath={"path": "/"}),
    "a configuration that can be written": lambda items: container_of(items, "gateway")["volumeMounts"][0].pop("readOnly"),
    "a pod on its node's network": lambda items: pod(items, "gateway").update(hostNetwork=True),
    "a program that the image has not": lambda items: container_of(items, WORKER).update(command=["worker"]),
    "an image of another version": lambda items: container_of(items, WORKER).update(image="waitless:latest"),
    "a name that is too long": lambda items: find(items, "ScaledObject", WORKER)["metadata"].update(name="w" * 64),
    "a budget that no drain gets past": lambda items: find(items, "PodDisruptionBudget", "gateway")["spec"].update(maxUnavailable=0),
    "a budget of more pods than there may be": lambda items: find(items, "PodDisruptionBudget", WORKER)["spec"].update(maxUnavailable=None, minAvailable=1),
    "a drain that takes every pod": lambda items: items.remove(find(items, "PodDisruptionBudget", "notifier")),
    "a policy for a port that nobody has": lambda items: policy(items, "to-metrics")["ingress"][0]["ports"][0].update(port="metrics"),
    "a token that nobody uses": lambda items: pod(items, "notifier").update(automountServiceAccountToken=True),
}


def said(items: list[dict]) -> dict:
    (found,) = [one for one in container_of(items, INTERACTIVE)["env"] if one["name"] == "WAITLESS_WORKER__POD"]
    return found


INTERACTIVE = "report-worker-interactive"
JOBS: dict[str, Callable[[list[dict]], object]] = {
    "a job whose image has not its program": lambda items: job_pod(items)["containers"][0].update(command=["worker"]),
    "a job of another version": lambda items: job_pod(items)["containers"][0].update(image="waitless:0.0.9"),
    "a budget for jobs": lambda items: find(items, "PodDisruptionBudget", INTERACTIVE)["spec"]["selector"].update(matchLabels={"app.kubernetes.io/component": "report-worker"}),
    "a worker that says the cost of another pod": lambda items: said(items).update(valueFrom={"fieldRef": {"fieldPath": "spec.nodeName"}}),
    "a worker without the right": lambda items: items.remove(find(items, "RoleBinding", "report-worker")),
    "a worker that may not reach the API": lambda items: items.remove(find(items, "NetworkPolicy", "to-kubernetes")),
    "a worker without a token": lambda items: pod(items, INTERACTIVE).update(automountServiceAccountToken=False),
    "a right to more than pods": lambda items: find(items, "Role", "report-worker")["rules"][0]["resources"].append("secrets"),
    "a right to delete": lambda items: find(items, "Role", "report-worker")["rules"][0]["verbs"].append("delete"),
    "a right for everybody": lambda items: find(items, "RoleBinding", "report-worker")["subjects"].append({"kind": "Group", "name": "system:authenticated"}),
    "a gateway with the workers' right": lambda items: pod(items, "gateway").update(serviceAccountName="report-worker"),
    "a right to other workers' pods": lambda items: items.remove(find(items, "ValidatingAdmissionPolicyBinding", "waitless-own-pod-only")),
    "a policy that looks at no token": lambda items: find(items, "ValidatingAdmissionPolicy", "waitless-own-pod-only")["spec"]["validations"].pop(0),
    "a field that admission does not know": lambda items: find(items, "ValidatingAdmissionPolicy", "waitless-own-pod-only")["spec"].update(matchCondition=[]),
    "rights in the whole cluster": lambda items: items.append({**find(items, "Role", "report-worker"), "kind": "ClusterRole"}),
    "a job that ends what runs when it changes": lambda items: find(items, "ScaledJob", WORKER)["spec"].pop("rollout"),
    "a job for each job that runs already": lambda items: find(items, "ScaledJob", WORKER)["spec"]["scalingStrategy"].update(strategy="accurate"),
    "a worker that never ends": lambda items: end_when_idle(items),
}


def job_pod(items: list[dict]) -> dict:
    return find(items, "ScaledJob", WORKER)["spec"]["jobTargetRef"]["template"]["spec"]


def end_when_idle(items: list[dict]) -> None:
    container = find(items, "ScaledJob", WORKER)["spec"]["jobTargetRef"]["template"]["spec"]["containers"][0]
    container["env"] = [one for one in container["env"] if one["name"] != "WAITLESS_WORKER__END_WHEN_IDLE"]


def all_of(renderings: tuple[list[dict], ...], documented: str) -> Iterator[tuple[str, bool]]:
    """What was broken, and whether it was noticed: of the demo, of production, and of the lane of jobs."""
    for table, items in zip((BREAKAGES | PODS, PRODUCTION, JOBS), renderings, strict=True):
        for what, break_it in table.items():
            broken = copy.deepcopy(items)
            break_it(broken)
            yield what, bool(Manifests("broken", broken, documented).check())
