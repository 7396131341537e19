"""The settings of Waitless: whatever names one must name one that exists."""

import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULTS = tomllib.loads((ROOT / "shared/configuration/src/default.toml").read_text())
# Read by the command line, not by the configuration.
OTHERS = {"WAITLESS_CONFIG"}
SOURCE = {"url", "max_connections"}
# Without these a process in production mode does not start.
COMMON = ["service.link_secret", "database.url", "broker.url", "storage.url", "http.listen"]
NEEDED = {
    "api": [*COMMON, "service.public_url"],
    "report-worker": COMMON,
    "notifier": [*COMMON, "service.public_url", "mail.url"],
    "waitless": ["database.url"],
}


def key_of(variable: str) -> str | None:
    """`section.key` of a variable, `None` if it is not a setting."""
    match = re.fullmatch(r"WAITLESS_([A-Z0-9]+)__([A-Z0-9_]+?)(_FILE)?", variable)
    if authority := re.fullmatch(r"WAITLESS_([A-Z]+)__CA_FILE", variable):
        section = authority[1].lower()
        return f"{section}.ca_file" if "ca_file" in DEFAULTS.get(section, {}) else None
    if not match:
        source = re.fullmatch(r"WAITLESS_SOURCES__([A-Z0-9_]+?)__(URL|MAX_CONNECTIONS)(_FILE)?", variable)
        return f"sources.{source[1].lower()}.{source[2].lower()}" if source else None
    section, key = match[1].lower(), match[2].lower()
    if section == "sources":
        name, _, setting = key.rpartition("__")
        return f"sources.{name}.{setting}" if name and setting in SOURCE else None
    return f"{section}.{key}" if key in DEFAULTS.get(section, {}) else None


def unknown_variables(names: list[str]) -> list[str]:
    """Which of the variables would be refused, or would quietly do nothing."""
    return [name for name in names if name.startswith("WAITLESS_") and name not in OTHERS and key_of(name) is None]


def of_file(text: str, where: str) -> tuple[dict[str, object], list[str]]:
    """The settings of a configuration file by `section.key`, and what is wrong with it."""
    found, faults = {}, []
    for section, keys in tomllib.loads(text).items():
        for key, value in keys.items():
            found[f"{section}.{key}"] = value
            if section != "sources" and key not in DEFAULTS.get(section, {}):
                faults.append(f"{where}: {section}.{key} is not a setting")
    return found, faults


def missing(found: set[str], where: str, program: str) -> list[str]:
    """What a process of production needs and does not get."""
    return [f"{where}: {key} is not set" for key in NEEDED.get(program, []) if key not in found]


def seconds(duration: str) -> float:
    """A duration as it is written in the configuration."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|[smhd])", duration))
