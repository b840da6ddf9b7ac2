"""One test for each thing that genolift relies on but torch does not promise: it shows what has changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from lacking import skip
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import genolift
from genolift.engine import torch_internals as internals

aten = torch.ops.aten
X = torch.zeros(3, 4, 8)


def changed(what: str) -> str:
    return f"torch {torch.__version__} is not what torch_internals.py expects: {what}"


class Calling(nn.Module):
    """A model that consists of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(module: nn.Module, x: Tensor = X) -> torch.export.ExportedProgram:
    rows = ({0: torch.export.Dim("batch", min=2)},)
    return torch.export.export(module.eval(), (x,), dynamic_shapes=rows, strict=False)


def helper(x: Tensor) -> Tensor:
    return x.exp()  # the line of the helper


def traces(program: torch.export.ExportedProgram) -> str:
    return "".join(node.meta.get("stack_trace") or "" for node in program.graph.nodes)


def test_nothing_else_touches_what_is_private_to_torch() -> None:
    private = re.compile(
        r"torch(\.\w+)*\._[a-zA-Z]|\._opname\b|\._schema\b|\"_schema\"|\.node\.expr|_orig_mod\""
    )
    folder = Path(genolift.__file__).parent
    found = [
        f"{path.relative_to(folder)}:{number}: {line.strip()}"
        for path in folder.rglob("*.py")
        if path.name != "torch_internals.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if private.search(line)
    ]
    assert not found, "move it to engine/torch_internals.py, with a test here"


def test_an_operation_tells_its_name_and_its_schema() -> None:
    assert isinstance(aten.relu.default, internals.OpOverload), changed("operations are of another class")
    assert isinstance(aten.relu, internals.OpOverloadPacket), changed("packets are of another class")
    assert internals.packet_name(aten.relu.default) == "relu", changed("_opname is no short name")
    schema = internals.schema_of(aten.add.Tensor)
    assert [each.name for each in schema.arguments] == ["self", "other", "alpha"], changed("_schema differs")
    assert schema.arguments[2].kwarg_only, changed("_schema differs")
    assert schema.arguments[2].default_value == 1, changed("_schema differs")
    assert internals.schema_of(len) is None


def test_an_operation_tells_its_form_that_writes_over_its_first_argument() -> None:
    for operation in (aten.relu, aten.add_.Tensor, len):
        assert internals.in_place(operation) is None
    of = internals.in_place
    assert of(aten.relu.default) is aten.relu_.default, changed("relu_ is another")
    assert of(aten.add.Tensor) is aten.add_.Tensor, changed("add_ is another")
    assert of(aten.pow.Tensor_Scalar) is None  # pow_.Scalar
    x = torch.rand(2, 3)
    assert of(aten.clamp.default)(x, 0.5) is x, changed("clamp_ does not write over its argument")
    assert bool((x >= 0.5).all())


def test_torch_takes_norms_apart() -> None:
    norms = [aten.linalg_vector_norm.default, aten._native_batch_norm_legit.no_stats]
    assert set(internals.get_decompositions(norms)) == set(norms), changed(
        "it has no decompositions of norms"
    )


