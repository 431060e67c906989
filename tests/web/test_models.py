"""The model is told with what is known of it."""

import openai
import pytest

from tests.web.conftest import MODEL
from tests.web.scripted import FACTS


def test_the_model_is_listed_with_its_facts(live, client):
    server = live(dials={"r": {"default": 4, "least": 1, "most": 16, "train": None}}, context=500)
    [model] = client(server).models.list().data
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "nanogen")
    assert model.nanogen == {
        **FACTS,
        "context": 500,
        "dials": {"r": {"default": 4, "least": 1, "most": 16}},
        "format": "chat",
        "tokens": 512,
        "sampling": {"temperature": 1.0, "top_k": None, "top_p": 1.0},
    }


def test_it_is_found_by_name_and_no_other_is(live, client):
    connected = client(live())
    assert connected.models.retrieve(MODEL).id == connected.models.retrieve("base").id == MODEL
    with pytest.raises(openai.NotFoundError):
        connected.models.retrieve("gpt-4o")
