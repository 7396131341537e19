"""The list of crates in the image: what deploy/sbom.py writes must be CycloneDX, and hold what the programs are made of."""

import json
import pathlib
import subprocess
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import containers
import settings

TRIPLES = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
# A crate that each is made of, one that only tests use, and one that is for another system.
HAS, HAS_NOT = {"tokio", "model", "rustls"}, {"insta", "proptest", "testing", "windows-sys", "cc"}


def check(scratch: pathlib.Path) -> list[str]:
    faults, programs = [], sorted(containers.binaries())
    for triple in TRIPLES:
        folder = scratch / "sbom" / triple
        command = [sys.executable, settings.ROOT / "deploy/sbom.py", triple, folder, *programs]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            return [f"sbom.py: {answer.stderr.strip().splitlines()[-1]}"]
        for program in programs:
            text = (folder / f"{program}.cdx.json").read_text()
            faults += [f"sbom.py, {program} for {triple}: {fault}" for fault in wrong_with(text)]
    return faults


def wrong_with(text: str) -> list[str]:
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if error is not None:
        return [str(error).splitlines()[0]]
    components = json.loads(text)["components"]
    names = {one["name"] for one in components}
    foreign = [one["name"] for one in components if "purl" in one and "hashes" not in one]
    return (
        [f"{name} is missing" for name in sorted(HAS - names)]
        + [f"{name} is in no program" for name in sorted(HAS_NOT & names)]
        + [f"{name} has no checksum" for name in foreign]
    )


def breakages(scratch: pathlib.Path) -> list[tuple[str, bool]]:
    """Whether a list that is none, or that leaves something out, is noticed."""
    text = (scratch / "sbom" / TRIPLES[0] / "api.cdx.json").read_text()
    found = json.loads(text)
    short = {**found, "components": [one for one in found["components"] if one["name"] != "tokio"]}
    return [
        ("a list of crates in no known format", bool(wrong_with(text.replace('"components"', '"crates"', 1)))),
        ("a list of crates without one of them", bool(wrong_with(json.dumps(short)))),
    ]
