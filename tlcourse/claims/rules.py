"""Evaluate the pass rule of a claim: an inequality over named measurements, and nothing else."""

import ast
import operator

_BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS = {"abs": abs, "min": min, "max": max, "len": len, "all": all, "any": any}
_ATTRIBUTES = ("mean", "low", "high", "n")


def names(rule: str) -> set[str]:
    """The measurements that a rule speaks of.

    Example:
        >>> sorted(names("gain.low > 0 and max(drops) < 0.1"))
        ['drops', 'gain']
    """
    tree = _parse(rule)
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found - set(_FUNCTIONS)


def evaluate(rule: str, measured: dict) -> bool:
    """Whether the measurements satisfy the rule.

    Args:
        rule: comparisons joined by `and`, `or` and `not`, over numbers, names, arithmetic, the
            functions abs, min, max, len, all, any, and `.mean .low .high .n` of estimates.
        measured: the value of each name: a number, a bool, a string, a list of numbers or an
            `Estimate`.

    Raises:
        ValueError: the rule uses anything else, or a name was not measured.

    Example:
        >>> evaluate("0.4 < share < 0.6", {"share": 0.5})
        True
    """
    missing = names(rule) - set(measured)
    if missing:
        raise ValueError(
            f"The rule {rule!r} needs {', '.join(sorted(missing))}, which was not measured."
        )
    return bool(_value(_parse(rule), measured))


def _parse(rule: str) -> ast.expr:
    try:
        return ast.parse(rule, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"The rule {rule!r} is not an expression: {error.msg}.") from None


def _value(node: ast.expr, measured: dict):
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name(id=name):
            return measured[name]
        case ast.Attribute(value=inner, attr=attribute) if attribute in _ATTRIBUTES:
            return getattr(_value(inner, measured), attribute)
        case ast.Subscript(value=inner, slice=index):
            return _value(inner, measured)[_value(index, measured)]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, measured)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, measured)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left, measured), _value(right, measured))
        case ast.BoolOp(op=op, values=values):
            join = all if isinstance(op, ast.And) else any
            return join(_value(value, measured) for value in values)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            operands = [_value(operand, measured) for operand in (left, *comparators)]
            pairs = zip(ops, operands, operands[1:], strict=False)
            if all(type(op) in _COMPARE for op in ops):
                return all(_COMPARE[type(op)](_rounded(a), _rounded(b)) for op, a, b in pairs)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(argument, measured) for argument in arguments))
    raise ValueError(
        f"A rule may not contain {ast.unparse(node)!r}; "
        "write comparisons of measured names, joined by and, or, not."
    )


def _rounded(value):
    """Twelve digits: 0.865 - 0.665 is a gain of 0.2, whatever floating point makes of it."""
    return float(f"{value:.12g}") if isinstance(value, float) else value
