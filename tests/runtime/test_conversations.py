"""Rows of whole conversations: nothing cut by packing, nothing lost, every mask in its place; and resumable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runtime.batches import IGNORED
from runtime.conversations import ConversationLoader, is_written, read_conversations, write_conversations
from runtime.faults import Fault

BOS = 0


def conversation(number: int, length: int) -> tuple[list[int], list[int]]:
    """bos, then ids of its own, of which the second half is learnt."""
    ids = [BOS, *(1 + (number * 31 + n) % 97 for n in range(length - 1))]
    return ids, [0] * (length - length // 2) + [1] * (length // 2)


MADE = [conversation(n, 3 + n * 7 % 11) for n in range(40)]


def loader(folder, rows=4, length=20, made=MADE) -> ConversationLoader:
    return ConversationLoader(
        write_conversations(folder, made, row_tokens=length + 1), rows, length, BOS, seed=3
    )


def test_an_epoch_holds_every_learnt_id_once_and_each_row_begins_with_bos(tmp_path):
    found = loader(tmp_path)
    batches = list(found.once())
    targets = torch.cat([t for _, t in batches])
    assert sorted(targets[targets != IGNORED].tolist()) == sorted(
        i for ids, mask in MADE for i, m in zip(ids, mask, strict=True) if m
    )
    inputs = torch.cat([i for i, _ in batches])
    assert (inputs[:, 0] == BOS).all()
    assert found.epoch_rows == len(inputs)
    used = sum(len(ids) for ids, _ in MADE)
    assert used / (found.epoch_rows * 21) > 0.9


def test_targets_follow_their_inputs(tmp_path):
    for inputs, targets in loader(tmp_path).once():
        here = targets[:, :-1] != IGNORED
        assert torch.equal(targets[:, :-1][here], inputs[:, 1:][here])


def test_a_conversation_that_is_longer_than_a_row_loses_its_end_and_trains_on(tmp_path):
    """At nanochat's SFT such ones filled the buffer, and then every row was padding."""
    made = [conversation(n, 30) for n in range(150)] + [conversation(900, 8)]
    found = loader(tmp_path, made=made)
    assert (found.conversations.cropped, found.conversations.left_out) == (150, 0)
    assert found.epoch_rows == 151
    for inputs, targets in found.once():
        assert (targets != IGNORED).any(1).all()
        assert inputs.shape[1] == 20


def test_what_has_nothing_to_learn_within_a_row_is_left_out_and_counted(tmp_path):
    late = ([BOS, *range(1, 40)], [0] * 30 + [1] * 10)
    silent = ([BOS, 4, 5], [0, 0, 0])
    found = write_conversations(tmp_path, [late, silent, *MADE], row_tokens=21)
    assert found.numbers.tolist() == [number for number, _ in enumerate(MADE, 2)]
    assert (len(found), found.left_out) == (len(MADE), 2)
    with pytest.raises(Fault, match="none has anything to learn within 20 tokens"):
        write_conversations(tmp_path, [late, silent], row_tokens=21)


def test_the_order_is_new_each_epoch_and_the_rows_are_the_same(tmp_path):
    found = loader(tmp_path, rows=1)
    epochs = [
        [next(found)[0][0].tolist() for _ in range(found.epoch_rows)],
        [next(found)[0][0].tolist() for _ in range(found.epoch_rows)],
    ]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1])


@pytest.mark.parametrize("at", [0, 3, 30])
def test_a_loader_goes_on_from_its_state_whatever_its_rows(tmp_path, at):
    straight, before = loader(tmp_path), loader(tmp_path)
    for _ in range(at):
        next(straight), next(before)
    resumed = loader(tmp_path)
    resumed.restore({name: np.array(value) for name, value in before.state().items()})
    for _ in range(5):
        for one, other in zip(next(straight), next(resumed), strict=True):
            assert torch.equal(one, other)


def test_what_was_cut_off_while_writing_is_not_taken_for_whole(tmp_path):
    def broken():
        yield MADE[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_conversations(tmp_path, broken(), row_tokens=21)
    assert not is_written(tmp_path, row_tokens=21)
    write_conversations(tmp_path, MADE, row_tokens=21)
    assert is_written(tmp_path, row_tokens=21)
    assert not is_written(tmp_path, row_tokens=22)
    assert len(read_conversations(tmp_path)) == len(MADE)


def test_rows_know_which_conversations_stand_in_them(tmp_path):
    found = write_conversations(
        tmp_path, [([9, 9], [0, 0]), *MADE], row_tokens=21
    )  # the first has nothing to learn
    loader = ConversationLoader(found, 3, 20, BOS, seed=3)
    for _ in range(10):
        inputs, _ = next(loader)
        for row, held in enumerate(loader.sources()):
            whole = [id for index in held for id in found[index][0].tolist()][:20]
            assert inputs[row, : len(whole)].tolist() == whole
        first = loader.sources()[0][0]
        assert loader.names([first]) == [f"conversation {first + 1}"]
