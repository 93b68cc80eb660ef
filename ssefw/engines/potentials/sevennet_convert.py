"""Read a checkpoint of SevenNet with its own package and turn it into plain arrays."""

import copy
import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.path_kernels import kind_of
from ssefw.engines.potentials.rotations import HIGHEST, coupling, harmonics
from ssefw.engines.potentials.splines import SplineAxis, fit_spline
from ssefw.errors import EngineError

__all__ = ["CLOSEST", "convert", "modality_index", "read_checkpoint"]

Arrays = dict[str, npt.NDArray[Any]]
FloatArray = npt.NDArray[np.float64]

CLOSEST = 0.1
"""Length in A from which on the weights are tabulated; no atoms ever come so close."""

CHANNELS = 16
"""Channels come in multiples of this, the floats of the longest vector of a processor."""


def convert(path: Path, *, modality: str | None, spacing: float) -> Arrays:
    """Return all that evaluation needs of a checkpoint, in double precision.

    Parameters
    ----------
    path
        File written by SevenNet.
    modality
        For a model that was trained on several levels of theory: which one.
    spacing
        Of the knots of its splines, in A.

    Raises
    ------
    EngineError
        If this is no checkpoint, or one of an architecture that is not supported.
    """
    model, config = _load(path)
    modules = model._modules  # noqa: SLF001  SevenNet names its layers there only
    modality_number = modality_index(path, config, modality)
    breaks = [CLOSEST, float(config["cutoff"])]
    if config["cutoff_function"]["cutoff_function_name"] == "XPLOR":
        # Its second derivative jumps where it sets in.
        breaks.insert(1, float(config["cutoff_function"]["cutoff_on"]))
    axis = SplineAxis.between(breaks, spacing)
    species = sorted(config["_type_map"], key=config["_type_map"].__getitem__)
    embedding, bias = _linear(modules["onehot_to_feature_x"].linear, None)
    arrays: Arrays = {
        "cutoff": np.array(float(config["cutoff"])),
        "axis": axis.pieces,
        "species": np.array(species),
        "embedding": embedding[0] + bias,
    }
    arrays["n_layers"] = np.array(config["num_convolution_layer"])
    for layer in range(config["num_convolution_layer"]):
        parts = {
            name: modules[f"{layer}_{name}"]
            for name in (
                "self_connection_intro",
                "self_interaction_1",
                "convolution",
                "self_interaction_2",
                "equivariant_gate",
            )
        }
        for key, value in _layer(parts, modules["edge_embedding"], axis, modality_number).items():
            arrays[f"{layer}.{key}"] = value
    arrays |= _readout(modules, len(species), modality_number)
    return arrays


def read_checkpoint(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return SevenNet's own network and its settings.

    Raises
    ------
    EngineError
        If the file is no checkpoint.
    """
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")  # of what torch deprecates in the packages it imports
            # Seconds, and hundreds of MB, that only a conversion and a graphics card pay.
            from sevenn.checkpoint import SevenNetCheckpoint  # noqa: PLC0415

            checkpoint = SevenNetCheckpoint(str(path))
            return checkpoint.build_model(), checkpoint.config
    except Exception as error:  # it fails with whatever its parts fail with
        why = str(error).partition("\n")[0]
        raise EngineError(f"{path} cannot be read as a checkpoint of SevenNet: {why}") from error


def _load(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return a network that is supported, in double precision."""
    model, config = read_checkpoint(path)
    wanted = {"is_parity": False, "self_connection_type": "linear", "readout_as_fcn": False}
    for key, value in wanted.items():
        found = config.get(key, value)
        if found != value and found != [value] * config["num_convolution_layer"]:
            raise EngineError(f"{path} has {key}={found!r}; only {value!r} is supported.")
    for key in ("act_scalar", "act_gate"):
        if config[key]["e"] != "silu":
            raise EngineError(f"{path} has {key}={config[key]['e']!r}; only 'silu' is supported.")
    if config["lmax"] > HIGHEST:
        raise EngineError(
            f"{path} has features up to l = {config['lmax']}; at most {HIGHEST} is supported."
        )
    return model.double().eval(), config


def modality_index(path: Path, config: dict[str, Any], modality: str | None) -> int | None:
    """Return the number of a level of theory, None for a model that knows one only.

    Raises
    ------
    EngineError
        If the model does not know it, or one has to be named.
    """
    known = config.get("_modal_map") or {}
    if not known:
        if modality is not None:
            raise EngineError(f"{path.name} has one level of theory and takes no modality.")
        return None
    if modality not in known:
        raise EngineError(
            f"{path.name} was trained on several levels of theory: give the modality as one of "
            f"{', '.join(sorted(known))}, not {modality!r}."
        )
    return int(known[modality])


def _array(tensor: Any) -> FloatArray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy().astype(np.float64))


