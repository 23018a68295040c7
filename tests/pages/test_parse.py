from __future__ import annotations

import time
from pathlib import Path

import markdown  # type: ignore[import-untyped]
import pytest

from runbooks.pages import Kind, parse_page
from tests.pages.support import make_page, problems_of, run_all


def names(text: str) -> list[str]:
    return [block.name for block in make_page(text).blocks]


def test_a_page_has_meta_title_and_sections_with_their_blocks() -> None:
    page = make_page(
        """
        ---
        title: Restart the worker
        needs: [lab]
        ---
        Introduction.

        ## Step 1: `make up`

        ```bash
        true
        ```

        ### Why *not* [later](x.md)? { #later .c }

        ## Step 1: `make up`

        ```python
        pass
        ```
        """
    )
    assert page.title == "Restart the worker"
    assert page.meta == {"title": "Restart the worker", "needs": ["lab"]}
    assert [(part.title, part.slug, part.level, part.line) for part in page.sections] == [
        ("Step 1: make up", "step-1-make-up", 2, 7),
        ("Why not later?", "later", 3, 13),
        ("Step 1: make up", "step-1-make-up_1", 2, 15),
    ]
    assert [[block.name for block in part.blocks] for part in page.sections] == [
        ["step-1-make-up[bash]"],
        [],
        ["step-1-make-up_1[python]"],
    ]


def test_the_title_is_the_first_heading_when_the_front_matter_has_none() -> None:
    assert make_page("text\n\nIs the mock up?\n===============\n").title == "Is the mock up?"


def test_the_name_is_the_path_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "a.md"
    path.write_text("\ufeff---\ntitle: A\n---\n", "utf-8")
    page = parse_page(path, root=tmp_path)
    assert (page.name, page.path, page.title) == ("docs/a.md", path, "A")


def test_blocks_in_tabs_admonitions_and_lists_are_found_at_their_lines() -> None:
    page = make_page(
        """
        # T

        === "curl"

            ```bash
            echo tab
            ```

        === "Python"

            Text.

            ```python
            print("tab")
            ```

        !!! note "Careful"
            ```bash
            echo admonition
            ```

        ??? tip

            === "Shell"

                ```sh
                echo nested
                ```

        1. One

            ```bash
            echo list
            ```

        > ```bash
        > echo quote
        > ```
        """
    )
    assert [(block.line, block.name, block.code) for block in page.steps] == [
        (5, "t[curl-bash]", "echo tab\n"),
        (13, "t[python]", 'print("tab")\n'),
        (18, "t[bash]", "echo admonition\n"),
        (26, "t[shell-sh]", "echo nested\n"),
        (32, "t[bash-2]", "echo list\n"),
        (36, "t[bash-3]", "echo quote\n"),
    ]
    assert [block.lines for block in page.steps] == [(6,), (14,), (19,), (27,), (33,), (37,)]
    assert [block.tabs for block in page.steps][:4] == [("curl",), ("Python",), (), ("Shell",)]


def test_literal_text_and_comments_are_no_blocks() -> None:
    text = """
        Write it so:

            ```bash
            echo literal
            ```

            ```bash

        <!--
        ```bash
        echo comment
        ```
        -->

        Text with ```` ```bash ```` in it, and
        ```inline``` code.

        ```bash
        echo step
        ```
        """
    assert [block.code for block in make_page(text).blocks] == ["echo step\n"]


def test_a_fence_in_a_longer_fence_is_its_text() -> None:
    page = make_page(
        """
        ````{.markdown data-exempt="it shows how a page is written"}
        ```bash
        echo shown
        ```
        ````
        """
    )
    (block,) = page.blocks
    assert (block.kind, block.reason) == (Kind.EXEMPT, "it shows how a page is written")
    assert block.code == "```bash\necho shown\n```\n"


def test_both_fence_syntaxes_give_classes_and_attributes() -> None:
    page = make_page(
        """
        ```bash title="how to notest this" linenums="1"
        true
        ```

        ``` { .python .rollback .no-copy #anchor data-timeout="2.5" data-fails=ValueError title='A "title"' }
        raise ValueError
        ```

        ~~~{.sh .changes}
        true
        ~~~
        """
    )
    first, second, third = page.steps
    assert (first.title, first.timeout, first.changes) == ("how to notest this", 60, False)
    assert (second.title, second.timeout, second.fails, second.rollback) == ('A "title"', 2.5, "ValueError", True)
    assert (third.runner, third.changes, third.rollback) == ("shell", True, False)


def test_an_output_block_belongs_to_the_step_right_before_it() -> None:
    page = make_page(
        """
        === "Shell"

            ```bash
            echo 1
            ```

            ```output
            1
            ```

        === "Python"

            ```python
            print(2)
            ```

        You see:

        ```output
        2
        ```
        """
    )
    assert [(step.expected.text, step.expected.line) for step in page.steps if step.expected] == [
        ("1\n", 8),
        ("2\n", 20),
    ]


