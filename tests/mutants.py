"""Wrong answers made by machine: every small change of a printed solution, and everything that one can do to a result.

A mutant is the source of an answer with one change, or the answer with one thing done to its inputs or its result.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import torch

OPERATORS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult, ast.FloorDiv],
    ast.FloorDiv: [ast.Div], ast.Pow: [ast.Mult], ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd],
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq],
}  # fmt: skip
# Functions and methods that are easily confused.
NAMES = {
    "mean": ["sum", "median"], "sum": ["mean"], "median": ["mean", "max"], "abs": ["square", "negative"],
    "square": ["abs"], "argmax": ["argmin"], "argmin": ["argmax"], "max": ["min"], "min": ["max"],
    "round": ["floor", "trunc", "ceil"], "softmax": ["log_softmax", "sigmoid_"], "sqrt": ["square"],
    "clamp_min": ["clamp_max"], "std": ["var"], "any": ["all"], "zeros": ["ones"], "eye": ["ones_"],
    "cosine_similarity": ["pairwise_distance"], "logsumexp": ["sum", "amax"], "relu": ["sigmoid"],
    "normalize": ["softmax"], "append": ["extend"], "cat": ["stack"], "sf": ["cdf"], "ppf": ["cdf"],
}  # fmt: skip
# Calls that a mutant leaves out; what they are called on, or their first argument, stays.
LEFT_OUT = {
    "abs", "square", "sqrt", "clamp_min", "relu", "detach", "round", "clip", "softmax", "mean", "sum", "T", "flatten",
    "masked_fill", "normalize", "int", "float", "argsort", "median", "std", "broadcast_to", "view_as",
}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the changed source) for every small change of a function's or class's body."""
    seen = {ast.unparse(ast.parse(source))}
    tree = ast.parse(source)
    for place, node in enumerate(ast.walk(tree)):
        for name, change in _changes(node):
            changed = ast.parse(source)
            twin = next(other for spot, other in enumerate(ast.walk(changed)) if spot == place)
            try:
                _replace(changed, twin, change(copy.deepcopy(twin)))
                text = ast.unparse(ast.fix_missing_locations(changed))
            except (ValueError, AttributeError, TypeError):
                continue
            if text not in seen:
                seen.add(text)
                yield f"{name}, at {node.lineno}:{node.col_offset}", text


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST | None) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                return setattr(parent, field, new)
            if isinstance(value, list) and any(item is old for item in value):
                at = next(spot for spot, item in enumerate(value) if item is old)
                value[at : at + 1] = [] if new is None and len(value) > 1 else [new or ast.Pass()]
                return None
    return None


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable]]:
    """(name, function from a copy of the node to what takes its place)."""
    for kind, changes in (
        (ast.BinOp, _operators), (ast.Compare, _comparisons), (ast.Constant, _constants), (ast.Call, _calls),
        (ast.UnaryOp, lambda _: [("without its sign", lambda n: n.operand)]),
        (ast.Attribute, _attributes), (ast.Slice, _slices), (ast.Dict, lambda _: []), (ast.List, _orders),
        (ast.Tuple, _orders), (ast.If, _branches), (ast.IfExp, _ifs), (ast.Assign, _deleted), (ast.AugAssign, _deleted),
        (ast.Subscript, lambda _: [("without its index", lambda n: n.value)]),
    ):  # fmt: skip
        if isinstance(node, kind):
            yield from changes(node)


def _set(**fields) -> Callable:
    def change(node):
        for name, value in fields.items():
            setattr(node, name, value)
        return node

    return change


def _operators(node):
    for other in OPERATORS.get(type(node.op), []):
        yield f"{type(node.op).__name__} → {other.__name__}", _set(op=other())
    if not isinstance(node.op, ast.MatMult):
        yield f"only what is left of {type(node.op).__name__}", lambda n: n.left
    yield f"only what is right of {type(node.op).__name__}", lambda n: n.right
    yield f"sides of {type(node.op).__name__} exchanged", lambda n: _set(left=n.right, right=n.left)(n)


def _comparisons(node):
    for other in OPERATORS.get(type(node.ops[0]), []):
        yield f"{type(node.ops[0]).__name__} → {other.__name__}", _set(ops=[other()])
    for value in (True, False):
        yield f"comparison → {value}", lambda _, value=value: ast.Constant(value)


def _constants(node):
    x = node.value
    if isinstance(x, bool):
        yield f"{x} → {not x}", _set(value=not x)
    elif isinstance(x, int | float):
        for other in dict.fromkeys([x + 1, x - 1, -x, 0, 2 * x, x + 0.5 if isinstance(x, float) else x]):
            if other != x:
                yield f"{x} → {other}", _set(value=other)
    elif isinstance(x, str) and len(x) > 1:
        yield f"{x!r} shortened", _set(value=x.strip() if x != x.strip() else x[:-1])


def _calls(node):
    method = isinstance(node.func, ast.Attribute)
    called = node.func.attr if method else getattr(node.func, "id", "")
    for other in NAMES.get(called, []):
        func = ast.Attribute(node.func.value, other, ast.Load()) if method else ast.Name(other, ast.Load())
        yield f"{called} → {other}", _set(func=func)
    module = method and isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "torch", "F")
    if called in LEFT_OUT:
        inner = node.args[0] if node.args and (module or not method) else node.func.value if method else None
        if inner is not None:
            yield f"without {called}", lambda n, m=module or not method: n.args[0] if m else n.func.value
    if len(node.args) >= 2:
        yield f"first two arguments of {called} exchanged", lambda n: _set(args=[n.args[1], n.args[0], *n.args[2:]])(n)
    for at, keyword in enumerate(node.keywords):
        yield (
            f"{called} without {keyword.arg}",
            lambda n, at=at: _set(keywords=n.keywords[:at] + n.keywords[at + 1 :])(n),
        )


