"""An exported program's JSON, checked so that torch runs nothing from it when it reads it.

torch.export.load trusts what it reads. It evaluates symbolic sizes in the JSON as Python (through sympy),
writes names, paths and guards into Python source that it runs, imports what a tree of arguments names, and
accepts any attribute of torch as an operation. So only a known form of each is accepted, and what a program
does not need is left out. `checked` returns what is safe to read; anything else raises `UnsafeError`.
"""

import ast
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from genolift.engine.torch_internals import every_operation, is_composed_of_others, schema_of

_NAME = re.compile(r"[A-Za-z_]\w*")
_PATH = re.compile(r"[\w.\-+ ]*")  # of a parameter: what ModuleDict and ParameterDict take, but no quotes
_SYMBOL = re.compile(r"(?:s|u|zf|zuf)\d+")
_FLOAT = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")
_SIZES = re.compile(
    "Integer|Rational|Add|Mul|Pow|Equality|Unequality|GreaterThan|LessThan|StrictGreaterThan|StrictLessThan|"
    "BooleanTrue|BooleanFalse|"
    "FloorDiv|ModularIndexing|Where|PythonMod|Mod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift|"
    "PowByNatural|FloatPow|FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|"
    "RoundToInt|RoundDecimal|ToFloat|Identity|Max|Min|Eq|Ne|Gt|Ge|Lt|Le|And|Or|Not|floor|ceiling"
)
"""Functions in sizes: those of torch.export, and sympy's that torch writes."""
_LONGEST_SIZE = 2000
_OPERATOR = re.compile(
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|pow|ge|gt|le|lt|eq|ne|getitem|and_|or_|not_|"
    r"lshift|rshift)"
)
_MATH = re.compile(r"math\.(ceil|floor|trunc|sqrt)")
_SYM = re.compile(r"torch\.(sym_(int|float|max|min|ite|not|sqrt|sum|fresh_size)|_sym_sqrt)")
_HIGHER_ORDER = re.compile(r"torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond)")
_ATEN = re.compile(r"torch\.ops\.(aten|prims)\.(\w+)\.(\w+)")
_RECURRENT = re.compile(r"torch\.ops\.(?:aten\.(lstm|gru|rnn_tanh|rnn_relu)\.input|genolift\.(\w+)\.default)")
_WITH_FILES_OR_MEMORY = re.compile(
    r"from_file|_print|record_stream|_?pin_memory|(_?unsafe_)?set(_data)?_?|_?resize\w*|_cufft\w+|_test_\w+"
)
"""ATen operations that read or write a file, print, or give a tensor memory that is not its own."""

_ASSERTIONS = ("_assert_scalar", "_assert_async", "_assert_tensor_metadata")
"""Operations with a text, which torch writes for what it found out about sizes."""


class UnsafeError(Exception):
    """A part of a program that could run code when it is read."""


