"""Each file of slow tests has its turn."""

import subprocess
from types import SimpleNamespace

from tests.conftest import REPOSITORY, pytest_terminal_summary, slow_time_is_over
from tests.slow_order import commit_of, in_turn

NAMES = [f"tests/test_{number}.py" for number in range(40)]
COMMITS = [f"{number:040x}" for number in range(60)]


def test_a_commit_decides_the_order_whatever_the_order_of_asking():
    first = in_turn(NAMES, COMMITS[0])
    assert sorted(first) == sorted(NAMES)
    assert in_turn(reversed(NAMES), COMMITS[0]) == first
    assert in_turn(NAMES, COMMITS[1]) != first


def test_every_file_comes_among_the_first_within_some_dozen_commits():
    leaders = {name for commit in COMMITS for name in in_turn(NAMES, commit)[:10]}
    assert leaders == set(NAMES)


def test_without_a_commit_the_order_is_fixed(tmp_path):
    assert commit_of(tmp_path) == ""
    assert in_turn(NAMES, "") == sorted(NAMES)


def test_the_commit_is_that_of_git():
    asked = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert commit_of(REPOSITORY) == (done.stdout.strip() if done.returncode == 0 else "")


def test_the_summary_says_how_many_were_left_out():
    over = SimpleNamespace(longrepr=("conftest.py", 1, f"Skipped: {slow_time_is_over(8.0)}"))
    other = SimpleNamespace(longrepr=("conftest.py", 1, "Skipped: torch sees no GPU here"))
    lines = []
    reporter = SimpleNamespace(
        stats={"skipped": [over, other, over]}, write_line=lines.append
    )  # fmt: skip
    pytest_terminal_summary(reporter)
    (line,) = lines
    assert line.startswith("2 slow tests were left out")
    reporter.stats["skipped"] = [other]
    pytest_terminal_summary(reporter)
    assert len(lines) == 1
