"""One version everywhere: crates, image, manifests, the names of the Jobs, chart, compose file."""

import re
import tomllib

import yaml

import settings

DEPLOY = settings.ROOT / "deploy"


def version() -> str:
    return tomllib.loads((settings.ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def check() -> list[str]:
    right = version()
    chart = yaml.safe_load((DEPLOY / "helm/waitless/Chart.yaml").read_text())
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    found = {
        "helm/waitless/Chart.yaml, version": chart["version"],
        "helm/waitless/Chart.yaml, appVersion": chart["appVersion"],
        "Dockerfile": re.search(r"^ARG VERSION=(\S+)$", dockerfile, re.M)[1],
    }
    for place in ("base", "components/autoscaling", "components/bulk-jobs"):
        (image,) = yaml.safe_load((DEPLOY / f"k8s/{place}/kustomization.yaml").read_text())["images"]
        found[f"k8s/{place}/kustomization.yaml"] = image["newTag"]
    for name, service in services.items():
        repository, _, tag = service.get("image", "").partition(":")
        if repository == "waitless":
            found[f"compose.yaml, {name}"] = tag
    for path in [*DEPLOY.glob("k8s/base/*.yaml"), *DEPLOY.glob("k8s/components/*/*.yaml")]:
        for item in yaml.safe_load_all(path.read_text()):
            if item and item.get("kind") == "Job":
                name = item["metadata"]["name"]
                found[f"{path.name}, {name}"] = re.sub(r"^waitless-[a-z-]+-(?=\d)", "", name).replace("-", ".")
    return [f"{where} says {said}, the crates {right}" for where, said in found.items() if said != right]
