"""The only primitives: a solve, and its derivative along tangents or cotangents.

``push`` is linear in its tangents and ``pull`` in its cotangents, and each is declared to be the
transpose of the other: JAX makes ``jvp``, ``vjp``, ``linearize`` and all that is built on them of
that. Each is mapped by ``vmap`` as one call. Under ``jit`` each is one host callback; outside, it
is called as it is. Where the host needs functions of JAX it is a loop of callbacks (``traced``).
Nothing here knows a problem or a rule: see ``lpgd.frontend.replay.Host``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from lpgd.frontend.dialogue import unanswered
from lpgd.frontend.mapped import SECOND, Derivative, Ops, mapped
from lpgd.frontend.replay import Host, doubles
from lpgd.jax.host import HOST
from lpgd.jax.shards import aval_like, aval_of, varying
from lpgd.jax.traced import Traced, talk, wide

Shapes = tuple[tuple[int, ...], ...]
OPS = Ops(jnp.moveaxis, jnp.broadcast_to)


@dataclass(frozen=True, eq=False)
class Call:
    """What a call solves, without its data; a parameter of the primitives.

    Attributes
    ----------
    host : Host
    dtype : dtype
        Of the outputs.
    asked : Traced or None
        What the host may ask of JAX.
    """

    host: Host
    dtype: Any
    asked: Traced | None = None

    @property
    def cores(self) -> tuple[int, ...]:
        """Trailing dimensions of data and records that are no batch dimensions."""
        return (*self.host.cores, 1)


def solve(call: Call, data: Sequence[jax.Array]) -> list[jax.Array]:
    """The outputs (*batch, k) of a solve, each of which can be differentiated in all data."""
    return solve_p.bind(*varying(data), call=call, keep=False)


# What the host does. Data of a derivative are read where the forward pass is lost, or by ``push``.


def _solved(*data: Any, call: Call, keep: bool) -> list[np.ndarray]:
    with HOST.working():
        outputs, records = call.host.solve(doubles(data), keep=keep)
    found = [output.astype(call.dtype, copy=False) for output in outputs]
    return found if records is None else [*found, records]


def _pulled(*arrays: Any, call: Call, way: Derivative, shapes: Shapes) -> list[np.ndarray]:
    cotangents, data, records = _parted(arrays, call)
    wanted = way.chosen(data)
    with HOST.working():
        given = [np.asarray(datum) for datum in data]
        found = call.host.pullback(way, shapes, doubles(cotangents), given, np.asarray(records))
    return [g.astype(datum.dtype, copy=False) for g, datum in zip(found, wanted, strict=True)]


def _pushed(*arrays: Any, call: Call, way: Derivative, shapes: Shapes) -> list[np.ndarray]:
    tangents, data, records = _parted(arrays, call)
    with HOST.working():
        given = [np.asarray(datum) for datum in data]
        found = call.host.pushforward(way, doubles(tangents), given, np.asarray(records))
    return [part.astype(call.dtype, copy=False) for part in found]


def _alone(work: Any, *arrays: Any) -> list[np.ndarray]:
    """What the host makes of arrays for a compiled program, of which it asks nothing.

    Nor may it call JAX, as a user's oracle or engine might: that waits for threads which the
    program holds, and may wait for ever.
    """
    with jax.transfer_guard_host_to_device("disallow_explicit"):
        return unanswered(work, *arrays)


def _parted(arrays: Sequence[Any], call: Call) -> tuple[Sequence[Any], Sequence[Any], Any]:
    """Vectors, data and records."""
    count = len(arrays) - len(call.cores)
    return arrays[:count], arrays[count:-1], arrays[-1]


# What comes out, for tracing.


def _solve_avals(*data: Any, call: Call, keep: bool) -> list[Any]:
    batch = call.host.batch([datum.shape for datum in data])
    found = [((*batch, width), call.dtype) for width in call.host.widths]
    if keep:
        found.append(((*batch, call.host.width), jnp.uint8))
    return [aval_like(data, shape, dtype) for shape, dtype in found]


def _pull_avals(*arrays: Any, call: Call, way: Derivative, shapes: Shapes) -> list[Any]:
    cotangents, data, _ = _parted(arrays, call)
    lead = cotangents[0].shape[: way.lead]
    wanted = zip(shapes, way.chosen(data), strict=True)
    return [aval_like(arrays, (*lead, *shape), datum.dtype) for shape, datum in wanted]


def _push_avals(*arrays: Any, call: Call, way: Derivative, shapes: Shapes) -> list[Any]:
    tangents, _, records = _parted(arrays, call)
    front = (*tangents[0].shape[: way.lead], *records.shape[:-1])
    return [aval_like(arrays, (*front, width), call.dtype) for width in call.host.widths]


# How each is mapped.


def _solve_mapped(
    arrays: Sequence[Any], dims: Sequence[Any], *, call: Call, keep: bool
) -> tuple[list[Any], list[int]]:
    front = OPS.front(arrays, dims, call.host.cores, _length(arrays, dims))
    found = solve_p.bind(*front, call=call, keep=keep)
    return found, [0] * len(found)


def _mapped(
    own: Primitive,
    arrays: Sequence[Any],
    dims: Sequence[Any],
    *,
    call: Call,
    way: Derivative,
    shapes: Shapes,
) -> tuple[Sequence[Any], list[int]]:
    count, size = len(arrays) - len(call.cores), _length(arrays, dims)
    parts = (arrays[:count], arrays[count:]), (dims[:count], dims[count:])
    over = mapped(OPS, way, *parts, call.cores, size, own=shapes)
    given = {"call": call, "way": over.way, "shapes": tuple(over.led)}
    found = over.finish(own.bind(*over.vectors, *over.data, **given))
    return found, [over.place] * len(found)


def _length(arrays: Sequence[Any], dims: Sequence[Any]) -> int:
    return next(a.shape[dim] for a, dim in zip(arrays, dims, strict=True) if dim is not None)


# How each is differentiated.


def _solve_jvp(
    data: Sequence[Any], tangents: Sequence[Any], *, call: Call, keep: bool
) -> tuple[list[Any], list[Any]]:
    *outputs, records = solve_p.bind(*data, call=call, keep=True)
    flags = tuple(type(tangent) is not ad.Zero for tangent in tangents)
    way = Derivative(push=True, flags=flags)
    shapes = tuple(tuple(datum.shape) for datum in way.chosen(data))
    given = {"call": call, "way": way, "shapes": shapes}
    pushed = push_p.bind(*way.chosen(tangents), *data, records, **given)
    if not keep:
        return outputs, pushed
    return [*outputs, records], [*pushed, ad.Zero(aval_of(records).to_tangent_aval())]


def _derived_jvp(
    own: Primitive, arrays: Sequence[Any], tangents: Sequence[Any], *, call: Call, **given: Any
) -> tuple[list[Any], list[Any]]:
    """Both are linear in their vectors; in the data they have no derivative."""
    count = len(arrays) - len(call.cores)
    if any(type(tangent) is not ad.Zero for tangent in tangents[count:]):
        raise RuntimeError(SECOND)
    found = own.bind(*arrays, call=call, **given)
    if own is push_p:
        return found, _push_along(arrays, tangents, call, **given)
    moved = [ad.instantiate_zeros(tangent) for tangent in tangents[:count]]
    return found, own.bind(*moved, *arrays[count:], call=call, **given)


def _push_along(
    arrays: Sequence[Any], tangents: Sequence[Any], call: Call, way: Derivative, shapes: Shapes
) -> list[Any]:
    """Push forward those of the vectors that move."""
    count = len(shapes)
    moving = [type(tangent) is not ad.Zero for tangent in tangents[:count]]
    left = iter(moving)
    flags = tuple(flag and next(left) for flag in way.flags)
    given = {
        "way": Derivative(push=True, flags=flags, lead=way.lead),
        "shapes": tuple(shape for shape, moves in zip(shapes, moving, strict=True) if moves),
    }
    vectors = [t for t, moves in zip(tangents, moving, strict=False) if moves]
    return push_p.bind(*vectors, *arrays[count:], call=call, **given)


def _transposed(
    other: Primitive,
    cotangents: Sequence[Any],
    *arrays: Any,
    call: Call,
    way: Derivative,
    shapes: Shapes,
) -> list[Any]:
    """A push becomes a pull, and a pull a push."""
    count = len(arrays) - len(call.cores)
    if not any(type(cotangent) is not ad.Zero for cotangent in cotangents):
        return [ad.Zero(v.aval) if ad.is_undefined_primal(v) else None for v in arrays]
    dense = [ad.instantiate_zeros(cotangent) for cotangent in cotangents]
    turned = Derivative(push=not way.push, flags=way.flags, lead=way.lead)
    found = other.bind(*dense, *arrays[count:], call=call, way=turned, shapes=shapes)
    vectors = zip(found, arrays[:count], strict=True)
    own = [part if ad.is_undefined_primal(vector) else None for part, vector in vectors]
    return [*own, *(None for _ in call.cores)]


def _primitive(name: str, work: Any, avals: Any, batch: Any, jvp: Any) -> Primitive:
    """A primitive that the host computes, outside of ``jit`` directly."""
    made = Primitive(f"lpgd_{name}")
    made.multiple_results = True

    def called(*arrays: Any, call: Call, **given: Any) -> Any:
        like = avals(*map(aval_of, arrays), call=call, **given)
        like = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in like]
        own = partial(work, call=call, **given)
        if call.asked is not None:
            return talk(call.asked, own, like, arrays)
        return jax.pure_callback(partial(_alone, own), like, *arrays, vmap_method="sequential")

    def lowered(ctx: Any, *arrays: Any, call: Call, **given: Any) -> Any:
        with wide() if call.asked is not None else nullcontext():
            return lower(ctx, *arrays, call=call, **given)

    def eager(*arrays: Any, **given: Any) -> list[jax.Array]:
        return [jnp.asarray(part) for part in work(*arrays, **given)]

    made.def_impl(eager)
    made.def_abstract_eval(avals)
    batching.primitive_batchers[made] = batch
    ad.primitive_jvps[made] = jvp
    lower = mlir.lower_fun(called, multiple_results=True)
    mlir.register_lowering(made, lowered)
    return made


def _derivative(name: str, work: Any, avals: Any) -> Primitive:
    """A primitive that is linear in its vectors."""
    made = _primitive(name, work, avals, None, None)
    batching.primitive_batchers[made] = partial(_mapped, made)
    ad.primitive_jvps[made] = partial(_derived_jvp, made)
    return made


solve_p = _primitive("solve", _solved, _solve_avals, _solve_mapped, _solve_jvp)
push_p = _derivative("push", _pushed, _push_avals)
pull_p = _derivative("pull", _pulled, _pull_avals)
ad.primitive_transposes[push_p] = partial(_transposed, pull_p)
ad.primitive_transposes[pull_p] = partial(_transposed, push_p)
