"""The Dockerfile and the compose file."""

import pathlib
import re
import subprocess

import compose_spec
import yaml

import settings

DEPLOY = settings.ROOT / "deploy"


def check(programs: pathlib.Path) -> list[str]:
    return dockerfile(programs) + compose((DEPLOY / "compose.yaml").read_text())


def binaries() -> set[str]:
    """What the image holds below /usr/local/bin."""
    _, _, whole = (DEPLOY / "Dockerfile").read_text().partition(" AS all\n")
    return {pathlib.PurePath(path).name for path in re.findall(r"^COPY --from=build (/out/bin/\S+) /usr/local/bin/$", whole, re.M)}


def image_settings() -> tuple[dict[str, object], list[str]]:
    """What the image's own configuration file says."""
    return settings.of_file((DEPLOY / "image.toml").read_text(), "image.toml")


def dockerfile(programs: pathlib.Path) -> list[str]:
    path = DEPLOY / "Dockerfile"
    answer = subprocess.run([programs / "hadolint", path], capture_output=True, text=True, check=False)
    faults = answer.stdout.splitlines() + answer.stderr.splitlines()
    text = path.read_text()
    script = (DEPLOY / "build-release").read_text()
    for package in re.findall(r"-p ([a-z-]+)", script):
        if not (settings.ROOT / package / "Cargo.toml").exists():
            faults.append(f"build-release: there is no package {package}")
    for sources in re.findall(r"^COPY (deploy/.*) \S+$", text, re.M):
        faults += [f"Dockerfile: there is no file {source}" for source in sources.split() if not (settings.ROOT / source).exists()]
    for name in ("build-release", "package-binaries"):
        faults += subprocess.run(["sh", "-n", DEPLOY / name], capture_output=True, text=True, check=False).stderr.splitlines()
    if binaries() != set(re.search(r'^programs="(.*)"$', script, re.M)[1].split()):
        faults.append("Dockerfile: the image holds other programs than are built")
    # A variable of the image would win over whatever file is mounted.
    for name in re.findall(r"\b(WAITLESS_[A-Z0-9_]+)=", text):
        if name != "WAITLESS_CONFIG":
            faults.append(f"Dockerfile: {name} of the image wins over the file that somebody mounts")
    found, wrong = image_settings()
    faults += wrong + [f"image.toml: {key} is not set" for key in ("http.listen", "service.data_dir") if key not in found]
    labels = ("title", "description", "licenses", "version", "revision", "created")
    faults += [f"Dockerfile: there is no label {label}" for label in labels if f"org.opencontainers.image.{label}=" not in text]
    if not re.search(r"^USER [1-9][0-9]*:", text, re.M):
        faults.append("Dockerfile: the image must run as a numbered account that is not root")
    return faults


def compose(text: str) -> list[str]:
    # By the specification's own data model, merge keys resolved.
    plain = yaml.safe_load(text)
    faults = []
    try:
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(plain)).validate()
    except Exception as error:
        faults.append(f"compose.yaml: {error}")
    services, volumes = plain["services"], set(plain.get("volumes", {}))
    for name, service in services.items():
        where = f"compose.yaml, {name}"
        needed = service.get("depends_on", {})
        faults += [f"{where}: there is no service {other}" for other in needed if other not in services]
        for other, condition in needed.items() if isinstance(needed, dict) else []:
            healthy = condition["condition"] == "service_healthy"
            if healthy and "healthcheck" not in services.get(other, {}):
                faults.append(f"{where}: waits for {other} to be healthy, which nothing checks")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            present = (DEPLOY / source).exists() if source.startswith(".") else source in volumes
            if not present:
                faults.append(f"{where}: there is no volume {source}")
        published = [port for port in service.get("ports", []) if not str(port).startswith("127.0.0.1:")]
        faults += [f"{where}: port {port} is open to the network" for port in published]
        if str(service.get("image", "")).startswith("waitless"):
            faults += ours(where, service)
    return faults


def ours(where: str, service: dict) -> list[str]:
    environment = service["environment"]
    faults = [f"{where}: {name} is not a setting" for name in settings.unknown_variables(list(environment))]
    given = {key for name in environment if (key := settings.key_of(name))} | set(image_settings()[0])
    program = service["command"][0]
    faults += settings.missing(given, where, program)
    for key, owner in (("mail.url", "notifier"), ("sources.demo.url", "report-worker")):
        if key in given and program != owner:
            faults.append(f"{where}: has {key} and does not need it")
    if program not in binaries():
        faults.append(f"{where}: the image has no program {service['command'][0]}")
    grace = settings.seconds(settings.DEFAULTS["service"]["shutdown_grace"])
    grace += settings.seconds(str(environment.get("WAITLESS_HTTP__CLOSE_AFTER", "0s")))
    if "stop_grace_period" in service and settings.seconds(service["stop_grace_period"]) <= grace:
        faults.append(f"{where}: is killed before it has handed back what it runs")
    return faults