def test_every_other_block_is_exempt_with_a_reason_or_unaccounted() -> None:
    page = make_page(
        """
        ```yaml
        a: 1
        ```

        ```
        nothing
        ```

        ```{.json data-exempt="what the file holds"}
        {}
        ```

        ```{.bash data-exempt="it needs a GPU"}
        nvidia-smi
        ```
        """
    )
    assert [(block.kind.value, block.reason) for block in page.blocks] == [
        ("unaccounted", ""),
        ("unaccounted", ""),
        ("exempt", "what the file holds"),
        ("exempt", "it needs a GPU"),
    ]
    assert page.steps == ()


@pytest.mark.parametrize(
    ("fence", "says"),
    [
        ("```bash notest", 'data-exempt="the reason"'),
        ("```python continuation", "the blocks of a page share their state"),
        ("```python fixture:server", "pytest_runbooks_environment"),
        ('```bash title="x" changes', "go into braces"),
        ("```bash {.changes}", "{.bash .changes}"),
        ("```{bash}", "the language starts with a dot: {.bash}"),
        ("```{.changes .bash}", "the language comes first"),
        ("```{.bash .chnages}", "did you mean .changes?"),
        ("```{.bash .rollbak}", "did you mean .rollback?"),
        ("```{.bash .change}", "did you mean .changes?"),
        ('```{.bash data-timout="5"}', "did you mean data-timeout?"),
        ('```{.bash data-colour="5"}', "there are data-exempt, data-timeout, data-fails"),
        ('```{.bash exempt="a reason"}', "did you mean data-exempt?"),
        ("```{.bash notest}", 'data-exempt="the reason"'),
        ('```{.bash data-exempt=" "}', "data-exempt needs a reason"),
        ('```{.bash data-timeout="soon"}', "must be a number of seconds"),
        ('```{.bash data-timeout="0"}', "must be a number of seconds"),
        ('```{.bash data-timeout="nan"}', "must be a number of seconds"),
        ('```{.bash data-fails="ValueError"}', "an exit code from 1 to 255"),
        ('```{.bash data-fails="0"}', "an exit code from 1 to 255"),
        ('```{.python data-fails="2"}', "the name of an exception"),
        ("```console", "a console block begins with a command"),
    ],
)
def test_a_wrong_fence_is_a_problem_at_its_line(fence: str, says: str) -> None:
    ((line, message),) = problems_of(f"text\n\n{fence}\ntrue\n```\n")
    assert line == 3
    assert says in message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a\n\n```bash\necho\n", 3, "never closed"),
        ("```bash\necho\n````\n```\n", 3, "closes the fence of line 1 for some readers only"),
        ("```bash\necho\n ```\n```\n", 3, "closes the fence of line 1 for some readers only"),
        ("=== 'a'\n\n    ```bash\necho\n    ```\n", 3, "never closed"),
        ("- ```bash\n  echo\n  ```\n", 1, "on the line of a list marker"),
        ("text\n\n<!-- note\n\n```bash\ntrue\n```\n", 3, "comment is never closed"),
        ("```bash\n\n```\n", 1, "this step is empty"),
        ("```output\nx\n```\n", 1, "must follow the step"),
        ("```bash\ntrue\n```\n\n```output\n```\n\n```output\n```\n", 8, "must follow the step"),
        ("```console\n$ true\n```\n\n```output\n```\n", 5, "holds its own output"),
        ('```bash\ntrue\n```\n\n```{.output data-timeout="5"}\n```\n', 5, "data-timeout says nothing about an output"),
        ("```bash\necho a\necho b > /dev/stderr\n```\n", 3, "'> /dev/stderr' would lose what was printed before it"),
        ("```console\n$ echo b | tee /dev/stderr\n```\n", 2, "write tee -a"),
        ("```python\nimport os\nos.system('echo b > /dev/stderr')\n```\n", 3, "write >&2"),
        ("```python\nrun(['tee', '/dev/stderr'])\n```\n", 2, "write 'tee', '-a'"),
        ("```python\nprint(1, file=open('/dev/stdout', 'w'))\n```\n", 2, "write mode 'a'"),
        ("---\na: [\n---\n", 2, "front matter is not YAML"),
        ("---\n- a\n---\n", 1, "`key: value` lines"),
    ],
)
def test_a_broken_page_has_a_problem_at_its_line(text: str, line: int, says: str) -> None:
    found = problems_of(text)
    assert found[0][0] == line
    assert says in found[0][1]


