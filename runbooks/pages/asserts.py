"""Show the values of an assert that fails, under pytest and in front of an operator.

Python's ``AssertionError`` says nothing, and what was asserted may not be evaluated twice. So every part of an assert
whose value cannot be looked up afterwards (a call, an attribute, an element) is kept in a variable of the same scope
while it is evaluated. The exception itself stays as Python would raise it.

pytest rewrites the asserts of test modules more thoroughly, for twenty times the price, and is not there in a run.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NoReturn, TypeGuard, TypeVar

Detail = Callable[[str, object, object], Sequence[str] | None]
"""Says more of a comparison that is false: called with the operator and both values, returns lines or None."""

RAISE = "@failed"
"""The name under which ``Asserts.failed`` is found by the code that ``Asserts.prepare`` makes. No code can spell it."""

_Node = TypeVar("_Node", bound=ast.expr | ast.stmt)
_MARK = "@"
_LONGEST = 240
_UNSET = Ellipsis
_OPERATORS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_PLAIN = (bool, bytes, complex, float, int, str, type(None))
_READ_AS_WRITTEN = (ast.GeneratorExp, ast.Lambda)


class Asserts:
    """The asserts of the code that runs in one namespace.

    Args:
        detail: says more of a comparison that is false.
    """

    def __init__(self, detail: Detail | None = None) -> None:
        self._detail = detail
        self._tests: list[ast.expr] = []

    def prepare(self, tree: ast.Module) -> None:
        """Change the asserts of a syntax tree in place, so that those that fail call ``failed``."""
        self._prepare(tree.body)

    def _prepare(self, body: list[ast.stmt]) -> None:
        for index in range(len(body) - 1, -1, -1):
            statement = body[index]
            if isinstance(statement, ast.Assert):
                body[index : index + 1] = self._prepared(statement)
                continue
            for name in ("body", "orelse", "finalbody"):
                self._prepare(getattr(statement, name, []))
            for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                self._prepare(part.body)

    def _prepared(self, statement: ast.Assert) -> list[ast.stmt]:
        """Return the statements ``assert TEST, failed(NUMBER, MESSAGE)``, where the call raises, and ``forget``."""
        keeper = _Keeper(statement, len(self._tests))
        statement.test = keeper.keep(statement.test)
        self._tests.append(statement.test)
        at = keeper.at
        function, number = at(ast.Name(RAISE, ast.Load())), at(ast.Constant(len(self._tests) - 1))
        arguments: list[ast.expr] = [number, statement.msg] if statement.msg else [number]
        statement.msg = at(ast.Call(function, arguments, []))
        if not keeper.names:
            return [statement]
        # After, to keep nothing alive. Before, lest a part that is not reached shows what it was the last time.
        forget = at(ast.Assign([at(ast.Name(name, ast.Store())) for name in keeper.names], at(ast.Constant(_UNSET))))
        return [*([forget] if keeper.may_stop_early else []), statement, forget]

    def failed(self, number: int, *message: object) -> NoReturn:
        """Raise the error of a failing assert, with what it saw in ``explained_by``."""
        error = AssertionError(*message)
        frame = sys._getframe(1)
        values = _Values(frame.f_locals, frame.f_globals)
        try:
            error.explained_by = "\n".join(self._explain(self._tests[number], values))  # type: ignore[attr-defined]
        except Exception as trouble:  # a value's own methods may raise anything
            error.explained_by = f"(its values cannot be shown: {type(trouble).__name__})"  # type: ignore[attr-defined]
        raise error

    def _explain(self, test: ast.expr, values: _Values) -> Iterator[str]:
        more: Sequence[str] = ()
        last = _last_comparison(test, values)
        if self._detail and last:
            more = self._detail(*last) or ()
        yield f"assert {more[0] if more else ast.unparse(values.shown(test))}"
        yield from (f"  {line}" for line in more[1:])
        yield from _origins(test, values, 0)


def explanation(error: BaseException) -> str:
    """Return what an assert that failed saw; "" for all other errors."""
    return str(getattr(error, "explained_by", "")) if isinstance(error, AssertionError) else ""


class _Keeper:
    """Wraps the parts of an assert whose values are to be kept in assignments to names of their own."""

    def __init__(self, statement: ast.Assert, number: int) -> None:
        self._place = statement.lineno, statement.col_offset, statement.end_lineno, statement.end_col_offset
        self._number = number
        self.names: list[str] = []
        self.may_stop_early = False

    def at(self, node: _Node) -> _Node:
        """Give a new node the place of the assert."""
        node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = self._place
        return node

    def keep(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name | ast.Constant):
            return node
        if isinstance(node, ast.BoolOp):
            self.may_stop_early = True
            node.values = [self.keep(value) for value in node.values]
        elif isinstance(node, ast.UnaryOp):
            node.operand = self.keep(node.operand)
        elif isinstance(node, ast.BinOp):
            node.left, node.right = self.keep(node.left), self.keep(node.right)
        elif isinstance(node, ast.Compare):
            self.may_stop_early = self.may_stop_early or len(node.comparators) > 1
            node.left = self._keep_whole(node.left)
            node.comparators = [self._keep_whole(value) for value in node.comparators]
        else:
            return self._keep_whole(node)
        return node

    def _keep_whole(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name | ast.Constant):
            return node
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            return self.keep(node)  # of plain values: calculated anew when it is needed
        if isinstance(node, ast.BoolOp | ast.Compare):
            self.keep(node)
        else:
            self._keep_parts(node)
        name = f"{_MARK}{self._number}.{len(self.names)}"
        self.names.append(name)
        return self.at(ast.NamedExpr(self.at(ast.Name(name, ast.Store())), node))

    def _keep_parts(self, node: ast.expr) -> None:
        """Keep the parts of a call, an attribute or an element; what else there is (a literal, a loop) is one value."""
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                node.func.value = self.keep(node.func.value)
            node.args = [self._argument(value) for value in node.args]
            for keyword in node.keywords:
                keyword.value = self.keep(keyword.value)
        elif isinstance(node, ast.Attribute | ast.Await):
            node.value = self.keep(node.value)
        elif isinstance(node, ast.Subscript):
            node.value = self.keep(node.value)
            if not isinstance(node.slice, ast.Slice | ast.Tuple):
                node.slice = self.keep(node.slice)

    def _argument(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Starred):
            node.value = self.keep(node.value)
            return node
        return self.keep(node)


class _Values:
    """What the parts of an assert were, read in its own scope."""

    def __init__(self, local: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        self._scopes = (local, shared, vars(builtins))

    def get(self, name: str) -> object:
        return next((scope[name] for scope in self._scopes if name in scope), _UNSET)

    def of(self, node: ast.expr) -> object:
        """The value of a kept part, a name or a constant; ``_UNSET`` where it was not reached."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.get(node.id)
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            return self._calculated(node)
        return self.get(node.target.id) if _is_kept(node) else _UNSET

    def _calculated(self, node: ast.BinOp | ast.UnaryOp) -> object:
        """Calculate with plain values once more; with others that might do something, so they stay ``_UNSET``."""
        parts = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
        values: list[Any] = [self.of(part) for part in parts]
        if not all(type(value) in _PLAIN for value in values):
            return _UNSET
        first, *others = [ast.Constant(value) for value in values]
        again = ast.UnaryOp(node.op, first) if isinstance(node, ast.UnaryOp) else ast.BinOp(first, node.op, *others)
        return eval(compile(ast.fix_missing_locations(ast.Expression(again)), "<assert>", "eval"))  # noqa: S307

    def shown(self, node: ast.expr) -> ast.expr:
        """Return an expression with values in the places of its parts."""
        if isinstance(node, ast.BoolOp):
            return ast.BoolOp(node.op, [self.shown(value) for value in node.values])
        if isinstance(node, ast.UnaryOp):
            return ast.UnaryOp(node.op, self.shown(node.operand))
        if isinstance(node, ast.BinOp):
            return ast.BinOp(self.shown(node.left), node.op, self.shown(node.right))
        if isinstance(node, ast.Compare):
            return ast.Compare(self.shown(node.left), node.ops, [self.shown(value) for value in node.comparators])
        if isinstance(node, ast.Starred):
            return ast.Starred(self.shown(node.value), ast.Load())
        value = self.of(node)
        if value is _UNSET or isinstance(node, ast.Constant) or hasattr(value, "__name__"):
            return _as_written(node)
        if _is_kept(node) and isinstance(node.value, _READ_AS_WRITTEN):
            return _as_written(node)
        return ast.Name(_text(value), ast.Load())


