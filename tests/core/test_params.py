import numpy as np

from lpgd.core.params import Param, batched, distinct, shared


def test_shared_values_are_stored_once():
    param = shared(np.arange(3.0), 4)
    assert param.values.shape == (1, 3)
    full = param.full()
    assert full.shape == (4, 3)
    assert full.base is not None
    assert not full.flags.writeable


def test_an_empty_batch_of_a_shared_value():
    assert shared(np.arange(3.0), 0).full().shape == (0, 3)


def test_batched_values_are_one_an_element():
    values = np.arange(6.0).reshape(2, 3)
    full = batched(values).full()
    np.testing.assert_array_equal(full, values)
    assert not full.flags.writeable  # the caller's own data


def test_values_in_another_order_are_not_taken_as_they_lie():
    param = batched(np.arange(6.0).reshape(3, 2)).take(np.array([2, 0, 1]))
    np.testing.assert_array_equal(param.full()[:, 0], [4, 0, 2])


def test_take_copies_no_value():
    param = Param(np.arange(6.0).reshape(2, 3), np.array([0, 1, 0, 1]))
    taken = param.take(np.array([3, 0, 3]))
    assert taken.values is param.values
    np.testing.assert_array_equal(taken.full(), param.values[[1, 0, 1]])


def test_distinct_groups_elements_that_share_all_values():
    values = np.zeros((2, 1))
    params = {
        "P": Param(values, np.array([0, 0, 1, 1, 0])),
        "G": Param(values, np.array([0, 1, 0, 0, 0])),
        "q": batched(np.zeros((5, 1))),
    }
    group, first = distinct(params, ("P", "G", "A"))
    assert group[0] == group[4]
    assert group[2] == group[3]
    assert len(first) == 3
    np.testing.assert_array_equal(group[first], np.arange(3))


def test_all_elements_are_one_group_where_nothing_is_named():
    group, first = distinct({"q": batched(np.zeros((3, 1)))}, ("P", "G", "A"))
    np.testing.assert_array_equal(group, 0)
    np.testing.assert_array_equal(first, [0])
