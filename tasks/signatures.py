"""The parameters of a job are those of its function: checked when a task is asked for, not when it runs."""

import hashlib
import inspect
import json
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from tasks.errors import BadRequest
from tasks.text import Secret

Params = dict[str, Any]


def complete(function: Callable[..., Any], params: Mapping[str, Any]) -> Params:
    """The parameters with the function's defaults filled in, as they will be after a trip through JSON.

    The function takes the run first and its parameters by keyword. Raises BadRequest for a missing or unknown
    parameter, one of another type than annotated, one that JSON cannot carry, and for a secret: none may lie in a row.
    """
    declared = _parameters(function)
    unknown = params.keys() - declared.keys()
    if unknown:
        raise BadRequest(f"{_name(function)} has no parameter {', '.join(sorted(unknown))}")
    hints = get_type_hints(function)
    filled: Params = {}
    for name, parameter in declared.items():
        if name not in params and parameter.default is inspect.Parameter.empty:
            raise BadRequest(f"{_name(function)} needs the parameter {name}")
        value = params.get(name, parameter.default)
        if name in params and not _fits(value, hints.get(name, Any)):
            raise BadRequest(f"{name}={value!r} of {_name(function)} is not of type {hints[name]}")
        filled[name] = value
    _refuse_secrets(filled)
    return _through_json(filled)


def digest(kind: str, params: Params) -> str:
    """What identical requests share: hexadecimal, 64 characters."""
    canonical = json.dumps([kind, params], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    for parameter in parameters:
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise BadRequest(f"{_name(function)} must take {parameter.name} by keyword only")
    return {parameter.name: parameter for parameter in parameters}


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin in (list, tuple):
        return isinstance(value, list | tuple) and (not inner or all(_fits(each, inner[0]) for each in value))
    if origin is dict or is_typeddict(hint):
        return isinstance(value, dict)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _refuse_secrets(value: Any) -> None:
    if isinstance(value, Secret):
        raise BadRequest("a secret must not be a parameter of a task: pass the id of the row that keeps it encrypted")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for each in inner:
        _refuse_secrets(each)


def _through_json(params: Params) -> Params:
    try:
        return dict(json.loads(json.dumps(params, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"the parameters {sorted(params)} cannot be written as JSON: {error}") from error