def _last_comparison(test: ast.expr, values: _Values) -> tuple[str, object, object] | None:
    """Return the comparison that made the test false, with both its values; None where it was none."""
    if not isinstance(test, ast.Compare):
        return None
    operands = [values.of(operand) for operand in (test.left, *test.comparators)]
    last = next((index for index, value in enumerate(operands) if value is _UNSET), len(operands)) - 1
    return (_OPERATORS[type(test.ops[last - 1])], operands[last - 1], operands[last]) if last > 0 else None


def _origins(node: ast.AST, values: _Values, depth: int) -> Iterator[str]:
    """Say where the values of a test come from, the outer ones first, a line each."""
    for part in ast.iter_child_nodes(ast.Expression(node) if depth == 0 else node):  # type: ignore[arg-type]
        if not _is_kept(part):
            if not isinstance(part, (ast.comprehension, *_READ_AS_WRITTEN)):
                yield from _origins(part, values, depth or -1)
            continue
        level = max(depth, 0)
        value, inner = values.of(part), part.value
        if value is not _UNSET and isinstance(inner, ast.Call | ast.Attribute | ast.Await):
            source = ast.unparse(_with_values(inner, values))
            yield f" +{'  ' * level}  where {_text(value)} = {source}"
            level += 1
        yield from _origins(inner, values, level or -1)


def _with_values(node: ast.expr, values: _Values) -> ast.expr:
    """Return a call or an attribute as it is written, with the values of its parts."""
    if isinstance(node, ast.Call):
        function = _with_values(node.func, values) if isinstance(node.func, ast.Attribute) else _as_written(node.func)
        keywords = [ast.keyword(keyword.arg, values.shown(keyword.value)) for keyword in node.keywords]
        return ast.Call(function, [values.shown(value) for value in node.args], keywords)
    if isinstance(node, ast.Attribute):
        return ast.Attribute(values.shown(node.value), node.attr, ast.Load())
    return _as_written(node)


def _as_written(node: ast.expr) -> ast.expr:
    """Return an expression without what was put into it."""
    expression: ast.expr = _Unkept().visit(deepcopy(node))
    return expression


class _Unkept(ast.NodeTransformer):
    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        self.generic_visit(node)
        return node.value if _is_kept(node) else node


def _is_kept(node: ast.AST) -> TypeGuard[ast.NamedExpr]:
    return isinstance(node, ast.NamedExpr) and node.target.id.startswith(_MARK)


def _text(value: object) -> str:
    """Return a value as one line that is not too long."""
    try:
        text = repr(value).replace("\n", "\\n")
    except Exception as error:  # a repr() may do anything
        return f"<{type(value).__name__} whose repr() raises {type(error).__name__}>"
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}...{text[-half:]}"