def _attributes(node):
    if node.attr == "T":
        yield "without T", lambda n: n.value
    if node.attr == "private":
        yield "private → common", _set(attr="common")


def _slices(node):
    if node.upper and not node.lower:
        yield "the other part of the slice", lambda n: _set(lower=n.upper, upper=None)(n)
    if node.upper or node.lower:
        yield "the whole instead of a slice", _set(lower=None, upper=None)
        yield "one less in the slice", lambda n: _set(upper=ast.BinOp(n.upper, ast.Sub(), ast.Constant(1)))(n)


def _orders(node):
    if isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield "parts in reversed order", lambda n: _set(elts=n.elts[::-1])(n)
        for at in range(len(node.elts)):
            yield f"without part {at}", lambda n, at=at: _set(elts=n.elts[:at] + n.elts[at + 1 :])(n)


def _branches(node):
    yield "condition → True", _set(test=ast.Constant(True))
    yield "condition → False", _set(test=ast.Constant(False))


def _ifs(node):
    yield "always the first case", lambda n: n.body
    yield "always the other case", lambda n: n.orelse


def _deleted(node):
    yield "statement left out", lambda n: ast.Pass()


def distorted(answer: Callable) -> Iterator[tuple[str, Callable]]:
    """The answer with one thing done to its inputs or to its result."""
    for name, change in RESULTS.items():  # of one number `reversed` is the same
        yield f"result {name}", lambda *inputs, change=change: change(answer(*inputs))
    count = answer.__code__.co_argcount
    for at in range(count):
        yield f"argument {at} frozen", _frozen(answer, at)
        yield f"argument {at} is nothing", lambda *x, at=at: answer(*x[:at], _emptied(x[at]), *x[at + 1 :])
        yield f"argument {at} written into", lambda *x, at=at: _spoiled(answer, x, at)
        yield f"argument {at} detached", lambda *x, at=at: answer(*x[:at], _detached(x[at]), *x[at + 1 :])
        yield f"argument {at} rounded", lambda *x, at=at: answer(*x[:at], _rounded(x[at]), *x[at + 1 :])
    for a in range(count):
        for b in range(a):
            yield f"arguments {b} and {a} exchanged", lambda *x, a=a, b=b: answer(*_exchanged(x, a, b))


def _each(change: Callable) -> Callable:
    """Done to every number, tensor or array in a result."""

    def changed(x):
        if isinstance(x, dict):
            return {key: changed(value) for key, value in x.items()}
        return type(x)(map(changed, x)) if isinstance(x, tuple | list) else change(x)

    return changed


RESULTS = {
    "negated": _each(lambda x: ~x if getattr(x, "dtype", None) == torch.bool else -x),
    "+ 0.01": _each(lambda x: x + 0.01),
    "× 1.001": _each(lambda x: x * 1.001),
    "rounded to one decimal": _each(lambda x: x.round(decimals=1) if isinstance(x, torch.Tensor) else np.round(x, 1)),
    "as a list": _each(lambda x: x.tolist() if hasattr(x, "tolist") and getattr(x, "ndim", 0) else [x]),
    "in a list": lambda x: [x],
    "as text": str,
    "nothing": lambda x: (x, None)[1],
    "detached": _each(lambda x: x.detach()),
    "a number": _each(lambda x: float(x.detach()) if isinstance(x, torch.Tensor) and not x.ndim else str(x)),
    "with one more axis": _each(lambda x: x[None] if hasattr(x, "ndim") else np.array([x])),
    "transposed": _each(lambda x: x.transpose(-1, -2) if isinstance(x, torch.Tensor) else x.T),
    "reversed": _each(lambda x: x.flip(0) if isinstance(x, torch.Tensor) else x[::-1]),
    "half precision": _each(lambda x: x.half() if isinstance(x, torch.Tensor) else np.float16(x)),
    "whole numbers": _each(lambda x: x.int() if isinstance(x, torch.Tensor) else int(x)),
    "on another device": _each(lambda x: x.to("meta")),
    "the other library's": _each(lambda x: x.detach().numpy() if isinstance(x, torch.Tensor) else torch.as_tensor(x)),
}


def _frozen(answer, at):
    first = []

    def call(*inputs):
        first.append(inputs[at])
        return answer(*inputs[:at], first[0], *inputs[at + 1 :])

    return call


def _over(x, change):
    if isinstance(x, SimpleNamespace):
        return SimpleNamespace(**{name: _over(value, change) for name, value in vars(x).items()})
    if isinstance(x, dict):
        return {key: _over(value, change) for key, value in x.items()}
    return change(x)


def _emptied(x):
    return _over(x, lambda y: y * 0)


def _detached(x):
    return _over(x, lambda y: y.detach())


def _rounded(x):
    return _over(x, lambda y: y.round() if isinstance(y, torch.Tensor) else np.round(y))


def _exchanged(inputs, a, b):
    inputs = list(inputs)
    inputs[a], inputs[b] = inputs[b], inputs[a]
    return inputs


def _spoiled(answer, inputs, at):
    result, x = answer(*inputs), inputs[at]
    if isinstance(x, dict):
        x.pop(next(iter(x)))
    else:
        with torch.no_grad():
            x[:] = x * 0 + 1
    return result
