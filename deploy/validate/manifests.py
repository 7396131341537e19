"""The rendered manifests: every object valid, every reference resolved, every pod as restricted as we promise."""

import collections
import functools
import json

import kubernetes_validate

import connections
import containers
import keda
import networks
import operators
import pods
import rights
import settings
import versions

KUBERNETES = "1.32"
# These come from outside, the first of operators; the README says which keys they hold.
OUTSIDE = {
    "waitless-postgres-ca", "waitless", "waitless-sources", "waitless-autoscaling", "waitless-postgres-owner", "waitless-rabbitmq-user",
    "waitless-rabbitmq-tls",
}
# What `kubectl apply` without --server-side can take, in bytes: it writes the object into an annotation of itself.
LARGEST = 256 * 1024
# What each program needs of the secrets, and so may have.
COMMON = {"link-secret", "database-url", "broker-url", "storage-access-key-id", "storage-secret-access-key"}
SECRETS = {"api": COMMON, "report-worker": COMMON, "notifier": COMMON | {"mail-url"}, "waitless": {"database-url", "token"}}


@functools.cache
def against_schema(item: str) -> tuple[str, ...]:
    """What the schema finds wrong with an object; most are the same in every rendering and breakage, and this is what takes the time."""
    try:
        kubernetes_validate.validate(json.loads(item), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return (f"{'.'.join(str(step) for step in error.path)}: {error.message}",)
    return ()


class Manifests:
    """All objects of one rendering."""

    def __init__(self, name: str, items: list[dict], documented: str):
        self.name, self.items, self.documented = name, items, documented
        self.by_kind = collections.defaultdict(dict)
        for item in items:
            self.by_kind[item["kind"]][item["metadata"]["name"]] = item
        self.pods = [
            (f"{item['kind']} {item['metadata']['name']}", item, item["spec"]["template"])
            for item in items
            if item["kind"] in ("Deployment", "StatefulSet", "Job")
        ]
        self.pods += [
            (f"ScaledJob {name}", item, item["spec"]["jobTargetRef"]["template"]) for name, item in self.by_kind["ScaledJob"].items()
        ]
        # Pods that operators make, by the labels they give them.
        self.others = [{"cnpg.io/cluster": name} for name in self.by_kind["Cluster"]]
        self.others += [{"app.kubernetes.io/name": name} for name in self.by_kind["RabbitmqCluster"]]
        self.namespace = next(iter(self.by_kind["Namespace"]), "waitless")

    def check(self) -> list[str]:
        faults = self.schemas() + self.scaling() + self.selectors() + self.monitoring() + networks.check(self, selects)
        faults += rights.check(self, selects) + pods.names(self.items) + pods.budgets(self, selects) + pods.policy_ports(self, selects)
        faults += networks.fronts(self, settings.DEFAULTS["http"], settings.seconds)
        if self.by_kind["ScaledObject"]:
            faults += connections.check(self, self.environment)
        for where, owner, template in self.pods:
            faults += self.references(where, template["spec"]) + self.security(where, template["spec"])
            if template["metadata"]["labels"].get("app.kubernetes.io/name") == "waitless":
                faults += self.settings(where, template["spec"]) + self.secrets(where, template["spec"])
            if owner["kind"] in ("Deployment", "ScaledJob") and "topology.kubernetes.io/zone" not in str(template["spec"].get("topologySpreadConstraints")):
                faults.append(f"{where}: all of its pods may be in one zone")
        return [f"{self.name}: {fault}" for fault in faults]

    def schemas(self) -> list[str]:
        faults = []
        for item in self.items:
            if len(str(item)) > LARGEST:
                faults.append(f"{item['kind']} {item['metadata']['name']}: does not fit `kubectl apply`")
            if operators.is_custom(item):
                faults += operators.check(item)
                continue
            faults += [f"{item['kind']} {item['metadata']['name']}: {fault}" for fault in against_schema(json.dumps(item))]
        return faults

    def scaling(self) -> list[str]:
        authentications, faults = self.by_kind["TriggerAuthentication"], []
        for item in authentications.values():
            faults += keda.check_authentication(item)
            if {reference["name"] for reference in item["spec"].get("secretTargetRef", [])} & {"waitless", "waitless-sources"}:
                faults.append(f"TriggerAuthentication {item['metadata']['name']}: KEDA needs no secret of the service")
            for reference in item["spec"].get("secretTargetRef", []):
                faults += self.secret_key(item["metadata"]["name"], reference["name"], reference["key"])
        for item in self.by_kind["ScaledJob"].values():
            faults += keda.check_job(item, authentications) + self.counts(item, item["spec"]["jobTargetRef"]["template"]["spec"]) + self.asked(item)
        scaled = list(self.by_kind["ScaledObject"].values())
        for item in scaled:
            faults += keda.check_object(item, authentications) + self.matches_worker(item) + self.asked(item)
        for item in scaled + list(self.by_kind["HorizontalPodAutoscaler"].values()):
            target = self.by_kind["Deployment"].get(item["spec"]["scaleTargetRef"]["name"])
            where = f"{item['kind']} {item['metadata']['name']}"
            if target is None:
                faults.append(f"{where}: there is no deployment to scale")
            elif "replicas" in target["spec"]:
                faults.append(f"{where}: the deployment sets replicas, which would undo the autoscaler's work")
        return faults

    def matches_worker(self, item: dict) -> list[str]:
        """A trigger looks at the lane its workers serve, and counts what one of them works on at once."""
        target = self.by_kind["Deployment"].get(item["spec"]["scaleTargetRef"]["name"])
        return self.counts(item, target["spec"]["template"]["spec"]) if target else []

    def counts(self, item: dict, pod: dict) -> list[str]:
        environment = self.environment(pod)
        lane, faults = environment.get("WAITLESS_WORKER__LANES"), []
        if item["kind"] == "ScaledJob" and "WAITLESS_WORKER__END_WHEN_IDLE" not in environment:
            faults.append(f"ScaledJob {item['metadata']['name']}: its workers would never end")
        for trigger in item["spec"]["triggers"] if lane else []:
            metadata = trigger["metadata"]
            if metadata.get("valueLocation") != f"lanes.{lane}.depth":
                faults.append(f"{item['kind']} {item['metadata']['name']}: {trigger['type']} does not look at lane {lane}")
            value = metadata.get("targetValue")
            if value != environment.get("WAITLESS_WORKER__CONCURRENCY"):
                faults.append(f"{item['kind']} {item['metadata']['name']}: {trigger['type']} counts {value} jobs a pod")
        return faults

    def asked(self, item: dict) -> list[str]:
        """Every gateway answers where KEDA asks, from whatever namespace."""
        urls = {trigger["metadata"].get("url") for trigger in item["spec"]["triggers"]}
        service = self.by_kind["Service"].get("gateway", {"spec": {"ports": []}})
        ports = {port["port"] for port in service["spec"]["ports"]}
        right = f"http://gateway.{self.namespace}.svc/v1/admin/backlog"
        return [] if urls == {right} and 80 in ports else [f"{item['kind']} {item['metadata']['name']}: asks {urls}, and not {right}"]

    def monitoring(self) -> list[str]:
        """Every process is scraped once, under the job that the alerts name."""
        faults, monitors = [], self.by_kind["PodMonitor"]
        for where, owner, template in self.pods if monitors else []:
            labels = template["metadata"]["labels"]
            if owner["kind"] not in ("Deployment", "ScaledJob") or labels.get("app.kubernetes.io/name") != "waitless":
                continue
            chosen = [monitor["spec"] for monitor in monitors.values() if selects(monitor["spec"]["selector"], labels)]
            if len(chosen) != 1:
                faults.append(f"{where}: {len(chosen)} pod monitors scrape it")
            names = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
            for monitor in chosen:
                if labels.get(monitor.get("jobLabel")) != "waitless":
                    faults.append(f"{where}: is not scraped as the job that the alerts name")
                faults += [f"{where}: has no port {end['port']}" for end in monitor["podMetricsEndpoints"] if end["port"] not in names]
        return faults

    def secrets(self, where: str, pod: dict) -> list[str]:
        """No process has a secret that it does not need."""
        container = pod["containers"][0]
        program, has = container["command"][0], set()
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        for volume in pod.get("volumes", []):
            secret = volume.get("secret", {}) if volume["name"] in mounted else {}
            if secret.get("secretName") == "waitless-sources" and program != "report-worker":
                return [f"{where}: has the sources' passwords and reads no source"]
            if secret.get("secretName") in ("waitless", "waitless-autoscaling"):
                only = [item["key"] for item in secret.get("items", [])]
                if not only and secret["secretName"] == "waitless":
                    return [f"{where}: has every secret of the service"]
                has |= set(only) if only else {"token"}
        return [f"{where}: has {key} and does not need it" for key in sorted(has - SECRETS.get(program, set()))]

    def selectors(self) -> list[str]:
        faults, templates = [], [template for _, _, template in self.pods]
        for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            for name, item in self.by_kind[kind].items():
                spec = item["spec"]
                selector = spec["podSelector"] if kind == "NetworkPolicy" else spec["selector"]
                selector = {"matchLabels": selector} if kind == "Service" else selector
                chosen = [template for template in templates if selects(selector, template["metadata"]["labels"])]
                if not chosen and not any(selects(selector, labels) for labels in self.others):
                    faults.append(f"{kind} {name}: selects no pod")
                if kind == "Service":
                    faults += [fault for template in chosen for fault in named_ports(name, spec, template["spec"])]
        for where, owner, template in self.pods:
            selector = owner["spec"].get("selector")
            if selector and not selects(selector, template["metadata"]["labels"]):
                faults.append(f"{where}: does not select its own pods")
        return faults

    def references(self, where: str, pod: dict) -> list[str]:
        faults, mounted = [], {}
        if (account := pod.get("serviceAccountName")) and account not in self.by_kind["ServiceAccount"]:
            faults.append(f"{where}: there is no service account {account}")
        for volume in pod.get("volumes", []):
            if config := volume.get("configMap"):
                mounted[volume["name"]] = ("ConfigMap", config["name"], [])
                if config["name"] not in self.by_kind["ConfigMap"]:
                    faults.append(f"{where}: there is no config map {config['name']}")
            if secret := volume.get("secret"):
                mounted[volume["name"]] = ("Secret", secret["secretName"], [item["path"] for item in secret.get("items", [])])
                for item in secret.get("items", []):
                    faults += self.secret_key(where, secret["secretName"], item["key"])
        claims = {volume["name"] for volume in pod.get("volumes", [])}
        claims |= {name for item in self.by_kind["StatefulSet"].values() for name in claim_names(item, pod)}
        for container in pod["containers"]:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in claims:
                    faults.append(f"{where}: there is no volume {mount['name']}")
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    faults += self.secret_key(where, reference["name"], reference["key"])
            named = [str(variable.get("value", "")) for variable in container.get("env", [])] + container.get("command", [])
            for path in (name for name in named if name.startswith("/etc/waitless/")):
                faults += self.mounted_file(where, container, mounted, path)
        return faults

    def mounted_file(self, where: str, container: dict, mounted: dict, path: str) -> list[str]:
        folder, _, name = path.rpartition("/")
        for mount in container.get("volumeMounts", []):
            if mount["mountPath"] == folder and mount["name"] in mounted:
                kind, owner, only = mounted[mount["name"]]
                if only and name not in only:
                    return [f"{where}: {name} of {owner} is not mounted"]
                if kind == "Secret":
                    return self.secret_key(where, owner, name)
                data = self.by_kind[kind].get(owner, {}).get("data", {})
                return [] if name in data else [f"{where}: {kind} {owner} has no {name}"]
        return [f"{where}: nothing is mounted where {path} should be"]

    def secret_key(self, where: str, secret: str, key: str) -> list[str]:
        if secret in self.by_kind["Secret"]:
            known = key in {**self.by_kind["Secret"][secret].get("data", {})}
        else:
            known = secret in OUTSIDE and f"`{key}`" in self.documented
        return [] if known else [f"{where}: there is no key {key} in secret {secret}, here or in README.md"]

    def security(self, where: str, pod: dict) -> list[str]:
        faults, context = [], pod.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            faults.append(f"{where}: the pod is not restricted (runAsNonRoot, seccompProfile)")
        if "fsGroup" in context and context.get("fsGroupChangePolicy") != "OnRootMismatch":
            faults.append(f"{where}: opens files to its group that programs want closed, at each start")
        if any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
            faults.append(f"{where}: the pod is not apart from its node")
        for container in pod["containers"]:
            context = container.get("securityContext", {})
            if context.get("allowPrivilegeEscalation") is not False or context.get("capabilities") != {"drop": ["ALL"]}:
                faults.append(f"{where}: the container is not restricted")
            resources = container.get("resources", {})
            if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= set(resources.get("requests", {})):
                faults.append(f"{where}: requests for processor and memory and a limit of memory are needed")
        return faults

    def settings(self, where: str, pod: dict) -> list[str]:
        environment = self.environment(pod)
        faults = [f"{where}: {name} is not a setting" for name in settings.unknown_variables(list(environment))]
        given = {}
        for volume in pod.get("volumes", []):
            config = self.by_kind["ConfigMap"].get(volume.get("configMap", {}).get("name"), {})
            if text := config.get("data", {}).get("waitless.toml"):
                found, wrong = settings.of_file(text, f"{where}, waitless.toml")
                given |= {key: value for key, value in found.items() if value != ""}
                faults += wrong
        given |= {key: value for name, value in environment.items() if (key := settings.key_of(name))}
        container = pod["containers"][0]
        program = container["command"][0]
        faults += settings.missing(set(given), where, program) + self.image(where, container) + pods.own(where, pod, given)
        grace = settings.seconds(environment.get("WAITLESS_SERVICE__SHUTDOWN_GRACE", "0s"))
        stopping = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        serving = settings.seconds(environment.get("WAITLESS_HTTP__CLOSE_AFTER", "0s"))
        if program == "api" and not (stopping > 0 and serving >= 5):
            faults.append(f"{where}: refuses requests while balancers still send them")
        if "terminationGracePeriodSeconds" in pod and not 0 < stopping + serving + grace < pod["terminationGracePeriodSeconds"]:
            faults.append(f"{where}: is killed before it has handed back what it runs")
        if "ports" in container and not {"livenessProbe", "readinessProbe", "startupProbe"} <= set(container):
            faults.append(f"{where}: probes are missing")
        if container["securityContext"].get("readOnlyRootFilesystem") is not True:
            faults.append(f"{where}: the root file system can be written")
        return faults

    @staticmethod
    def image(where: str, container: dict) -> list[str]:
        """The image holds the program, and is of this version, or of what somebody pinned."""
        faults, image = [], container["image"].rpartition("/")[2]
        name, _, tag = image.partition(":")
        if container["command"][0] not in containers.binaries():
            faults.append(f"{where}: the image has no program {container['command'][0]}")
        if "@sha256:" not in image and (name, tag) != ("waitless", versions.version()):
            faults.append(f"{where}: its image is {image}, and should be waitless:{versions.version()}")
        return faults

    @staticmethod
    def environment(pod: dict) -> dict[str, str]:
        return {variable["name"]: variable.get("value", "") for variable in pod["containers"][0].get("env", [])}


def claim_names(owner: dict, pod: dict) -> list[str]:
    same = owner["spec"]["template"]["spec"] is pod
    return [claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])] if same else []


def selects(selector: dict, labels: dict[str, str]) -> bool:
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return plain and all(
        term["operator"] == "In" and labels.get(term["key"]) in term["values"] for term in selector.get("matchExpressions", [])
    )


def named_ports(service: str, spec: dict, pod: dict) -> list[str]:
    names = {port["name"] for container in pod["containers"] for port in container.get("ports", [])}
    wanted = [port["targetPort"] for port in spec["ports"]]
    return [f"Service {service}: no container has a port {port}" for port in wanted if port not in names]
