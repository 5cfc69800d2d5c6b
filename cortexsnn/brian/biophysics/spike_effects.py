"""What a spike adds to its target, and the parameters of synapses that it is proportional to: their weights."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from inspect import cleandoc

from cortexsnn.brian.circuit import COUNT, SynapseModel
from cortexsnn.errors import InputError
from cortexsnn.network import Projection

__all__ = ["added_by_spike", "hidden_weight"]

Names = frozenset[str]
_NONE: Names = frozenset()


def added_by_spike(model: SynapseModel, projection: Projection) -> list[tuple[str, Names]]:
    """Variables of the target to which a spike adds, each with the parameters that are weights there.

    A parameter is a weight where multiplying it multiplies what is added: a factor, or one in each term of a sum. A
    further parameter of the synapse, such as a probability of release, is none.

    Parameters
    ----------
    model : SynapseModel
    projection : Projection

    Returns
    -------
    list of (str, frozenset of str)
        In the order of the code; without names where a line shows no weight. Of several factors, the last one is it.

    Raises
    ------
    InputError
        If the code cannot be read.

    Examples
    --------
    >>> projection = Projection("input", "hidden1", [[0.8]])
    >>> noisy = SynapseModel("w : 1", "v_post += w*(1 + 0.2*randn()){count}")
    >>> added_by_spike(noisy, projection)
    [('v', frozenset({'w'}))]
    """
    try:
        statements = ast.parse(cleandoc(model.code("1"))).body
    except SyntaxError:
        raise hidden_weight(model, projection) from None
    stands_for: dict[str, Names] = {name: frozenset({name}) for name in model.values(projection)}
    added = []
    for statement in statements:
        match statement:
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add() | ast.Sub(), value=value):
                if name not in stands_for:
                    added.append((name.removesuffix("_post"), _factor(value, stands_for)))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.endswith("_post"):
                # What is added by such a line is not looked for.
                if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(value)):
                    added.append((name.removesuffix("_post"), _NONE))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                stands_for[name] = _factor(value, stands_for)
    return added


def hidden_weight(model: SynapseModel, projection: Projection) -> InputError:
    """What is wrong with code that does not show its weights.

    Parameters
    ----------
    model : SynapseModel
    projection : Projection

    Returns
    -------
    InputError

    Examples
    --------
    >>> hidden_weight(SynapseModel("w : 1", "v_post += exp(w)"), Projection("input", "hidden1", [[0.8]])).expected
    'lines such as v_post += w{count}'
    """
    return InputError(f"on_pre of '{projection.name}'", model.on_pre, f"lines such as v_post += w{COUNT}",
                      "it must show which parameter multiplies all that is added")  # fmt: skip


def _factor(term: ast.expr, stands_for: Mapping[str, Names]) -> Names:
    """The parameters with which a term grows in proportion; none if there are none."""
    match term:
        case ast.Name(id=name):
            return stands_for.get(name, _NONE)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _factor(operand, stands_for)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _factor(right, stands_for) or _factor(left, stands_for)
        case ast.BinOp(left=left, op=ast.Div()):
            return _factor(left, stands_for)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            both = _factor(left, stands_for), _factor(right, stands_for)
            return both[0] | both[1] if all(both) else _NONE
    return _NONE
