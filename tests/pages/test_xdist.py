from __future__ import annotations

import re

from tests.pages.support import Pages
from tests.pages.test_environment_hook import CONFTEST, A, log_of

pytest_plugins = ["pytester"]


def test_the_steps_of_a_page_stay_on_one_worker_and_the_count_is_right(pages: Pages) -> None:
    pages.plugins += ["-p", "xdist.plugin", "-n", "2"]
    pages.write("conftest.py", CONFTEST)
    pages.write("a.md", A)
    for name in "cd":
        steps = "".join(f"```bash\nX=${{X}}x; test $X = {'x' * count}\n```\n\n" for count in range(1, 7))
        pages.write(f"{name}.md", steps + "```bash\necho $X\n```\n\n```output\nx...\n```\n\n```yaml\n```\n")
    pages.write("slow.md", '```{.python data-timeout="0.2"}\nimport time; time.sleep(60)\n```\n')
    pages.write(
        "m.py",
        'class A:\n    """Do.\n\n    ```python\n    x = 1\n    ```\n\n    ```python\n    assert x\n    ```\n    """\n',
    )
    pages.write("test_spread.py", "import pytest\n\n@pytest.mark.parametrize('n', range(8))\ndef test_n(n): pass\n")
    result = pages.run("-v")
    result.assert_outcomes(passed=2 + 14 + 2 + 8, failed=3)
    result.stdout.fnmatch_lines(
        [
            "slow.md:2: still running after 0.2 s; stopped",
            "23 blocks: 19 executed, 2 outputs, 0 exempt, 2 unaccounted",
        ]
    )
    workers: dict[str, set[str]] = {}
    for line in result.outlines:
        if found := re.match(r"\[(gw\d)\] .*(?:PASSED|FAILED) (\S+?)::", line):
            workers.setdefault(found[2], set()).add(found[1])
    assert {name: len(used) for name, used in workers.items() if name != "test_spread.py"} == dict.fromkeys(
        ["a.md", "c.md", "d.md", "m.py", "slow.md"], 1
    )
    assert [line for line in log_of(pages) if not line.startswith("asked")] == ["up A", "down A"]