def test_all_operations_can_be_listed() -> None:
    names = set(internals.every_operation())
    assert {"aten::relu", "aten::add.Tensor", "aten::lstm.input"} <= names, changed(
        "operations have other names"
    )
    assert internals.is_composed_of_others("aten::matmul"), changed("matmul has a kernel of its own")
    assert not internals.is_composed_of_others("aten::convolution"), changed("convolution has no kernel")


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_a_recurrent_layer_calls_the_function_that_is_kept_whole(name: str) -> None:
    called: list[Any] = []

    class Seen(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            if function is internals.recurrent_function(name):
                called.append(args)
            return function(*args, **(kwargs or {}))

    kind, _, nonlinearity = name.partition("_")
    options = {"nonlinearity": nonlinearity} if nonlinearity else {}
    with Seen():
        getattr(nn, kind.upper())(4, 5, batch_first=True, **options)(X.transpose(1, 2))
    assert called, changed(f"nn.{kind.upper()} calls another function than torch._VF.{name}")
    assert len(called[0]) == 9, changed(f"torch._VF.{name} takes other arguments")


def test_the_module_within_a_compiled_one_is_found() -> None:
    module = nn.Linear(2, 2)
    assert internals.before_compiling(torch.compile(module)) is module, changed("_orig_mod is gone")
    assert internals.before_compiling(module) is None


def test_tensors_are_replaced_and_stay_complex() -> None:
    module = nn.Linear(2, 2)
    module.register_buffer("turn", torch.tensor([1j]))
    internals.replace_tensors(
        module, lambda each: each.to(each.dtype.to_complex()) if each.is_complex() else 2 * each
    )
    assert module.turn.is_complex(), changed("Module._apply makes complex buffers real")


def test_a_free_size_has_a_formula() -> None:
    program = exported(Calling(lambda x: torch.cat([x, x])))
    first, *_, last = (node.meta["val"] for node in program.graph.nodes if "val" in node.meta)
    rows = first.shape[0]
    assert not internals.is_fixed(rows), changed("a free size is a number")
    assert internals.formula(last.shape[0]) / internals.formula(rows) == 2, changed(
        "sizes have no sympy formula"
    )
    assert internals.is_fixed(last.shape[1])
    assert not internals.is_known_from_values_alone(rows), changed("a free size is named as one of values is")


def test_a_size_that_depends_on_values_is_told_by_its_name() -> None:
    program = exported(Calling(lambda x: x[x[:, 0, 0] > 0]))
    sizes = [node.meta["val"].shape[0] for node in program.graph.nodes if "index" in node.name]
    assert any(map(internals.is_known_from_values_alone, sizes)), changed("sizes of values have other names")


def test_the_lines_of_functions_that_a_forward_calls_are_kept() -> None:
    assert "in helper" not in traces(exported(Calling(helper))), changed(
        "it keeps the lines of functions by itself: whole_traces() can go"
    )
    with internals.whole_traces():
        program = exported(Calling(helper))
    assert "in helper" in traces(program), changed(
        "TracerBase._filter_traceback_frames no longer chooses the lines: messages name forward's line"
    )


def test_a_mask_is_not_looked_at() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1)
    masked = Calling(lambda x: encoder(x.transpose(1, 2), mask=x[0, :, :8].mT @ x[0, :, :8] > 0))
    masked.encoder = encoder
    with pytest.raises(RuntimeError):  # otherwise masks_as_they_are() can be removed
        exported(masked)
    with internals.masks_as_they_are():
        exported(masked)


def test_a_models_own_autocast_is_left_out_in_this_thread_alone() -> None:
    def product() -> torch.dtype:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    elsewhere: list[torch.dtype] = []
    with internals.no_autocast():
        assert product() is torch.float32, changed("autocast is entered by another way than __enter__")
        thread = threading.Thread(target=lambda: elsewhere.append(product()))
        thread.start()
        thread.join()
    assert elsewhere == [torch.bfloat16]
    assert product() is torch.bfloat16


def test_errors_are_told_by_their_messages() -> None:
    with pytest.raises(Exception) as fixed:  # noqa: PT011 - its message is checked below
        exported(Calling(lambda x: x.reshape(3, -1)))
    assert internals.says_rows_are_fixed(fixed.value), changed(f"of fixed rows it says {fixed.value}")
    with pytest.raises(RuntimeError) as exhausted:
        torch.empty(2**50, dtype=torch.uint8)
    assert internals.says_memory_is_exhausted(exhausted.value), changed(
        f"of memory it says {exhausted.value}"
    )
    assert internals.says_memory_is_exhausted(torch.OutOfMemoryError())
    for said in (
        "CUDA error: out of memory\nCUDA kernel errors might be reported asynchronously",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "GET was unable to find an engine to execute this computation",
    ):
        assert internals.says_memory_is_exhausted(RuntimeError(said))
    generator = torch.Generator()
    try:
        exported(Calling(lambda x: x + torch.rand(8, generator=generator)))  # newer releases can
    except Exception as error:
        says = internals.says_generator(error)
        assert says, changed(f"of a generator it says {error}")  # noqa: PT017
    assert not internals.says_memory_is_exhausted(RuntimeError("shapes do not fit"))


