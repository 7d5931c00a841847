"""What is asked next and how one stands, on histories with known answers."""

import datetime

import pytest

from tlcourse.interview import entries, sessions
from tlcourse.progress import Answer, Interview, Review

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def bank(write, entry):
    levels = ("junior", "mid", "senior")
    for chapter in ("01", "02"):
        write(
            *(
                {**entry, "id": f"c{chapter}-{level}", "level": level, "question": f"{level}?",
                 "field": "foundations" if chapter == "01" else "leakage"}
                for level in levels
            ),
            name=f"{chapter}.yaml",
        )  # fmt: skip
    return entries.read(write(entry, name="03.yaml"))


def review(card, rating, when=START):
    return Review(when, card, rating, "practice")


def test_every_question_and_follow_up_is_a_card(bank):
    cards = sessions.cards(bank.values())
    assert len(cards) == 7 * 9
    assert cards["c01-mid"].answer == bank["c01-mid"].short
    assert cards["c01-mid/more-3"].answer == "Also 3."


# Spaced repetition


def test_what_is_known_comes_back_later(bank):
    states = sessions.schedule([review("c01-mid", 4), review("c01-senior", 1)])
    assert states["c01-mid"].due - START > 2 * DAY
    assert states["c01-senior"].due - START < DAY


def test_intervals_grow_with_success(bank):
    history, gaps, when = [], [], START
    for _ in range(5):
        history.append(review("c01-mid", 3, when))
        due = sessions.schedule(history)["c01-mid"].due
        gaps.append(due - when)
        when = due
    assert gaps[1:] == sorted(gaps[1:]) and gaps[-1] > 10 * DAY


def test_the_same_reviews_give_the_same_dates_in_any_order():
    history = [review("a", 3), review("a", 4, START + DAY), review("b", 1, START + DAY)]
    first = {name: state.due for name, state in sessions.schedule(history).items()}
    again = {name: state.due for name, state in sessions.schedule(reversed(history)).items()}
    assert first == again


def test_due_cards_come_first_then_new_ones(bank):
    cards = sessions.cards(bank.values())
    history = [
        review("c02-mid", 1), review("c01-mid", 1, START - DAY), review("c01-senior", 4),
        review("gone", 1),
    ]  # fmt: skip
    names = [card.id for card in sessions.due(cards, history, START + DAY / 2, new=3)]
    assert names == ["c01-mid", "c02-mid", "c01-junior", "c02-junior", "toy"]
    assert sessions.due(cards, history, START + 400 * DAY, new=0)[-1].id == "c01-senior"
    assert sessions.next_due(history, cards) < START
    assert sessions.next_due([], cards) is None


# Placement


def walk(bank, ratings):
    placement, asked = sessions.Placement(bank.values()), []
    while found := placement.next():
        assert placement.next() is found
        asked.append(found.id)
        placement.rate(ratings(found))
    return asked, placement.length


def test_who_knows_is_asked_something_harder(bank):
    asked, length = walk(bank, lambda entry: 4)
    assert asked == ["c01-junior", "c01-mid", "c02-junior", "c02-mid", "toy"]
    assert len(asked) == length
    turned = {name: bank[name] for name in ("c01-mid", "c01-junior", "c01-senior")}
    assert walk(turned, lambda entry: 4)[0] == ["c01-mid", "c01-senior"]
    assert walk(turned, lambda entry: 1)[0] == ["c01-mid", "c01-junior"]


def test_a_round_that_was_stopped_goes_on_where_it_was(bank):
    placement = sessions.Placement(bank.values())
    assert placement.resume({"c01-junior": 4, "c01-mid": 1, "toy": 4}) == 2
    assert placement.next().id == "c02-junior"
    whole = sessions.Placement(bank.values())
    everything = dict.fromkeys(bank, 3)
    assert whole.resume(everything) == whole.length and whole.next() is None


# Mock interviews


def test_a_plan_fits_its_minutes_and_level(bank):
    for seed in range(50):
        plan = sessions.plan(bank.values(), 13, "mid", seed)
        assert sum(entry.minutes for entry in plan) == 12
        assert len({entry.id for entry in plan}) == 3
        assert all(entry.level != "senior" for entry in plan)
        assert plan[0].id in ("c01-junior", "c02-junior", "toy")


def test_a_seed_draws_the_same_plan(bank):
    plans = {tuple(e.id for e in sessions.plan(bank.values(), 9, "senior", s)) for s in range(20)}
    assert len(plans) > 3
    assert sessions.plan(bank.values(), 9, "senior", 7) == sessions.plan(
        bank.values(), 9, "senior", 7
    )


def test_weak_questions_come_up_more_often(bank):
    history = [review("c01-mid", 1), review("c02-mid", 4)]
    drawn = [e.id for s in range(300) for e in sessions.plan(bank.values(), 8, "mid", s, history)]
    assert drawn.count("c01-mid") > 2 * drawn.count("c02-mid") > 0


def test_a_plan_is_never_empty(bank):
    assert len(sessions.plan(bank.values(), 3, "junior", 0)) == 1
    with pytest.raises(ValueError, match="3 or more"):
        sessions.plan(bank.values(), 2, "junior", 0)
    with pytest.raises(ValueError, match="junior, mid, senior"):
        sessions.plan(bank.values(), 20, "expert", 0)


@pytest.mark.parametrize("made, rating", [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 4)])
def test_rating_from_a_rubric_of_five(made, rating):
    assert sessions.rating_of([True] * made + [False] * (5 - made)) == rating


# Standings


def test_standings_of_fields(bank):
    cards = sessions.cards(bank.values())
    history = [review("c01-mid", 4), review("c01-senior", 1, START - DAY), review("c02-mid", 1),
               review("c01-senior", 4)]  # fmt: skip
    weak, strong = sessions.standings(cards, history)
    assert (weak.field, weak.score, weak.grade) == ("leakage", 0, "weak")
    assert weak.read == ("chapter 02", "A. Author, 2020, Toys, https://example.org/toys")
    assert (strong.field, strong.score, strong.grade) == ("foundations", 1, "strong")
    assert strong.answered == 2 and strong.cards == 4 * 9 and strong.read == ()
    assert sessions.standings(cards, []) == []


def test_the_rubric_counts_finer_than_its_rating(bank):
    cards = sessions.cards(bank.values())
    marks = (True, True, True, False)
    answer = Answer(1, START, "c02-mid", "", 60.0, marks)
    interview = Interview(1, START, {}, True, (answer,))
    soon = review("c02-mid", sessions.rating_of(marks), START + datetime.timedelta(minutes=1))
    [standing] = sessions.standings(cards, [soon], [interview])
    assert standing.score == 0.75
    later = review("c02-mid", 4, START + DAY)
    [standing] = sessions.standings(cards, [soon, later], [interview])
    assert standing.score == 1
    unmarked = Interview(2, START, {}, False, (Answer(2, START, "c02-mid", "", 9.0, None),))
    assert sessions.standings(cards, [], [unmarked]) == []
