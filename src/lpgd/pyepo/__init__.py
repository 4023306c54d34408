"""PyEPO's interface on this library: ``import lpgd.pyepo as pyepo`` is the migration.

``func``, ``metric`` and ``data`` are PyEPO 2.2.7's, with the same names, constructors and calls;
its models, data sets and loaders are taken as they are. Its shortest-path, knapsack and
travelling-salesman models are solved by ``lpgd.oracles``; ``oracle="model"`` keeps a model's own
solver. All other modules (``model``, ``dsl``, ``twostage``, ...) are PyEPO's, where it is
installed.
"""

from lpgd.pyepo import _rest

_rest.install()

from lpgd.pyepo import data, func, metric  # noqa: E402

__all__ = ["data", "func", "metric"]
__getattr__ = _rest.rest(__name__)