def test_the_precision_of_products_is_read_and_set() -> None:
    before = internals.float32_precision("mkldnn", "conv")
    assert before is not None, changed("torch._C._get_fp32_precision_getter is gone")
    internals.set_float32_precision("mkldnn", "conv", "bf16")
    try:
        assert internals.float32_precision("mkldnn", "conv") == "bf16", changed("setting it has no effect")
    finally:
        internals.set_float32_precision("mkldnn", "conv", before)


def test_torch_export_leaves_the_precision_of_products() -> None:
    backends, conv = torch.backends, torch.backends.cudnn.conv
    before, conv.fp32_precision = conv.fp32_precision, "ieee"
    try:
        with internals.precision_left_alone():
            exported(nn.Conv1d(4, 2, 3)).run_decompositions()
        assert conv.fp32_precision == "ieee"
        assert backends.cudnn.enabled, changed("cuDNN is not switched on again")
        assert backends.mkldnn.enabled, changed("oneDNN is not switched on again")
    finally:
        conv.fp32_precision = before


def test_a_script_is_inlined_and_its_schemas_read() -> None:
    script = torch.jit.trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.zeros(1, 2))
    graph = script.graph.copy()
    internals.inline_calls(graph)
    schemas = [node.schema() for node in graph.nodes() if node.schema() != "(no schema)"]
    names = {internals.parse_schema(schema).name for schema in schemas}
    assert {"aten::linear", "aten::relu"} <= names, changed(f"an inlined script holds {names}")


def test_gradients_are_those_of_autograd_and_can_be_asked_for_again() -> None:
    x, y, a = torch.ones(2, 3, requires_grad=True), torch.ones(3, requires_grad=True), torch.arange(2.0)
    result = (x * y * 2).sum(1)
    for again in (True, False):
        found = internals.gradients(result, [x, y], a, again=again)
        assert [each.tolist() for each in found] == [[[0.0] * 3, [2.0] * 3], [2.0] * 3], changed("gradients")


def test_nested_results_are_flattened_in_order() -> None:
    leaves, shape = internals.tree_flatten({"b": [1, (2, None)], "a": 3})
    assert leaves == internals.tree_leaves({"b": [1, (2, None)], "a": 3}) == [1, 2, None, 3]
    assert internals.tree_unflatten([5, 6, 7, 8], shape) == {"b": [5, (6, 7)], "a": 8}
    assert internals.tree_map_only(int, lambda each: -each, [1, "a"]) == [-1, "a"]


def test_freed_memory_is_kept_and_given_back() -> None:
    if internals.glibc() is None:
        skip("another C library than glibc", lacking="glibc")
    internals.keep_freed_memory()
    assert internals.glibc().mallopt(-1, 512 * 2**20) == 1, "mallopt refuses M_TRIM_THRESHOLD"
    internals.give_back_freed_memory()


@contextmanager
def lacking(holder: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.delattr(holder, name)
        yield


def test_without_an_internal_of_torch_a_model_is_captured_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holders = [
        (torch.fx.proxy.TracerBase, "_filter_traceback_frames", internals.whole_traces),
        (torch.nn.modules.transformer, "_detect_is_causal_mask", internals.masks_as_they_are),
    ]
    for holder, name, context in holders:
        with lacking(holder, name, monkeypatch), context():
            assert not hasattr(holder, name)
