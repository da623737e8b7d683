"""What must be in Kafka and in the tables after losses: the ledger and the history of a run of scripts/chaos.sh."""

import pytest

from chaos import feed
from chaos.history import History, Loss
from harness.oracle import Record


def log(key, offsets, partition=0):
    return [Record(partition, offset, 1000, key, b"{}") for offset in offsets]


SENT = log(b"KV1", range(3)) + log(b"KV1", range(4), partition=1)


def ledger():
    entered = feed.Ledger(partitions=2)
    for record in SENT:
        entered.enter(record.partition, record.offset, feed.digest_of(record))
    return entered


def test_of_a_log_that_was_cut_the_ledger_wants_what_was_sent_since():
    wanted = ledger()
    wanted.cut(1, 2)
    others = log(b"KV2", [2, 3], partition=1)
    for record in others:
        wanted.enter(record.partition, record.offset, feed.digest_of(record))
    wanted.compare(SENT[:5] + others)
    with pytest.raises(AssertionError, match="2 differ"):
        wanted.compare(SENT)


def test_deleted_records_are_not_in_the_ledger_and_others_still_are():
    wanted = ledger()
    wanted.forget(1, 3)
    wanted.compare(SENT[:3] + SENT[6:])
    with pytest.raises(AssertionError, match="1 missing"):
        wanted.compare(SENT[:3])


def test_after_cuts_and_deletions_the_tables_hold_each_log_up_to_where_consuming_went_on():
    lost = History()
    first, other = log(b"first", range(10)), log(b"other", range(3), partition=1)
    lost.note(Loss(0, held=8, went_on=8, cut_at=5), first + other)
    second = first[:5] + log(b"second", range(5, 20))
    lost.note(Loss(0, held=12, went_on=15, cut_at=None), second + other)
    third = second[15:]
    lost.note(Loss(1, held=3, went_on=3, cut_at=2), third + other)
    lost.note(Loss(0, held=19, went_on=19, cut_at=17), third + other[:2])
    now = third[:2] + log(b"third", range(17, 30)) + other[:2]
    held = lost.held(now)
    of_first_partition = [(record.offset, record.key) for record in held if record.partition == 0]
    keys = {b"first": range(8), b"second": [*range(8, 12), *range(15, 19)], b"third": range(19, 30)}
    assert of_first_partition == [(offset, key) for key, offsets in keys.items() for offset in offsets]
    assert [record for record in held if record.partition == 1] == other
    assert {key: offsets for key, offsets in lost.gaps(held, {0: 30, 1: 3}).items() if offsets} == {
        (0, "accepted_loss"): {12, 13, 14}
    }
    assert (lost.cuts(0), lost.cuts(1), lost.cuts(2)) == ([(5, 8), (17, 19)], [(2, 3)], [])


def test_what_kafka_never_delivered_is_a_gap_beside_what_was_lost():
    lost = History()
    before = log(b"first", [0, 1, 3])
    lost.note(Loss(0, held=2, went_on=5, cut_at=None), before)
    now = log(b"first", [5, 7])
    gaps = lost.gaps(lost.held(now), {0: 9})
    assert gaps == {(0, "accepted_loss"): {2, 3, 4}, (0, "not_delivered"): {6, 8}}