def checked(program: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a program's JSON that a model needs, on the CPU.

    Raises
    ------
    UnsafeError
        If anything in it is not known to be safe.
    """
    module = program["graph_module"]
    root = next(entry for entry in module["module_call_graph"] if entry["fqn"] == "")
    _check_signature(root["signature"])
    return {
        **_checked(program, ("range_constraints", "schema_version", "opset_version")),
        "graph_module": {
            **_checked(module, ("graph", "signature")),
            # Entries for submodules are only for taking a program apart again.
            "module_call_graph": [{"fqn": "", "signature": _walked(root["signature"])}],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "verifiers": [name for name in program.get("verifiers", []) if name in ("ATEN", "TRAINING")],
        "torch_version": str(program.get("torch_version", "")),
        "guards_code": [],  # Python that torch runs to check inputs
    }


def checked_payload(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layout of a stored tensor, on the CPU.

    Raises
    ------
    UnsafeError
        If the tensor is pickled.
    """
    if entry.get("use_pickle") or not isinstance(entry.get("tensor_meta"), dict):
        raise UnsafeError("it holds a pickled object")
    return {
        "is_param": entry["is_param"] is True,
        "use_pickle": False,
        "tensor_meta": _walked(entry["tensor_meta"]),
    }


def check_path(path: object) -> str:
    """Return a parameter's path.

    Raises
    ------
    UnsafeError
        If it could be anything else.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise UnsafeError(f"a parameter is called {str(path)[:60]!r}")
    return path


def _checked(mapping: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: _walked(mapping[key]) for key in keys if key in mapping}


def _walked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _of_key(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_walked(each) for each in value]
    return value


def _of_key(key: str, value: Any) -> Any:
    if key in _CHECKS:
        return _CHECKS[key](value)
    if key in ("as_custom_obj", "custom_obj") or (key == "custom_obj_values" and value):
        raise UnsafeError("it holds a custom object")
    return _walked(value)


def _name(value: Any) -> Any:
    if value is None or value == "" or (isinstance(value, str) and _NAME.fullmatch(value)):
        return value
    raise UnsafeError(f"something is called {str(value)[:60]!r}")


def checked_operation(value: Any) -> str:
    """Return an operation's name.

    Raises
    ------
    UnsafeError
        If it is not known to be safe to call.
    """
    if not isinstance(value, str) or not _is_operation(value):
        raise UnsafeError(f"it calls {str(value)[:60]!r}")
    recurrent = _RECURRENT.fullmatch(value)
    if recurrent is not None:
        return f"torch.ops.genolift.{recurrent[1] or recurrent[2]}.default"
    return value


def _is_operation(target: str) -> bool:
    if any(pattern.fullmatch(target) for pattern in (_OPERATOR, _MATH, _SYM, _HIGHER_ORDER, _RECURRENT)):
        return True
    match = _ATEN.fullmatch(target)
    if match is None or _WITH_FILES_OR_MEMORY.fullmatch(match[2]):
        return False
    namespace, name, overload = match.groups()
    full = f"{namespace}::{name}" + ("" if overload == "default" else f".{overload}")
    if full not in _dispatched():  # aten::save, which writes a file, is TorchScript's alone
        return False
    operation = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    if name in _ASSERTIONS:
        return True
    texts = [argument for argument in schema_of(operation).arguments if "str" in str(argument.type)]
    return not texts or _is_of_core(operation, full)


def _is_of_core(operation: Any, full: str) -> bool:
    """Whether an operation is core ATen, or one that torch decomposes into it."""
    return (
        torch.Tag.core in operation.tags
        or operation in torch.export.default_decompositions()
        or is_composed_of_others(full)
    )


_NAMES_OF_OPERATIONS: set[str] = set()


def _dispatched() -> set[str]:
    if not _NAMES_OF_OPERATIONS:
        _NAMES_OF_OPERATIONS.update(every_operation())
    return _NAMES_OF_OPERATIONS


def _size(value: Any) -> str:
    """Return a symbolic size after checking that it is arithmetic on symbols and numbers.

    torch writes it like sympy: "Mul(Integer(2), Symbol('s77', positive=True, integer=True))", or "2*s77".
    """
    if not isinstance(value, str) or len(value) > _LONGEST_SIZE:
        raise UnsafeError("a size is not text")
    try:
        tree = ast.parse(value.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnsafeError(f"a size is {value[:60]!r}") from error
    if not _is_size(tree):
        raise UnsafeError(f"a size is {value[:60]!r}")
    return value


def _is_size(tree: ast.expr) -> bool:
    if isinstance(tree, ast.Name):
        return bool(_SYMBOL.fullmatch(tree.id)) or tree.id in ("true", "false")
    if isinstance(tree, ast.Constant):
        return type(tree.value) in (int, float, bool)
    if isinstance(tree, ast.Call):
        return isinstance(tree.func, ast.Name) and _is_call_of_size(tree.func.id, tree)
    if isinstance(tree, ast.BinOp):
        parts = [tree.left, tree.right]
    elif isinstance(tree, ast.UnaryOp):
        parts = [tree.operand]
    elif isinstance(tree, ast.BoolOp):
        parts = tree.values
    elif isinstance(tree, ast.Compare):
        parts = [tree.left, *tree.comparators]
    else:
        return False
    return all(map(_is_size, parts))


def _is_call_of_size(function: str, call: ast.Call) -> bool:
    given = call.args[0] if len(call.args) == 1 else None
    text = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None
    if function in ("Symbol", "Float") and text is not None:  # other texts are refused: sympy evaluates them
        known = _SYMBOL if function == "Symbol" else _FLOAT
        named = all(
            isinstance(each.value, ast.Constant) and type(each.value.value) in (bool, int)
            for each in call.keywords
        )
        return bool(known.fullmatch(text)) and named
    return bool(_SIZES.fullmatch(function)) and not call.keywords and all(map(_is_size, call.args))


def _ranges(value: Any) -> dict[str, Any]:
    for symbol in value:
        if not _SYMBOL.fullmatch(symbol):
            raise UnsafeError(f"a size is {symbol[:60]!r}")
    return {
        symbol: {key: each if type(each) is int else None for key, each in limits.items()}
        for symbol, limits in value.items()
    }


def _by_name(value: Any) -> dict[str, Any]:
    """Return the entries of values by name."""
    return {_name(name): _walked(each) for name, each in value.items()}


def _metadata(value: Any) -> dict[str, str]:
    """Return an operation's line of code and its layer, text that is only shown."""
    return {
        key: value[key]
        for key in ("stack_trace", "nn_module_stack")
        if isinstance(value, dict) and isinstance(value.get(key), str)
    }


def _cpu(value: Any) -> dict[str, Any]:
    return {"type": "cpu", "index": None}


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("name", "as_name"), _name),
    **dict.fromkeys(("target", "as_operator"), checked_operation),
    **dict.fromkeys(("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"), _by_name),
    **dict.fromkeys(("device", "as_device"), _cpu),
    **dict.fromkeys(("parameter_name", "buffer_name", "tensor_constant_name", "user_input_name"), check_path),
    "expr_str": _size,
    "metadata": _metadata,
    "range_constraints": _ranges,
}


def _check_signature(signature: Mapping[str, Any]) -> None:
    for name in signature.get("forward_arg_names") or ():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UnsafeError(f"an argument is called {str(name)[:60]!r}")
    # Names of arguments are written into source, those of outputs are not.
    for tree, names in ((signature["in_spec"], _NAME), (signature["out_spec"], _PATH)):
        version, root = json.loads(tree)
        if version != 1:
            raise UnsafeError("its arguments are described in an unknown version")
        _check_tree(root, names)


def _check_tree(tree: Mapping[str, Any], names: re.Pattern[str]) -> None:
    kind, context = tree["type"], tree["context"]
    if kind in ("builtins.dict", "collections.OrderedDict"):
        keys = json.loads(context)
        plain = isinstance(keys, list) and all(isinstance(key, str) and names.fullmatch(key) for key in keys)
    else:
        plain = kind in (None, "builtins.tuple", "builtins.list") and context in (None, "null")
    if not plain:
        raise UnsafeError(f"an argument or output is a {str(kind)[:60]}")
    for child in tree["children_spec"]:
        _check_tree(child, names)
