"""Network policies: what may be reached, by whom, and nothing else."""

DNS = {("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353)}
DATABASE = {("TCP", 5432)}
PLACES = {("TCP", port) for port in (443, 5671)}
MORE_PLACES = {("TCP", port) for port in (5672, 9000, 4318)}
MAIL = {("TCP", port) for port in (25, 465, 587)}
# The platform's own addresses hand out identities; plain HTTP goes nowhere else.
IDENTITY = {("TCP", 80), ("TCP", 988)}
LINK_LOCAL = {"169.254.0.0/16", "fd00:ec2::/32"}

NEEDED = {
    "gateway": DNS | DATABASE | PLACES | IDENTITY,
    "report-worker": DNS | DATABASE | PLACES | IDENTITY | {("TCP", 3306)},
    "notifier": DNS | DATABASE | PLACES | IDENTITY | MAIL,
    "migrate": DNS | DATABASE,
    "autoscaler-key": DNS | DATABASE,
}
ALLOWED = {component: ports | (MORE_PLACES if component in ("gateway", "report-worker", "notifier") else set()) for component, ports in NEEDED.items()}


def fronts(manifests, defaults: dict, seconds) -> list[str]:
    """An ingress lets streams and long requests through, and leads to a service that is there."""
    faults, prefix = [], "nginx.ingress.kubernetes.io/"
    for name, item in manifests.by_kind["Ingress"].items():
        said = {key.removeprefix(prefix): value for key, value in item["metadata"].get("annotations", {}).items()}
        quiet = max(seconds(defaults["ping_every"]), seconds(defaults["max_wait"]))
        if said.get("proxy-buffering") != "off":
            faults.append(f"Ingress {name}: keeps events back until there are many")
        if min(int(said.get(f"proxy-{way}-timeout", 60)) for way in ("read", "send")) <= quiet:
            faults.append(f"Ingress {name}: cuts off what may be quiet for {quiet:.0f} s")
        if said.get("proxy-body-size", "1m").lower() != defaults["max_body"].lower().removesuffix("ib"):
            faults.append(f"Ingress {name}: lets other bodies through than http.max_body")
        for rule in item["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                ports = {port["name"] for port in manifests.by_kind["Service"].get(service["name"], {"spec": {"ports": []}})["spec"]["ports"]}
                if service["port"].get("name") not in ports:
                    faults.append(f"Ingress {name}: there is no such port of a service {service['name']}")
    return faults


def check(manifests, selects) -> list[str]:
    policies = manifests.by_kind["NetworkPolicy"]
    # An installation without any has chosen so.
    if not policies:
        return []
    faults = []
    everything = policies.get("nothing", {}).get("spec", {})
    if everything.get("podSelector") != {} or set(everything.get("policyTypes", [])) != {"Ingress", "Egress"} or "egress" in everything:
        faults.append("NetworkPolicy nothing: what no policy lets through must be closed")
    for where, owner, template in manifests.pods:
        labels = template["metadata"]["labels"]
        if labels.get("app.kubernetes.io/name") != "waitless":
            continue
        component = labels["app.kubernetes.io/component"]
        chosen = [policy["spec"] for policy in policies.values() if selects(policy["spec"]["podSelector"], labels)]
        # Workers that say what their pods cost ask the Kubernetes API, which `rights` looks at.
        asking = component == "report-worker" and manifests.by_kind["Role"]
        allowed = ALLOWED[component] | ({("TCP", 6443)} if asking else set())
        faults += [f"{where}: {fault}" for fault in egress(component, chosen, allowed) + ingress(component, chosen)]
    return faults


def egress(component: str, chosen: list[dict], allowed: set[tuple[str, int]]) -> list[str]:
    open_to, faults = set(), []
    for rule in (rule for spec in chosen for rule in spec.get("egress", [])):
        if "ports" not in rule:
            # To the demo's servers, whatever they listen on.
            if not all("podSelector" in to for to in rule.get("to", [{}])):
                faults.append("a policy opens every port to everybody")
            continue
        ports = {(port["protocol"], port["port"]) for port in rule["ports"]}
        if ports & IDENTITY and {to.get("ipBlock", {}).get("cidr") for to in rule.get("to", [{}])} != LINK_LOCAL:
            faults.append("ports of the platform's identities are open to more than its own addresses")
        open_to |= ports
    faults += [f"may not reach {protocol} {port}, and must" for protocol, port in sorted(NEEDED[component] - open_to)]
    return faults + [f"may reach {protocol} {port}, and need not" for protocol, port in sorted(open_to - allowed)]


def ingress(component: str, chosen: list[dict]) -> list[str]:
    rules = [rule for spec in chosen for rule in spec.get("ingress", [])]
    ports = {port["port"] for rule in rules for port in rule.get("ports", [{"port": "any"}])}
    wanted = {"gateway": {"http", "metrics"}, "report-worker": {"http"}, "notifier": {"http"}}.get(component, set())
    faults = [] if ports == wanted else [f"lets in to {sorted(ports)}, and should to {sorted(wanted)}"]
    # Metrics name tenants and reports.
    for rule in rules:
        shows = {port["port"] for port in rule.get("ports", [])} & ({"metrics"} if component == "gateway" else {"http"})
        if shows and "from" not in rule:
            faults.append("shows its metrics to everybody")
    requests = [rule["from"] for rule in rules if "from" in rule and {port["port"] for port in rule["ports"]} == {"http"}]
    if component == "gateway" and requests:
        spaces = {peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name") for peers in requests for peer in peers}
        if "keda" not in spaces:
            faults.append("does not let KEDA ask")
    return faults