def _irreps(irreps: Any) -> list[tuple[int, int]]:
    return [(int(count), int(irrep.l)) for count, irrep in irreps]


def _linear(linear: Any, modality: int | None) -> tuple[dict[int, FloatArray], FloatArray]:
    """Return the matrix of each degree of a linear layer, and the bias of its scalars.

    A modality comes in as further scalar channels, one of which is 1: a bias.
    """
    import torch  # noqa: PLC0415  see _load

    inputs, outputs = _irreps(linear.irreps_in), _irreps(linear.irreps_out)
    with torch.no_grad():
        bias = _array(linear(torch.zeros(1, linear.irreps_in.dim, dtype=torch.float64)))[0]
        dense = _array(linear(torch.eye(linear.irreps_in.dim, dtype=torch.float64))) - bias
    extra = 0 if modality is None else inputs[-1][0]
    matrices: dict[int, FloatArray] = {}
    biases = bias[_first_components(outputs, 0)]
    for degree in sorted({degree for _, degree in outputs}):
        rows = _first_components(inputs, degree)
        columns = _first_components(outputs, degree)
        if degree == 0 and extra:
            biases = biases + dense[np.ix_(rows[-extra:], columns)][modality]
            rows = rows[:-extra]
        if rows:
            matrices[degree] = dense[np.ix_(rows, columns)]
    return matrices, biases


def _first_components(irreps: list[tuple[int, int]], degree: int) -> list[int]:
    """Return where the first component of each channel of a degree lies."""
    found, offset = [], 0
    for count, other in irreps:
        if other == degree:
            found += [offset + channel * (2 * degree + 1) for channel in range(count)]
        offset += count * (2 * other + 1)
    return found


def _layer(parts: dict[str, Any], embedding: Any, axis: SplineAxis, modality: int | None) -> Arrays:
    arrays: Arrays = {}
    for name, key, modal in (
        ("self_connection_intro", "connection", None),
        ("self_interaction_1", "before", modality),
        ("self_interaction_2", "after", modality),
    ):
        matrices, biases = _linear(parts[name].linear, modal)
        arrays |= {f"{key}.{degree}": matrix for degree, matrix in matrices.items()}
        arrays[f"{key}.bias"] = biases
    product = parts["convolution"].convolution
    highest = max(degree for _, degree in _irreps(product.irreps_in2))
    paths, factors = _paths(product, _harmonic_scale(embedding.spherical, highest))
    arrays["paths"] = paths
    sent = _irreps(product.irreps_in1)
    arrays["features"] = np.array([(degree, count) for count, degree in sent])
    arrays["table"] = fit_spline(axis, _radial(parts["convolution"], embedding)) * factors
    gate = parts["equivariant_gate"].gate
    gated = hasattr(gate, "irreps_gated") and gate.irreps_gated.dim > 0
    # The activations are scaled to keep the variance of a normal distribution.
    arrays["silu_scale"] = np.array(float(gate.act_scalars.acts[0].cst))
    arrays["gate_scale"] = np.array(float(gate.act_gates.acts[0].cst) if gated else 1.0)
    return arrays


