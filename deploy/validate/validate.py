"""Checks everything below deploy/, and then that the checks themselves find what is wrong."""

import argparse
import copy
import pathlib
import subprocess
import sys

import yaml

import bill
import breakages
import containers
import copies
import helm
import observability
import versions
from manifests import Manifests
from settings import ROOT

K8S = ROOT / "deploy/k8s"


def render(kubectl: str, folder: pathlib.Path) -> list[dict]:
    rendered = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if rendered.returncode:
        sys.exit(f"{folder.relative_to(ROOT)} cannot be rendered:\n{rendered.stderr}")
    return [item for item in yaml.safe_load_all(rendered.stdout) if item]


def of_base(items: list[dict]) -> list[str]:
    """A number of pods in the base would be undone, or would undo, once an autoscaler is added."""
    return [f"k8s/base: {item['metadata']['name']} says how many" for item in items if "replicas" in item.get("spec", {})]


def of_bulk_jobs(kubectl: str, scratch: pathlib.Path, base: list[dict], documented: str) -> tuple[list[str], list[dict]]:
    """The lane `bulk` as jobs of KEDA: the same pod as the deployment's, but for what makes it a job. Beside it, workers that say what
    their pods cost, so that what is broken on purpose finds both."""
    helm.overlay(scratch / "bulk-jobs", ["autoscaling", "bulk-jobs", "pod-deletion-cost"])
    items = render(kubectl, scratch / "bulk-jobs")
    pod = copy.deepcopy(breakages.find(items, "ScaledJob", "report-worker-bulk")["spec"]["jobTargetRef"]["template"]["spec"])
    pod.pop("restartPolicy")
    other = copy.deepcopy(breakages.pod(base, "report-worker-bulk"))
    mine = {"WAITLESS_WORKER__CONCURRENCY", "WAITLESS_WORKER__END_WHEN_IDLE"}
    for container in pod["containers"] + other["containers"]:
        container["env"] = [variable for variable in container["env"] if variable["name"] not in mine]
    faults = [f"k8s/components/bulk-jobs, and the deployment: {fault}" for fault in helm.differences("", pod, other)]
    return faults + Manifests("k8s/components/bulk-jobs", items, documented).check(), items


def of_chart(tool: str, kubectl: str, scratch: pathlib.Path, production: list[dict], documented: str) -> tuple[list[str], int]:
    """The chart with its defaults, without autoscaling, and for production, beside what kustomize makes."""
    chart = helm.Chart(tool)
    faults, seen = chart.lint() + chart.wrong_values(), 0
    helm.overlay(scratch / "autoscaling", ["autoscaling"])
    helm.overlay(scratch / "fixed-size", ["fixed-size"])
    more = ["bulk-jobs", "pod-deletion-cost"]
    helm.overlay(scratch / "more", ["autoscaling", *more])
    helm.production_with(scratch / "production", more)
    chosen = ["--set", "workers.bulk.mode=jobs,podDeletionCost.enabled=true"]
    variants = [
        ("the chart", [], render(kubectl, scratch / "autoscaling")),
        ("the chart without autoscaling", ["--set", "autoscaling.enabled=false"], render(kubectl, scratch / "fixed-size")),
        ("the chart for production", ["-f", str(helm.CHART / "values-production.yaml")], production),
        ("the chart with jobs and deletion cost", chosen, render(kubectl, scratch / "more")),
        (
            "the chart for production with jobs and deletion cost",
            ["-f", str(helm.CHART / "values-production.yaml"), *chosen],
            render(kubectl, scratch / "production"),
        ),
    ]
    for where, arguments, theirs in variants:
        items, wrong = chart.template(*arguments)
        if wrong:
            faults += wrong
            continue
        faults += helm.compare(where, items, theirs) + Manifests(where, items, documented).check() + Manifests(f"{where}, kustomize", theirs, documented).check()
        seen += len(items)
        # A comparison that finds nothing in another object is none.
        other = copy.deepcopy(items)
        next(item for item in other if item["kind"] == "Service")["spec"]["ports"][0]["port"] = 81
        if not helm.compare(where, other, theirs):
            faults.append(f"{where}: a port that differs from kustomize's was not noticed")
    return faults, seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--helm", required=True)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--scratch", required=True, type=pathlib.Path)
    parser.add_argument("--promtool", default="")
    parser.add_argument("--refresh", action="store_true")
    arguments = parser.parse_args()
    if arguments.refresh:
        copies.refresh()
    documented = (K8S / "README.md").read_text()
    faults, seen = containers.check(arguments.bin) + observability.check() + observability.with_promtool(arguments.promtool) + copies.check() + versions.check(), 0
    rendered = {}
    for folder in (K8S / "base", K8S / "overlays/demo", K8S / "overlays/production"):
        items, name = render(arguments.kubectl, folder), str(folder.relative_to(ROOT))
        faults += Manifests(name, items, documented).check()
        seen, rendered[folder.name] = seen + len(items), items
    faults += of_base(rendered["base"])
    scratch = arguments.scratch.resolve()
    faults += bill.check(scratch)
    wrong, jobs = of_bulk_jobs(arguments.kubectl, scratch, rendered["base"], documented)
    faults, seen = faults + wrong, seen + len(jobs)
    charted, made = of_chart(arguments.helm, arguments.kubectl, scratch, rendered["production"], documented)
    for fault in faults + charted:
        print(fault, file=sys.stderr)
    if faults or charted:
        sys.exit(f"deploy/: {len(faults + charted)} faults")
    broken = [*breakages.all_of((rendered["demo"], rendered["production"], jobs), documented), *observability.breakages(arguments.promtool), *bill.breakages(scratch)]
    missed = [what for what, noticed in broken if not noticed]
    if missed:
        sys.exit("the validation no longer notices: " + "; ".join(missed))
    print(
        f"deploy/: image and its crates, compose file, {seen} objects of kustomize and {made} of the chart, alerts with their runbooks and dashboard are "
        f"valid; {len(broken)} breakages were noticed"
    )


if __name__ == "__main__":
    main()
