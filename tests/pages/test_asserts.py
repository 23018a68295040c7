"""What a failing assert shows, without pytest, and that it is otherwise an assert like any other."""

from __future__ import annotations

import time

import pytest

from tests.pages.support import Pages, make_page, run_text

pytest_plugins = ["pytester"]

JOB = """
class Job:
    status = "failed"
    tries = 3
    def images(self, size=0): return ["a.png"]
    def __repr__(self): return "<Job 7>"
class Sly:
    def __repr__(self): raise OSError
job, limit, found, sly = Job(), 3, {"a": {"b": 4}}, Sly()
"""


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        ("limit + 1 == 5", ["assert 3 + 1 == 5"]),
        ("job.status == 'completed'", ["assert 'failed' == 'completed'", " +  where 'failed' = <Job 7>.status"]),
        ("len(job.images(size=limit)) > limit",
         ["assert 1 > 3", " +  where 1 = len(['a.png'])", " +    where ['a.png'] = <Job 7>.images(size=3)"]),
        ("limit == 3 and job.tries == 4", ["assert 3 == 3 and 3 == 4", " +  where 3 = <Job 7>.tries"]),
        ("job.tries == 4 and job.images()", ["assert 3 == 4 and job.images()", " +  where 3 = <Job 7>.tries"]),
        ("not job.tries", ["assert not 3", " +  where 3 = <Job 7>.tries"]),
        ("limit < job.tries < 5", ["assert 3 < 3 < 5", " +  where 3 = <Job 7>.tries"]),
        ("all(n > 3 for n in [limit])", ["assert False", " +  where False = all((n > 3 for n in [limit]))"]),
        ("found['a']['b'] == 5", ["assert 4 == 5"]),
        ("[n for n in (1, 2)] == []", ["assert [1, 2] == []"]),
        ("max(*[1, 2]) is None", ["assert 2 is None", " +  where 2 = max(*[1, 2])"]),
        ("isinstance(limit, str)", ["assert False", " +  where False = isinstance(3, str)"]),
        ("(size := job.tries) == 9", ["assert 3 == 9"]),
        ("sly == 1", ["assert <Sly whose repr() raises OSError> == 1"]),
        ("str(job) * 99 == ''", ["assert '<Job 7>' * 99 == ''", " +  where '<Job 7>' = str(<Job 7>)"]),
        ("repr('x' * 300) == ''", [f"assert \"'{'x' * 118}...{'x' * 118}'\" == ''",
         f" +  where \"'{'x' * 118}...{'x' * 118}'\" = repr('x' * 300)"]),
    ],
)  # fmt: skip
def test_a_failing_assert_shows_the_values_of_its_parts(test: str, shown: list[str]) -> None:
    _, result = run_text(f"```python\n{JOB}```\n\n```python\nassert {test}\n```\n")
    assert result.error is not None
    assert result.error.message == f"AssertionError: {shown[0]}"
    assert result.error.details.splitlines()[1:] == [f"E   {line}" for line in shown[1:]]


def test_its_message_comes_first() -> None:
    (result,) = run_text("```python\nx = 1\nassert x == 2, 'see the log'\n```\n")
    assert result.error is not None
    assert result.error.details == "E   AssertionError: see the log\nE   assert 1 == 2"


def test_every_part_is_evaluated_once_and_none_that_python_would_not() -> None:
    code = """
seen = []
def f(n): seen.append(n); return n
def in_a_function():
    for n in range(2):
        if True:
            assert f(1) < f(2) and (f(0) or f(3)) and not f(0), f(9)
    try: assert f(5) > f(6) > f(7), f(8)
    except AssertionError as error: return error
class InAClass:
    assert f(10) + f(11)
error = in_a_function()
print(seen, error.args, vars(InAClass).get('f'))
assert error.args == (8,)
"""
    (result,) = run_text(f"```python\n{code}```\n")
    assert result.error is None
    assert result.output == "[10, 11, 1, 2, 0, 3, 0, 1, 2, 0, 3, 0, 5, 6, 8] (8,) None\n"


def test_an_assert_keeps_nothing_alive_and_forgets_what_it_saw_the_last_time() -> None:
    code = """
import weakref
class Thing: pass
def make():
    thing = Thing(); refs.append(weakref.ref(thing)); return thing
refs = []
assert make()
print(refs[0]() is None)
for n in (1, 0):
    try: assert n and len("ab") == 3
    except AssertionError as error: last = error
print(last.explained_by)
"""
    (result,) = run_text(f"```python\n{code}```\n")
    assert result.output == 'True\nassert 0 and len("ab") == 3\n'.replace('"', "'")


def test_an_assert_in_a_coroutine_a_match_and_a_handler_shows_its_values() -> None:
    code = """
import asyncio
async def three(): return 3
async def main():
    match 1:
        case 1:
            try: raise ValueError
            except ValueError:
                assert await three() == 4
asyncio.run(main())
"""
    (result,) = run_text(f"```python\n{code}```\n")
    assert result.error is not None
    assert result.error.message == "AssertionError: assert 3 == 4"


def test_the_output_of_a_step_that_must_fail_is_what_python_prints() -> None:
    step = '```{.python data-fails="AssertionError"}\nx = 1\nassert x == 2, "no"\n```\n\n'
    (result,) = run_text(step + "```output\nAssertionError: no\n```\n")
    assert result.error is None


def test_pytest_s_hook_explains_a_comparison(pages: Pages) -> None:
    pages.write("conftest.py", "def pytest_assertrepr_compare(op, left, right): return [f'{left} {op}! {right}', 'so']")
    pages.write("page.md", "```python\nx = 1\nassert x == 2\n```\n\n```python\nassert 1 < x < 1\n```\n")
    lines = pages.run().outlines
    assert [line for line in lines if line.startswith("E")] == ["E   AssertionError: assert 1 ==! 2", "E     so"]


def test_it_costs_little_more_than_a_plain_assert() -> None:
    """Measured at twice the time of a plain block; pytest's own rewriting takes twenty times as long."""
    from runbooks.pages import Session

    page = make_page("```python\nx = 3\nassert x + 1 == 3 + 1\n```\n\n```python\nx = 3\nx + 1 == 3 + 1\n```\n")

    def least(number: int) -> float:
        times = []
        for _ in range(50):
            begun = time.process_time()
            session._python._compile(page.steps[number])
            times.append(time.process_time() - begun)
        return min(times)

    with Session(page) as session:
        assert least(0) < 10 * least(1)
