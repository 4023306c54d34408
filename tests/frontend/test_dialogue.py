"""Work that asks, and who answers."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lpgd.frontend.dialogue import MOST, Dialogues, asking, patient, unanswered


def asks(*questions):
    """Work that returns its answers."""
    return lambda: [asking()(question) for question in questions]


def answered(dialogues, work):
    """The result of work whose questions are answered by their squares."""
    token, question = dialogues.begin(work)
    while question is not None:
        question = dialogues.go_on(token, question**2)
    return dialogues.result(token)


def test_answers_reach_the_work_in_their_order():
    assert answered(Dialogues(), asks(1, 2, 3)) == [1, 4, 9]
    assert answered(Dialogues(), asks()) == []


def test_outside_of_a_dialogue_nobody_answers():
    assert asking() is None
    assert answered(Dialogues(), lambda: threading.current_thread() is not None)
    assert asking() is None


def test_work_that_is_not_to_ask_is_told_so():
    assert unanswered(lambda a: a, 3) == 3
    with pytest.raises(RuntimeError, match="not told to answer"):
        unanswered(asks(1))
    assert asking() is None


def test_work_whose_questions_are_answered_must_not_wait_for_other_work():
    assert patient()
    assert unanswered(patient)
    assert not answered(Dialogues(), patient)


def test_many_dialogues_are_apart():
    dialogues = Dialogues()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: answered(dialogues, asks(*range(k))), range(60)))
    assert found == [[i**2 for i in range(k)] for k in range(60)]
    assert not dialogues._open
    assert not dialogues._results


@pytest.mark.parametrize("questions", [(), (1,)])
def test_what_the_work_raises_is_raised_where_it_is_asked(questions):
    def work():
        asks(*questions)()
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError, match="no"):
        answered(Dialogues(), work)


def test_dialogues_that_nobody_continues_are_closed():
    dialogues, raised = Dialogues(), []

    def work():
        for _ in range(2):  # an engine may try again
            try:
                asking()(0)
            except RuntimeError as error:
                raised.append(str(error))

    before = threading.active_count()
    for _ in range(MOST + 3):
        dialogues.begin(work)
    assert len(dialogues._open) == MOST
    while threading.active_count() > before + MOST:
        pass
    assert len(raised) == 6
    assert all("has ended" in text for text in raised)
    for dialogue in list(dialogues._open.values()):
        dialogue.close()
