"""What stands under `deploy/` for containers: it lints, it names what there is, and everything in it is pinned."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from streams.settings import ROLES, load_settings, variables

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE_TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(COMPOSE_TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("churnwatch:")}
WORKERS = {name: service for name, service in OURS.items() if service["command"][0] == "worker"}
ENV_LINE = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)


def tool(name: str) -> str:
    """A command of this environment, else of the machine."""
    here = Path(sys.executable).with_name(name)
    found = str(here) if here.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: `make install` brings it where there is a wheel for this machine")
    return found


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert run(tool("hadolint"), DEPLOY / "Dockerfile") == ""


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN pip install churnwatch\n")

    assert "DL3006" in run(tool("hadolint"), bad)


def test_the_compose_file_keeps_to_its_specification() -> None:
    checked = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert checked == ""


def test_the_schema_of_compose_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "compose.yaml"
    bad.write_text("services: {one: {image: 'valkey:8', depend_on: [two]}}\n")

    assert "depend_on" in run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", bad)


def test_every_image_names_a_full_version() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(r"PYTHON_IMAGE=(\S+)", DOCKERFILE)

    for image in images:
        assert re.search(r":(\$\{CHURNWATCH_VERSION:-)?v?\d+\.\d+\.\d+", image), image


def test_the_image_does_not_run_as_root_and_looks_after_itself() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage
    assert "pip" not in last_stage


def test_everything_that_is_copied_into_the_image_is_in_the_tree_and_not_ignored() -> None:
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]

    assert copied
    assert set(copied) == kept
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_wheel_needs_nothing_that_the_image_leaves_out() -> None:
    included = re.search(r"force-include]\n(.*?)\n\n", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert included is not None
    copied = set(re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE))

    for path in re.findall(r'^"(.+?)" =', included.group(1), re.MULTILINE):
        assert any(path.startswith(name) for name in copied), path


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_what_the_image_installs_is_what_the_tests_ran_with(name: str) -> None:
    pins = re.compile(r"^(\S+==\S+)", re.MULTILINE)
    tested = set(pins.findall((ROOT / "requirements-dev.txt").read_text()))

    installed = set(pins.findall((DEPLOY / name).read_text()))
    assert installed
    assert installed <= tested


def test_the_workers_of_the_compose_file_do_everything_once_the_door_where_it_is_wanted() -> None:
    roles = [word for service in WORKERS.values() for word in service["command"][1:] if word != "--role"]

    assert sorted(roles) == sorted(ROLES)
    assert SERVICES["door"]["profiles"] == ["door"]


def test_every_setting_that_the_files_name_exists_and_their_values_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    example = dict(ENV_LINE.findall((DEPLOY / "env.example").read_text()))
    in_compose = {name for service in OURS.values() for name in service.get("environment", {})}
    asked_for = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))

    assert {name for name in in_compose | asked_for | set(example) if name.startswith("CHURN_")} <= set(variables())
    assert asked_for - set(variables()) <= set(example)
    for name, value in example.items():
        monkeypatch.setenv(name, value)
    assert load_settings().replication == 1


def test_everything_that_is_mounted_is_in_the_tree() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    from_the_tree = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", mount).partition(":")[0] for mount in mounts]

    for path in from_the_tree:
        assert (DEPLOY / path).exists() or path in COMPOSE["volumes"], path


def test_every_service_says_when_it_is_well_and_gives_up_rights() -> None:
    for name, service in SERVICES.items():
        assert "healthcheck" in service or name in WORKERS, name
        if name != "kafka":
            assert service["cap_drop"] == ["ALL"], name


def test_who_tells_and_who_serves_links_have_the_file_of_routes_where_one_is_named_and_nobody_else() -> None:
    given = {name for name, service in WORKERS.items() if "CHURN_ROUTES" in service.get("environment", {})}

    assert given == {"deliver", "door"}
    for name in given:
        _, _, inside = WORKERS[name]["environment"]["CHURN_ROUTES"].partition(":+")
        assert any(f":{inside.removesuffix('}')}:ro" in mount for mount in WORKERS[name]["volumes"]), name
        # A service that adds to what all have does not lose it.
        assert WORKERS[name]["environment"].items() >= WORKERS["ingest"]["environment"].items()


def test_who_drops_all_rights_does_not_begin_as_root() -> None:
    begin_as_others = {"prom/prometheus", "grafana/grafana", "churnwatch"}  # USER nobody, 472, 10001 in their images
    for name, service in SERVICES.items():
        if service.get("cap_drop") == ["ALL"]:
            assert service["image"].partition(":")[0] in begin_as_others or service["user"].partition(":")[0].isdigit(), name
