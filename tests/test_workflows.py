"""What users copy works: campaign files build, launcher files read, pages are true."""

import re

import pytest
import yaml
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from tests.conftest import REPOSITORY

CAMPAIGNS = sorted((REPOSITORY / "workflows").glob("*.yaml"))
LAUNCHERS = sorted((REPOSITORY / "launchers").rglob("*.yaml"))
RUNNABLE = {"README.md", "concepts.md"}
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.name)
def test_a_campaign_file_becomes_workflows(path):
    spec = read_campaign(path)
    if spec.pool.path is not None and not spec.pool.path.exists():
        spec = spec.model_copy(
            update={"pool": read_campaign(REPOSITORY / "workflows/quickstart.yaml").pool}
        )
    plan = make_plan(spec)
    for candidate, flow in plan.flows():
        workflow = flow_to_workflow(flow)
        # A disordered crystal is ordered first, and its graph grows from there.
        assert len(workflow.fws) >= (2 if candidate.structure.is_ordered else 1)
        specs = [firework.spec for firework in workflow.fws]
        assert {spec["candidate"] for spec in specs} == {candidate.id}
        assert {spec["_category"] for spec in specs} <= {"light", "heavy"}


def test_graphs_of_the_same_campaign_have_the_same_job_ids():
    spec = read_campaign(REPOSITORY / "workflows/quickstart.yaml")
    ids = [[job.uuid for _, flow in make_plan(spec).flows() for job in flow.jobs] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_launcher_file_is_yaml_and_holds_no_secret(path):
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    for address in re.findall(r"mongodb://\S+", path.read_text()):
        assert re.search(r"//(USER|user)(:PASSWORD)?@", address)
        # Of what FireWorks' own commands read, which know no other place for it.
        assert ":PASSWORD" not in address or path.name == "my_launchpad.example.yaml"


def test_no_example_of_a_command_shows_a_password():
    for page in [*PAGES, *LAUNCHERS]:
        for line in page.read_text().splitlines():
            if re.search(r"--store|ssefw (init-site|store)", line):
                assert not re.search(r"mongodb\S*://[^\s:/]*:[^@\s]+@", line), (page.name, line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_campaigns_and_code_in_a_page_are_valid(path, tmp_path):
    for number, (language, text) in enumerate(
        re.findall(r"```(yaml|python)\n(.*?)```", path.read_text(), re.DOTALL)
    ):
        if language == "python":
            code = compile(text, f"{path.name}:{number}", "exec")
            if path.name in RUNNABLE:  # other pages speak of files that the reader has
                exec(code, {})
        elif "campaign:" in text:
            (tmp_path / "c.yaml").write_text(text)
            read_campaign(tmp_path / "c.yaml")


def test_the_table_of_keys_is_complete():
    from pydantic import BaseModel

    from ssefw.campaigns.file import CampaignSpec

    def keys(model, prefix=""):
        for name, field in model.model_fields.items():
            parts = [field.annotation, *getattr(field.annotation, "__args__", ())]
            inner = [p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)]
            engines = {"neb.engine", "neb.first", "learn.teacher", "confirm.engine"}
            like_others = engines | {"learn.otherwise", "learn.then"}
            if prefix + name in like_others:
                yield prefix + name  # blocks like `engine` and `md`, whose keys are in the table
            elif inner and name not in {"structures", "properties", "triage"}:
                yield from keys(inner[0], f"{prefix}{name}.")
            else:
                yield prefix + name

    table = (REPOSITORY / "docs/campaigns.md").read_text()
    for key in keys(CampaignSpec):
        assert f"`{key}`" in table, key
