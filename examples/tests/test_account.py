from flights.account import account


def test_what_is_accepted_equals_stored_and_duplicates_and_quarantined():
    found = account(["a", "b", "b", "c"], stored=["a", "b"], quarantined=["c"])
    assert (found.accepted, found.stored, found.duplicates, found.quarantined) == (4, 2, 1, 1)
    assert found.balances


def test_a_lost_event_is_seen():
    found = account(["a", "b"], stored=["a"], quarantined=[])
    assert found.lost == 1
    assert not found.balances


def test_a_doubled_row_is_seen_though_a_lost_one_hides_it_in_the_sum():
    found = account(["a", "b"], stored=["a", "a"], quarantined=[])
    assert (found.lost, found.doubled) == (1, 1)
    assert not found.balances


def test_an_event_in_both_tables_is_doubled():
    assert not account(["a"], stored=["a"], quarantined=["a"]).balances


def test_a_row_that_nobody_sent_is_seen():
    found = account(["a"], stored=["a", "x"], quarantined=[])
    assert found.unknown == 1
    assert not found.balances