def _harmonic_scale(spherical: Any, highest: int) -> list[float]:
    """Return how much longer SevenNet's harmonics are than ours."""
    import torch  # noqa: PLC0415  see _load

    points = np.random.default_rng(0).normal(size=(9, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    theirs = _array(spherical(torch.from_numpy(points)))
    scales, offset = [], 0
    for degree in range(highest + 1):
        ours = harmonics(degree, points).real
        part = theirs[:, offset : offset + 2 * degree + 1]
        scales.append(float((ours * part).sum() / (ours * ours).sum()))
        _same(part, scales[-1] * ours, "spherical harmonics")
        offset += 2 * degree + 1
    return scales


def _paths(product: Any, harmonic_scale: list[float]) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return kind and channels of each path in the order of its weights, and factors of these."""
    import torch  # noqa: PLC0415  see _load
    from e3nn.o3 import wigner_3j  # noqa: PLC0415  see _load

    inputs, filters, outputs = (
        _irreps(part) for part in (product.irreps_in1, product.irreps_in2, product.irreps_out)
    )
    if len({degree for _, degree in inputs}) != len(inputs):
        raise EngineError("A layer with several blocks of one degree is not supported.")
    rows, factors = [], []
    for instruction in product.instructions:
        channels, first = inputs[instruction.i_in1]
        second = filters[instruction.i_in2][1]
        third = outputs[instruction.i_out][1]
        if instruction.connection_mode != "uvu" or channels % CHANNELS:
            raise EngineError(
                f"A path of {channels} channels, coupled {instruction.connection_mode!r}, is not "
                f"supported: channels come in multiples of {CHANNELS}, coupled 'uvu'."
            )
        theirs = wigner_3j(first, second, third, dtype=torch.float64).numpy()
        theirs = theirs * instruction.path_weight
        ours = coupling(first, second, third)
        factor = float((theirs * ours).sum())
        _same(theirs, factor * ours, "couplings")
        before = sum(c for c, degree in outputs[: instruction.i_out] if degree == third)
        rows.append((kind_of(first, second, third), channels, third, before))
        factors += [factor * harmonic_scale[second]] * channels
    return np.array(rows, dtype=np.int64), np.array(factors)


def _radial(convolution: Any, embedding: Any) -> Callable[[FloatArray], FloatArray]:
    """Return the weights of all paths as a function of length."""
    import torch  # noqa: PLC0415  see _load

    network = copy.deepcopy(convolution.weight_nn)

    def weights(lengths: FloatArray) -> FloatArray:
        r = torch.from_numpy(lengths)
        with torch.no_grad():
            basis = embedding.basis_function(r) * embedding.cutoff_function(r).unsqueeze(-1)
            return _array(network(basis) / convolution.denominator)

    return weights


def _readout(modules: dict[str, Any], n_species: int, modality: int | None) -> Arrays:
    first, bias = _linear(modules["reduce_input_to_hidden"].linear, modality)
    second, last_bias = _linear(modules["reduce_hidden_to_energy"].linear, None)
    rescale = modules["rescale_atomic_energy"]
    values = {}
    for name in ("shift", "scale"):
        value = _array(getattr(rescale, name))
        if value.ndim == 2:
            value = value[modality or 0]
        values[name] = np.broadcast_to(value.ravel(), n_species).copy()
    return {
        "readout": (first[0] @ second[0]).ravel(),
        "readout_bias": (bias @ second[0] + last_bias).ravel(),
        **values,
    }


def _same(theirs: FloatArray, ours: FloatArray, what: str) -> None:
    # Constants of e3nn are rounded to single precision when a model is built.
    if np.abs(theirs - ours).max() > 1e-5 * np.abs(theirs).max():
        raise EngineError(f"This version of e3nn has other {what}. Install e3nn 0.6.")
