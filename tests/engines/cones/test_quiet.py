import sys
import threading

import numpy as np

from lpgd import ScsEngine
from lpgd.core.params import batched
from lpgd.core.solution import Status
from lpgd.engines.cones.elements import Elements
from lpgd.engines.cones.quiet import quiet
from lpgd.engines.cones.solver import Request
from lpgd.testing.cone_programs import KINDS, plant


def test_only_this_thread_is_muted(capsys):
    stream = sys.stdout
    with quiet():
        print("muted")
        other = threading.Thread(target=print, args=("heard",))
        other.start()
        other.join()
        with quiet():
            print("muted too")
        print("still muted")
    print("over")
    assert sys.stdout is stream
    assert capsys.readouterr().out == "heard\nover\n"


def test_scs_does_not_print_why_it_fails(capsys):
    case = plant(KINDS["nonneg"], 0, 1)
    params = {**case.params, "A": batched(case.params["A"].full() * np.nan)}
    loaded = ScsEngine().load(case.problem, params, Request(1e-6))
    assert isinstance(loaded, Elements)
    try:
        status = loaded.solve(params, np.arange(1), None).status[0]
    except ValueError:
        status = Status.CRASHED
    assert status != Status.OPTIMAL
    assert capsys.readouterr().out == ""
