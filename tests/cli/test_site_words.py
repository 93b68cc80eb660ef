"""The files of a site speak the language of its queue."""

import pytest
import yaml


@pytest.mark.parametrize(
    ("scheduler", "word"), [("slurm", "the partition"), ("pbs", "the queue"), ("lsf", "the queue")]
)
def test_a_queue_is_called_what_the_scheduler_calls_it(ssefw, tmp_path, scheduler, word):
    ssefw("init-site", scheduler, "--to", "site", "--store", "st")
    text = (tmp_path / "site/queue.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.strip().startswith("queue:")]
    assert f"# {word}; null is the site's default" in line
    assert "Slurm" not in text
    assert ("constraint" in text) is (scheduler == "slurm")
    (example,) = [line for line in text.splitlines() if "directives" in line]
    assert isinstance(yaml.safe_load(example.partition("writes it: ")[2]), list)
