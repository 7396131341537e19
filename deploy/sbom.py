#!/usr/bin/env python3
"""Writes which crates a program is made of, as CycloneDX 1.5: sbom.py TRIPLE FOLDER PROGRAM...

From cargo's own resolution for that platform, without what only tests and builds use, with the checksums of Cargo.lock. Needs Python 3.11 and
cargo, and nothing else.
"""

import json
import os
import pathlib
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]


def metadata(triple: str) -> dict:
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--locked", "--format-version", "1", "--filter-platform", triple]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def checksums() -> dict[tuple[str, str], str]:
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(package["name"], package["version"]): package["checksum"] for package in packages if "checksum" in package}


def reached(nodes: dict[str, dict], start: str) -> list[str]:
    """What a package is built of: dependencies of what it is built with, and of tests, are not followed."""
    seen, to_see = set(), [start]
    while to_see:
        name = to_see.pop()
        if name in seen:
            continue
        seen.add(name)
        to_see += built_of(nodes[name])
    return sorted(seen)


def built_of(node: dict) -> list[str]:
    return sorted(dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"]))


def reference(package: dict) -> str:
    """Names a crate without the folder it was built in."""
    return f"{package['name']}@{package['version']}"


def component(package: dict, sums: dict) -> dict:
    name, version = package["name"], package["version"]
    found = {"type": "library", "bom-ref": reference(package), "name": name, "version": version}
    if package["license"]:
        # The old way of writing an alternative is none of the expressions that the format knows.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["source"]:
        found["purl"] = f"pkg:cargo/{name}@{version}"
    if (name, version) in sums:
        found["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
    return found


def bill(program: str, triple: str, known: dict, sums: dict) -> dict:
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    of = [id for id in known["workspace_members"] for target in packages[id]["targets"] if target["name"] == program and "bin" in target["kind"]]
    if len(of) != 1:
        sys.exit(f"sbom.py: there is no program {program}")
    crates = reached(nodes, of[0])
    main = {**component(packages[of[0]], sums), "type": "application", "name": program}
    reproducible = uuid.uuid5(uuid.NAMESPACE_URL, f"{program} {triple} {' '.join(reference(packages[id]) for id in crates)}")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{reproducible}",
        "version": 1,
        "metadata": {"component": main, "properties": [{"name": "cargo:target", "value": triple}]},
        "components": [component(packages[id], sums) for id in crates if id != of[0]],
        "dependencies": [
            {"ref": reference(packages[id]), "dependsOn": [reference(packages[other]) for other in built_of(nodes[id])]} for id in crates
        ],
    }


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    triple, folder, programs = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    known, sums = metadata(triple), checksums()
    for program in programs:
        text = json.dumps(bill(program, triple, known, sums), indent=1)
        (folder / f"{program}.cdx.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
