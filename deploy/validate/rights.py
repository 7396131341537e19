"""Who may ask the Kubernetes API, and for what: report workers that say what their own pod costs, and nobody else."""

# The one right: RBAC cannot say "its own".
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
NAME = "WAITLESS_WORKER__POD"
API = {("TCP", 443), ("TCP", 6443)}
TOKEN = "'authentication.kubernetes.io/pod-name'"


def check(manifests, selects) -> list[str]:
    faults = [f"{kind} {name}: nothing here needs rights in the whole cluster" for kind in ("ClusterRole", "ClusterRoleBinding") for name in manifests.by_kind[kind]]
    asking = set()
    for where, owner, template in manifests.pods:
        pod = template["spec"]
        variables = {variable["name"]: variable for container in pod["containers"] for variable in container.get("env", [])}
        told = variables.get(NAME, {})
        if NAME in variables and told.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") != "metadata.name":
            faults.append(f"{where}: {NAME} is not the pod's own name")
        if NAME in variables and owner["kind"] != "Deployment":
            faults.append(f"{where}: nobody scales its pods in, so that it need not say what they cost")
        if (pod.get("automountServiceAccountToken") is not False) != (NAME in variables):
            faults.append(f"{where}: a pod has a token of the Kubernetes API exactly if it says what it costs")
        if NAME in variables:
            asking.add(pod["serviceAccountName"])
            faults += may_reach(where, manifests, template["metadata"]["labels"], selects)
    for where, _, template in manifests.pods:
        labels, account = template["metadata"]["labels"], template["spec"].get("serviceAccountName")
        if account in asking and labels.get("app.kubernetes.io/component") != "report-worker":
            faults.append(f"{where}: has the rights of report workers")
    return faults + bound(manifests, asking) + narrowed(manifests, asking)


def may_reach(where: str, manifests, labels: dict, selects) -> list[str]:
    """The API's ports are open to whoever asks it."""
    policies = [item["spec"] for item in manifests.by_kind["NetworkPolicy"].values()]
    chosen = [spec for spec in policies if selects(spec["podSelector"], labels)]
    rules = [rule for spec in chosen for rule in spec.get("egress", []) if "to" not in rule]
    ports = {(port["protocol"], port["port"]) for rule in rules for port in rule.get("ports", [])}
    return [f"{where}: may not reach the Kubernetes API on {port}" for _, port in sorted(API - ports)] if policies else []


def bound(manifests, asking: set[str]) -> list[str]:
    roles, bindings, faults = manifests.by_kind["Role"], manifests.by_kind["RoleBinding"], []
    faults += [f"Role {name}: may more than change pods" for name, role in roles.items() if role["rules"] != RULES]
    having = set()
    for name, binding in bindings.items():
        if binding["roleRef"].get("kind") != "Role" or binding["roleRef"]["name"] not in roles:
            faults.append(f"RoleBinding {name}: there is no such role")
        for subject in binding["subjects"]:
            if subject.get("kind") != "ServiceAccount" or subject.get("namespace") != manifests.namespace:
                faults.append(f"RoleBinding {name}: is for others than an account of this namespace")
            having.add(subject["name"])
    faults += [f"service account {name}: may not say what its pods cost" for name in sorted(asking - having)]
    return faults + [f"service account {name}: has rights that no pod uses" for name in sorted(having - asking)]


def narrowed(manifests, asking: set[str]) -> list[str]:
    """The policy that narrows the right to a pod's own annotations names the accounts, and is bound."""
    if not asking:
        return []
    policies = manifests.by_kind["ValidatingAdmissionPolicy"]
    binding = [item["spec"] for item in manifests.by_kind["ValidatingAdmissionPolicyBinding"].values()]
    bound_to = {spec["policyName"] for spec in binding if "Deny" in spec["validationActions"]}
    faults = []
    for account in sorted(asking):
        matching = [
            name
            for name, item in policies.items()
            if name in bound_to
            and any(condition["expression"].endswith(f" + ':{account}'") for condition in item["spec"]["matchConditions"])
            and any(TOKEN in one["expression"] and "request.name" in one["expression"] for one in item["spec"]["validations"])
            and any("object.spec == oldObject.spec" in one["expression"] for one in item["spec"]["validations"])
            and "UPDATE" in item["spec"]["matchConstraints"]["resourceRules"][0]["operations"]
        ]
        if not matching:
            faults.append(f"service account {account}: its pods may change pods that are not theirs")
    return faults
