"""Alerts and dashboard: every query must parse, and every metric in them must be one the code emits, with those labels."""

import json
import pathlib
import re
import subprocess
import tempfile

import promql_parser
import yaml

import settings

FOLDER = settings.ROOT / "deploy/observability"
SOURCES = ["shared", "api", "report-worker", "notifier", "standalone"]
# What Prometheus itself adds.
OTHERS = {"up"}


def emitted() -> dict[str, tuple[str, set[str]]]:
    """Kind and labels of every metric in the code."""
    found: dict[str, tuple[str, set[str]]] = {}
    for folder in SOURCES:
        for path in sorted((settings.ROOT / folder).glob("**/src/**/*.rs")):
            text = path.read_text()
            for match in re.finditer(r'\b(counter|gauge|histogram)!\(\s*"(waitless_\w+)"([^;]*?)\)\s*\.', text):
                kind, name, rest = match.groups()
                labels = set(re.findall(r'"(\w+)" =>', rest))
                if "&labels" in rest:
                    labels |= set(re.findall(r'\("(\w+)",', text[max(0, match.start() - 400) : match.start()]))
                known = found.get(name, (kind, set()))
                found[name] = (kind, known[1] | labels)
    return found


def all_rules() -> list[dict]:
    return [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    rules = all_rules()
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return [(f"alert {rule['alert']}" if "alert" in rule else f"record {rule['record']}", rule["expr"]) for rule in rules] + [
        (f"panel {panel['title']}", target["expr"]) for panel in panels for target in panel["targets"]
    ]


def runbooks(page: str) -> list[str]:
    """Every alert leads to what to do about it, and nothing is left there of one that is gone."""
    rules = [rule for rule in all_rules() if "alert" in rule]
    text = page.partition("\n## Runbooks\n")[2]
    written = dict(re.findall(r"^### (\w+)\n(.+)$", text, re.M))
    names = {rule["alert"] for rule in rules}
    faults = [f"docs/OPERATIONS.md: there is no runbook of {name}" for name in sorted(names - written.keys())]
    faults += [f"docs/OPERATIONS.md: there is no alert {name}" for name in sorted(written.keys() - names)]
    for rule in rules:
        if rule["annotations"].get("runbook") != f"docs/OPERATIONS.md#{rule['alert'].lower()}":
            faults.append(f"alert {rule['alert']}: does not lead to its runbook")
        if not {"summary", "description"} <= set(rule["annotations"]) or "severity" not in rule["labels"]:
            faults.append(f"alert {rule['alert']}: does not say what is wrong, and how badly")
    return faults


def check(metrics: dict[str, tuple[str, set[str]]] | None = None) -> list[str]:
    metrics = metrics or emitted()
    faults = runbooks((settings.ROOT / "docs/OPERATIONS.md").read_text()) + bounds()
    for where, query in queries():
        query = query.replace("$__rate_interval", "5m")
        try:
            promql_parser.parse(query)
        except Exception as error:
            faults.append(f"{where}: {error}")
            continue
        for name in set(re.findall(r"\bwaitless_\w+", query)):
            faults += check_metric(where, query, name, metrics)
    return faults + recorded()


def recorded(rules: list[dict] | None = None) -> list[str]:
    """Every name that is used was recorded before, and every one that is recorded is used."""
    rules = rules or all_rules()
    made = [rule["record"] for rule in rules if "record" in rule]
    faults = [f"record {name}: twice" for name in set(made) if made.count(name) > 1]
    used = {name for _, query in queries() for name in re.findall(r"\bwaitless:[\w:]+", query)}
    faults += [f"no rule records {name}" for name in sorted(used - set(made))]
    return faults + [f"record {name}: nothing uses it" for name in sorted(set(made) - used)]


def bounds() -> list[str]:
    """A share of what was quick enough is read at a bound that histograms have."""
    text = (settings.ROOT / "shared/runtime/src/telemetry.rs").read_text()
    known = {float(number) for number in re.search(r"const BUCKETS[^=]*=\s*\[([^\]]*)\]", text)[1].split(",")}
    used = {(where, le) for where, query in queries() for le in re.findall(r'le="([0-9.]+)"', query)}
    return [f"{where}: no histogram has the bound {le}" for where, le in sorted(used) if float(le) not in known]


def with_promtool(promtool: str, text: str | None = None) -> list[str]:
    """Prometheus' own tool reads the rules, and does with made-up series what `alerts.test.yaml` says."""
    if not promtool:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "alerts.yaml").write_text(text or (FOLDER / "alerts.yaml").read_text())
        (folder / "alerts.test.yaml").write_text((FOLDER / "alerts.test.yaml").read_text())
        faults = []
        for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
            answer = subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if answer.returncode:
                faults.append(f"promtool {' '.join(arguments)}: {answer.stdout.strip()} {answer.stderr.strip()}")
        return faults


def check_metric(where: str, query: str, name: str, metrics: dict[str, tuple[str, set[str]]]) -> list[str]:
    plain = re.sub(r"_(bucket|sum|count)$", "", name)
    kind, labels = metrics.get(plain) or metrics.get(name) or (None, set())
    if kind is None:
        return [f"{where}: no metric {name} is emitted"]
    if (kind == "histogram") != name.endswith(("_bucket", "_sum", "_count")):
        return [f"{where}: {name} is a {kind}"]
    if kind == "counter" and not re.search(rf"(?:rate|increase)\({name}[^)]*\)", query):
        return [f"{where}: {name} only grows; take its rate"]
    used = set(re.findall(rf"{name}{{(\w+)=", query))
    if len(re.findall(r"\bwaitless_\w+", query)) == 1:
        used |= {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.replace(" ", "").split(",")}
    return [f"{where}: {name} has no label {label}" for label in used - labels - {"le", "job", "instance"}]


def breakages(promtool: str) -> list[tuple[str, bool]]:
    """Whether a metric that is gone, of another kind or without its label is noticed."""
    metrics = emitted()
    gone = {name: what for name, what in metrics.items() if name != "waitless_uncovered_jobs"}
    other = {**metrics, "waitless_outbox_backlog": ("counter", set())}
    bare = {**metrics, "waitless_jobs": ("gauge", set())}
    page = (settings.ROOT / "docs/OPERATIONS.md").read_text()
    unwritten = page.replace("### WaitlessJobsWait", "### WaitlessJobsRest")
    text = (FOLDER / "alerts.yaml").read_text()
    broken = {
        "an alert that looks at the last minutes only": text.replace("bad_ratio_rate1h > 14.4", "bad_ratio_rate5m > 14.4"),
        "an alert of three events": text.replace(">= 20", ">= 0"),
        "an alert of another lane": text.replace('lane="interactive"', 'lane="bulk"'),
        "an alert of lists": text.replace(',method="POST"', ""),
    }
    with_tool = [(what, bool(with_promtool(promtool, wrong))) for what, wrong in broken.items()] if promtool else []
    unrecorded = [rule for rule in all_rules() if rule.get("record") != "waitless:mail:bad_ratio_rate1h"]
    with_tool.append(("a name that no rule records", bool(recorded(unrecorded))))
    return with_tool + [("an alert without runbook", len(runbooks(unwritten)) == 2), ("a metric that is gone", bool(check(gone))), ("a metric of another kind", bool(check(other))), ("a label that is gone", bool(check(bare)))]
