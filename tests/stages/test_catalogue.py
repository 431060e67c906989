"""Kinds of stages: which of them leave a model."""

from stages.catalogue import KINDS, MODELS, load_kind
from stages.training.settings import SessionSettings


def test_every_stage_that_trains_leaves_a_model_that_others_may_read():
    """So that none is offered where it is not, and none forgotten."""
    trains = {name for name in KINDS if issubclass(load_kind(name).Settings, SessionSettings)}
    assert set(MODELS) == trains
    for name in ("evaluate_base", "evaluate_chat"):
        assert MODELS in load_kind(name).READS
