"""What the words of specs and runs mean, in a sentence each: for the schemas that editors read, and for the reference.

Tests hold these lists to the keys and functions that there are.
"""

SECTIONS = {
    "kind": 'What the file is: "model", or "library".',
    "language": "The version of the language it is written in.",
    "use": "Files whose modules, stacks and loops this one may call; paths from this file.",
    "meta": "Prose about the model; nothing is computed from it.",
    "expect": "Published numbers that must hold, checked for the file as written.",
    "dims": "Numbers and lists of numbers, each from others; `--set NAME=VALUE` changes one.",
    "defaults": "Settings that calls of a primitive have unless they say otherwise.",
    "dial": "Whole numbers that are chosen at run time.",
    "module": "Functions of tensors, called by name; each call owns its weights.",
    "stack": "Bodies that are computed `layers` times, with own weights each time.",
    "loop": "Bodies that are computed `times` times, with the same weights each time.",
    "model": "The equations from `tokens` and `positions` to `logits`.",
    "loss": "What training makes small: the mean cross-entropy of the next token, which need not be said.",
    "import": "How a published checkpoint's tensors are called.",
}

KEYS: dict[str, dict[str, str]] = {  # of each table; what else stands there is an equation or a number
    "module": {
        "inputs": 'Names of the tensors it takes, by position; unsaid, ["x"].',
        "args": "Numbers and modules it takes by keyword, with their defaults.",
        "y": "The equation of its result.",
    },
    "stack": {
        "inputs": 'Names of the values that enter; one with an equation is carried on. Unsaid, ["x"].',
        "layers": "How many layers it has.",
    },
    "loop": {
        "inputs": 'Names of the values that enter; one with an equation is carried on. Unsaid, ["x"].',
        "times": "How many turns it takes: a number or a dial.",
        "backprop": "How many of the last turns gradients reach; unsaid, all.",
    },
    "model": {"logits": "The equation of the result, one channel for each id of the vocabulary."},
    "loss": {"next": "The mean cross-entropy of the next token, which need not be said."},
    "dims": {
        "vocab": "How many token ids there are; tokenizer and run read it.",
        "context": "The most tokens of a row; tokenizer and run read it.",
    },
    "dial": {
        "default": "Its value where the run says none.",
        "min": "The least it may be; unsaid, 1.",
        "max": "The most it may be.",
        "train": "How training draws it.",
        "train.draw": "The distribution that training draws from.",
        "train.mean": "Mean of the distribution.",
        "train.sigma": "Spread of the distribution.",
        "train.max": "The largest value that is drawn.",
    },
    "meta": {
        "name": "The model's name; unsaid, the file's.",
        "about": "What is worth knowing about it.",
        "source": "Where the architecture was published.",
        "licence": "The licence of what was published.",
    },
    "expect": {"parameters": "How many parameters the file as written has."},
    "import": {
        "about": "Whose checkpoint it is.",
        "ignore": "Published tensors that have no parameter here, as patterns.",
    },
}

RUN = {
    "kind": 'What the file is: "run".',
    "hardware": "The hardware file that it is planned for, by name or path; unsaid, this machine.",
    "model": "The spec to train: a path from this file, or the name of one that ships.",
    "set": "Dims of the spec that have other values in this run.",
    "rehearse": "Dims of the spec in a rehearsal: over those of `set`, and small.",
    "seed": "What all random draws start from; unsaid, 42.",
    "stage": "What the run does: a table for each stage.",
    "meta": "Prose about the run; nothing is computed from it.",
}
STAGE = {
    "uses": "The kind of stage it is.",
    "needs": "Stages of this run whose results it reads.",
    "set": "Dims of the model that this stage makes, over those of the run.",
    "with": "The settings of the stage.",
}

WORDS = {
    "tokens": "the token ids of the row, one at each position",
    "positions": "the place of each token in the row, from 0",
    "i": "the layer's index in its stack, from 0",
    "turn": "the iteration of a loop, from 0",
    "true": "1, as a flag",
    "false": "0, as a flag",
    "none": "the absence of a setting",
}

FUNCTIONS = {  # of numbers
    "ceil": ("ceil(a)", "the next whole number up"),
    "floor": ("floor(a)", "the next whole number down"),
    "round": ("round(a)", "the nearest whole number, halves to the even one"),
    "max": ("max(a, b, ..)", "the largest of numbers, or of a list"),
    "min": ("min(a, b, ..)", "the smallest of numbers, or of a list"),
    "sqrt": ("sqrt(a)", "the square root"),
    "exp": ("exp(a)", "e to the a"),
    "log": ("log(a)", "the natural logarithm"),
}

LAWS = {  # initial laws
    "zeros": ("zeros", "0 everywhere"),
    "ones": ("ones", "1 everywhere"),
    "eye": ("eye", "the identity on a matrix; on a wider one, [I | 0]"),
    "normal": ("normal(std)", "normal draws of mean 0"),
    "trunc": ("trunc(std, cut)", "normal draws, drawn again beyond `cut` standard deviations"),
    "uniform": ("uniform(low, high)", "draws from low to high, all equally likely"),
    "c": ("c", "the index on the last axis, from 0"),
    "fan_in": ("fan_in", "how many channels go into a matrix"),
    "fan_out": ("fan_out", "how many channels come out of a matrix"),
}
