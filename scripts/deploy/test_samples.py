"""The samples of services: accepted by what will read them, and consistent with the programs: their commands, settings and
exit codes."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from harness.lakehouse import binary

HERE = Path(__file__).parent
SYSTEMD = HERE / "systemd"
COMMON = SYSTEMD / "lambdalake-.service.d" / "common.conf"
KUBERNETES = HERE / "kubernetes" / "lambdalake.yaml"
EVERY_KEY = HERE.parents[1] / "lakehouse.toml"

# podFailurePolicy is stable from the first one on; the second is the newest that the validator knows.
KUBERNETES_VERSIONS = ["1.31", "1.37"]

COMMANDS = ["nightly", "maintain", "audit"]


def unit(path):
    parsed = configparser.RawConfigParser(strict=False, delimiters="=", interpolation=None)
    parsed.optionxform = str
    parsed.read_string(path.read_text())
    return parsed


def objects(kind):
    found = {o["metadata"]["name"]: o for o in yaml.safe_load_all(KUBERNETES.read_text()) if o["kind"] == kind}
    assert found, kind
    return found


def pods():
    """Every pod with its name: (name, specification)."""
    found = [(name, o["spec"]["template"]["spec"]) for name, o in objects("Deployment").items()]
    jobs = objects("CronJob").items()
    return found + [(name, o["spec"]["jobTemplate"]["spec"]["template"]["spec"]) for name, o in jobs]


def commands():
    """The command of every service and of every pod: the program and its arguments."""
    starts = [unit(path)["Service"]["ExecStart"] for path in sorted(SYSTEMD.glob("*.service"))]
    services = [start.removeprefix("/usr/local/bin/").split() for start in starts]
    return services + [pod["containers"][0]["args"] for _, pod in pods()]


def known_keys():
    """Sections with their keys, from the file that documents every one."""
    known, section = {}, None
    for line in EVERY_KEY.read_text().splitlines():
        if heading := re.fullmatch(r"#?\[([\w.]+)\]", line):
            section = known.setdefault(heading[1], set())
        elif key := re.match(r"#?(\w+) = ", line):
            section.add(key[1])
    return known


def assert_known(settings, section=""):
    known = known_keys()
    for key, value in settings.items():
        name = f"{section}.{key}".lstrip(".")
        if isinstance(value, dict):
            assert_known(value, name)
        elif section == "lake.storage":
            assert key in {"region", "endpoint", "allow_http"}, name
        else:
            assert key in known[section], name


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_accepts_every_object_and_knows_every_field(version):
    for o in yaml.safe_load_all(KUBERNETES.read_text()):
        kubernetes_validate.validate(o, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found():
    job = next(iter(objects("CronJob").values()))
    job["spec"]["jobTemplate"]["spec"]["podFailurPolicy"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="podFailurPolicy"):
        kubernetes_validate.validate(job, KUBERNETES_VERSIONS[0], strict=True)


def test_pods_run_without_rights():
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_pods_that_keep_rows_of_large_days_have_a_folder_for_them():
    for name, pod in pods():
        (container,) = pod["containers"]
        spills = {mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/tmp"}
        needs = container["args"][1] in {"nightly", "audit"}
        assert spills == ({"spill"} if needs else set()), name
        assert not needs or {"name": "spill", "emptyDir": {}} in pod["volumes"], name


def test_programs_that_stay_have_probes_at_paths_that_they_answer():
    for name, o in objects("Deployment").items():
        (container,) = o["spec"]["template"]["spec"]["containers"]
        for probe in ["livenessProbe", "readinessProbe"]:
            asked = container[probe]["httpGet"]
            assert asked["path"] in {"/metrics", "/health/live", "/health/ready"}, name
            assert asked["port"] in {port["name"] for port in container["ports"]}, name


def test_jobs_try_again_after_external_failures_only():
    jobs = objects("CronJob")
    assert set(jobs) == {f"lambdalake-{command}" for command in COMMANDS}
    for name, o in jobs.items():
        job = o["spec"]["jobTemplate"]["spec"]
        fail, ignore = job["podFailurePolicy"]["rules"]
        assert fail == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}}, name
        assert ignore["action"] == "Ignore", name
        assert job["template"]["spec"]["restartPolicy"] == "Never", f"{name}: a pod failure policy needs it"
        assert job["backoffLimit"] > 0, name
    for command in COMMANDS:
        assert unit(SYSTEMD / f"lambdalake-{command}.service")["Service"]["RestartPreventExitStatus"] == "1 2"
    for program in ["speed-layer", "serving"]:
        assert unit(SYSTEMD / f"lambdalake-{program}.service")["Service"]["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_of_the_samples_are_those_of_the_programs(command):
    program, *arguments = command
    done = subprocess.run(
        [binary(program), *arguments, "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


def test_settings_in_the_samples_have_keys_that_exist():
    settings = tomllib.loads(objects("ConfigMap")["lambdalake"]["data"]["lakehouse.toml"])
    assert_known(settings)
    assert_known(tomllib.loads((SYSTEMD / "lakehouse.toml").read_text()))


def test_services_may_write_where_the_settings_say():
    settings = tomllib.loads((SYSTEMD / "lakehouse.toml").read_text())
    service = unit(COMMON)["Service"]
    assert service["ProtectSystem"] == "strict"
    writable = [Path("/var/lib") / folder for folder in service["StateDirectory"].split()]
    assert Path(settings["batch"]["metrics_file"]).parent in writable
    assert any(Path(settings["lake"]["uri"]).is_relative_to(folder) for folder in writable)


def test_each_command_has_a_timer_in_the_zone_and_in_order():
    times = []
    for command in COMMANDS:
        timer = unit(SYSTEMD / f"lambdalake-{command}.timer")["Timer"]
        assert timer["Persistent"] == "true", command
        _, time, zone = timer["OnCalendar"].split()
        hour, minute, _ = time.split(":")
        spec = objects("CronJob")[f"lambdalake-{command}"]["spec"]
        assert (spec["schedule"], spec["timeZone"]) == (f"{int(minute)} {int(hour)} * * *", zone), command
        times.append(time)
    assert times == sorted(times)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_accepts_the_units(tmp_path):
    """On a copy in which each program is one that exists."""
    shutil.copytree(SYSTEMD, tmp_path / "units")
    units = sorted(path for path in (tmp_path / "units").iterdir() if path.suffix in {".service", ".timer"})
    assert len(units) == 8
    for path in units:
        path.write_text(re.sub(r"/usr/local/bin/[\w-]+", "/bin/true", path.read_text()))
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
