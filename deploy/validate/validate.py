"""Checks everything below deploy/, and then that the checks themselves find what is wrong."""

import argparse
import copy
import pathlib
import subprocess
import sys

import yaml

import breakages
import containers
import observability
from manifests import Manifests
from settings import ROOT

K8S = ROOT / "deploy/k8s"


def render(kubectl: str, folder: pathlib.Path) -> list[dict]:
    rendered = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if rendered.returncode:
        sys.exit(f"{folder.relative_to(ROOT)} cannot be rendered:\n{rendered.stderr}")
    return [item for item in yaml.safe_load_all(rendered.stdout) if item]


def check_commands(items: list[dict], where: str) -> list[str]:
    faults, programs = [], containers.binaries()
    for item in items:
        for container in item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            if container["image"].split(":")[0] == "waitless" and container["command"][0] not in programs:
                faults.append(f"{where}: {item['metadata']['name']}: the image has no program {container['command'][0]}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    documented = (K8S / "README.md").read_text()
    faults, seen = containers.check(arguments.bin) + observability.check(), 0
    demo = None
    for folder in (K8S / "base", K8S / "overlays/demo"):
        items, name = render(arguments.kubectl, folder), str(folder.relative_to(ROOT))
        faults += Manifests(name, items, documented).check() + check_commands(items, name)
        seen, demo = seen + len(items), items
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(f"deploy/: {len(faults)} faults")
    broken = [*breakages.all_of(copy.deepcopy(demo), documented), *observability.breakages()]
    missed = [what for what, noticed in broken if not noticed]
    if missed:
        sys.exit("the validation no longer notices: " + "; ".join(missed))
    print(f"deploy/: image, compose file, {seen} Kubernetes objects, alerts and dashboard are valid; {len(broken)} breakages were noticed")


if __name__ == "__main__":
    main()