def test_an_include_is_expanded_and_its_lines_stand_where_the_include_is(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("# --8<-- [start:job]\nx = 1\n# --8<-- [end:job]\ny = 2\nz = 3\n")
    page = make_page(
        """
        ```python
        a = 0
        if a == 0:
            --8<-- "job.py:job"
        --8<-- "job.py:4:4"
        ;--8<-- "job.py"
        b = 1
        ```
        """,
        root=tmp_path,
    )
    (step,) = page.steps
    assert step.code == 'a = 0\nif a == 0:\n    x = 1\ny = 2\n--8<-- "job.py"\nb = 1\n'
    assert step.lines == (2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize(
    ("include", "says"),
    [
        ('--8<-- "gone.sh"', "'gone.sh' cannot be read: No such file"),
        ('--8<-- "../outside.sh"', "leads out of"),
        ('--8<-- "here.sh:nowhere"', "names a section that the file does not have"),
        ("--8<--", "the block form is not supported"),
    ],
)
def test_an_include_that_cannot_be_followed_is_a_problem(tmp_path: Path, include: str, says: str) -> None:
    (tmp_path / "here.sh").write_text("true\n")
    ((line, message),) = problems_of(f"```bash\n{include}\n```\n", root=tmp_path)
    assert line == 1
    assert says in message


def test_an_included_file_brings_its_steps_and_sections_which_stand_at_the_include_s_line(tmp_path: Path) -> None:
    (tmp_path / "inner.md").write_text("```bash\ntrue\n```\n")
    (tmp_path / "setup.md").write_text('## Set up\n\n--8<-- "inner.md"\n\n```python\nx = (\n  1\n)\n```\n')
    page = make_page('# Page\n\n--8<-- "setup.md"\n\n```bash\nfalse\n```\n', root=tmp_path)
    assert [(step.name, step.line, set(step.lines)) for step in page.steps] == [
        ("set-up[bash]", 3, {3}),
        ("set-up[python]", 3, {3}),
        ("set-up[bash-2]", 5, {6}),
    ]
    assert [result.passed for result in run_all(page)] == [True, True, False]


def test_files_that_include_each_other_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text('--8<-- "b.md"\n')
    (tmp_path / "b.md").write_text('--8<-- "a.md"\n--8<-- "a.md"\n')
    assert problems_of('--8<-- "a.md"\n', root=tmp_path) == [(1, "files include each other more than 8 deep")]


def test_names_do_not_change_when_a_block_is_added_behind() -> None:
    one = "## S\n\n```bash\ntrue\n```\n\n```bash\ntrue\n```\n"
    assert names(one) == ["s[bash]", "s[bash-2]"]
    assert names(one + "\n```bash\ntrue\n```\n")[:2] == names(one)


def test_names_are_unique_also_for_a_heading_called_top() -> None:
    page = make_page("```bash\ntrue\n```\n\n# Top\n\n```bash\ntrue\n```\n\n# !\n\n```bash\ntrue\n```\n")
    assert [block.name for block in page.blocks] == ["top[bash]", "top[bash-2]", "_1[bash]"]
    assert [len(part.blocks) for part in page.sections] == [1, 1, 1]


RENDERED = """
# A `code` title & more

## Same

## Same

Setext *title*
--------------

```bash title="x"
echo 1
```

=== "a"

    ```{.bash .changes data-timeout="5"}
    echo 2
    ```

    * item

        ```python
        echo = 3
        ```

=== "b"
    ```bash
    echo 4
    ```

!!! note
    text

    ```output
    5
    ```

Literal:

    ```bash
    echo no
    ```

<div class="grid" markdown>
```bash
echo 6
```
</div>

1. one

    ```bash
    echo 7
    ```

        ```bash
        echo no
        ```

  ```bash
  echo 8
  ```

- two

  ```bash
  echo 9
  ```

> ```bash
> echo 10
> ```

````markdown
```bash
echo inner
```
````

```bash
cat <<'END'
    ```
END
```
"""


def test_the_site_renders_exactly_the_blocks_and_anchors_that_are_found() -> None:
    extensions = ["toc", "attr_list", "admonition", "md_in_html", "pymdownx.superfences", "pymdownx.tabbed"]
    options = {"pymdownx.tabbed": {"alternate_style": True}}
    html = markdown.markdown(RENDERED, extensions=extensions, extension_configs=options)
    page = parse_page(RENDERED)
    assert page.problems == ()
    assert html.count('highlight"') == len(page.blocks) == 12
    for section in page.sections:
        assert f'id="{section.slug}"' in html


@pytest.mark.parametrize(
    "text",
    [
        '## Step\n\n=== "a"\n\n    ```bash\n    echo\n    ```\n\n' * 4000,
        "```bash\n" * 20_001,
        "x\n\n    ```bash\n" * 10_000,
        "".join("`" * (3 + n) + "bash\n" for n in range(1000)),
        "<!-- x\n" * 20_000,
        "\n".join(" " * n + "- x" for n in range(1000)),
        "```{.text data-exempt='long'}\n" + "x\n" * 200_000 + "```\n",
    ],
    ids=["many-steps", "unclosed", "literal", "longer-and-longer", "comments", "deep", "long"],
)
def test_a_huge_page_is_read_in_a_time_that_grows_with_its_size(text: str) -> None:
    begun = time.process_time()
    parse_page(text)
    assert time.process_time() - begun < 2
