"""What laws of an optimizer may read, and the roles that its groups may take: each with its meaning, once."""

from __future__ import annotations

ROLES = {  # of parameters; a spec may say others with `role=`, for an optimizer that takes them
    "embedding": "a table that ids are looked up in",
    "head": "the last matrix, which scores every id",
    "matrix": "what multiplies channels",
    "conv": "filters along positions",
    "gain": "what scales channels behind a norm",
    "bias": "what is added to channels",
    "scalar": "one number",
    "vector": "numbers of any other shape",
    "value": "a table whose rows are added to attention's values",
    "keep": "how much of the residual stream a layer keeps",
    "blend": "how much of the first layer's input a layer adds",
    "smear": "what mixes in the token before, and the backout",
}

MODEL = {
    "width": "channels that enter the head, or of the embedding where there is no head",
    "layers": "layers of all stacks, each as often as it is computed in one pass",
    "context": "the most tokens of a row",
    "vocab": "how many token ids there are",
    "parameters": "all parameters",
    "effective_parameters": "all parameters, those inside a loop once for each of its turns",
    "ROLE_parameters": "parameters of a role, as in `matrix_parameters`",
}
HORIZON = {
    "tokens": "what the run trains on, by the stage's `tokens`, or else by tokens a parameter",
    "tokens_per_parameter": "the stage's, or else the optimizer's",
}
BATCH = {"batch_tokens": "tokens of a step"}
RUN = {"steps": "steps of the run"}
STEP = {
    "step": "the step being made, from 0",
    "progress": "`step / steps`: the share of the run that is over",
}
SHAPE = {"rows": "outputs of the matrix being moved", "columns": "its inputs"}
CONSTANTS = {"pi": "half a turn"}

WHERE = (  # what may be read, and by which laws
    (MODEL, "all but `step`"),
    (HORIZON, "all but `step` and `[batch] parameters`"),
    (BATCH, "`[batch] steps`, rates, decays, the schedule"),
    (RUN, "rates, decays, the schedule"),
    (STEP, "the schedule"),
    (SHAPE, "`step` of a group that Muon moves"),
    (CONSTANTS, "all"),
)

RESULTS = {  # of the schedule
    "rate": "multiplies the rates of all groups; unsaid, 1",
    "momentum": "the momentum of the groups that Muon moves; unsaid, 0.95",
    "decay": "multiplies the decay of the groups that Muon moves; unsaid, 1",
}
