"""Works out what stands between `$((` and `))`, where only whole numbers are left in it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv,
    ast.Mod: operator.mod,
}


def calculated(text: str) -> int:
    """Return the number.

    Raises:
        SyntaxError, ValueError, ZeroDivisionError, RecursionError: It is no such expression.
    """
    return _of_node(ast.parse(text.replace("/", "//"), mode="eval").body)


def _of_node(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        value = _OPERATORS[type(node.op)](_of_node(node.left), _of_node(node.right))
        if abs(value) > 10**12:
            raise ValueError(value)
        return value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_of_node(node.operand)
    raise ValueError(ast.dump(node))
