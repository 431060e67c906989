"""Tables of equations read from a document: modules, stacks, loops and the model, key by key."""

from __future__ import annotations

from typing import Any

from nanogen.language.literal import kind_of_value
from nanogen.language.reader import Reader
from nanogen.language.tables import Choice, Equation, Rule, Table
from nanogen.text.diagnostics import closest
from nanogen.text.locate import KeyPath

TABLE_KEYS = {
    "module": ("inputs", "args"),
    "stack": ("inputs", "layers"),
    "loop": ("inputs", "times", "backprop"),
    "model": (),
}
KINDS = ("module", "stack", "loop")  # of tables that are called by their name
TAKEN = ("model", "dims", "defaults", "loss", "at", "weights")  # as names of tables
FOREIGN = {  # keys of other tables, and what to do instead
    "model": {"inputs": "the model's inputs are `tokens` and `positions`", "args": "write dims instead"},
    "stack": {"args": 'write dims, or facts as `window = "context if i % 4 == 3 else short"`'},
    "loop": {"args": "write dims instead", "layers": "write `times`: a loop has one body"},
}


class TableReader(Reader):
    """Reads tables of equations; a slip in a key of their own is told as one fault and read on."""

    def table(self, kind: str, name: str, path: KeyPath, body: dict[str, Any]) -> Table:
        inputs, args, count, backprop = ("x",), {}, None, None
        keys = self.table_keys(kind, body, path)
        if kind == "model":
            inputs = ("tokens", "positions")
        elif "inputs" in keys:
            inputs = self.inputs(body[keys["inputs"]], (*path, keys["inputs"]))
        if "args" in keys:
            args = self.args(body[keys["args"]], (*path, keys["args"]))
        if (wanted := {"stack": "layers", "loop": "times"}.get(kind)) is not None:
            count, keys[wanted] = self.count(wanted, kind, body, path, inputs)
        if "backprop" in keys:
            backprop = self.equation("backprop", body["backprop"], (*path, "backprop"))
        equations, choices, refused = {}, {}, set()
        for key in (k for k in body if k not in keys.values()):
            value, at = body[key], (*path, key)
            if not self.own_key(kind, key, at) or not self.usable(key, at):
                refused.add(key)
            elif isinstance(value, dict) and kind == "stack":
                choices[key] = self.choice(key, value, at)
            elif (equation := self.equation(key, value, at)) is not None:
                equations[key] = equation
            else:
                refused.add(key)
        if "args" in keys and isinstance(found := body[keys["args"]], dict):
            refused |= set(found) - set(args)
        return Table(
            kind, name, path, inputs, args, equations, choices, count, backprop, refused=frozenset(refused)
        )

    def table_keys(self, kind: str, body: dict[str, Any], path: KeyPath) -> dict[str, str]:
        """The table's own keys and what they stand under: themselves, or a slip, told from an equation by its kind."""
        keys = {key: key for key in TABLE_KEYS[kind] if key in body}
        for wanted, type_ in (("inputs", list), ("args", dict)):
            if wanted not in TABLE_KEYS[kind] or wanted in body:
                continue
            slip = closest(
                wanted, (k for k, v in body.items() if isinstance(v, type_) and (v or type_ is dict))
            )
            if slip is not None and (type_ is dict or all(isinstance(n, str) for n in body[slip])):
                help = f"did you mean `{wanted}`?"
                self.fault("NG103", f"`{slip}` is not a key of {kind}s", (*path, slip), help, on_key=True)
                keys[wanted] = slip
        return keys

    def own_key(self, kind: str, key: str, path: KeyPath) -> bool:
        """Refuse keys that mean something in tables of another kind."""
        if key == "exit" and kind in ("stack", "loop"):
            help = f"leave it out: a {kind} makes all its {'layers' if kind == 'stack' else 'turns'}"
            self.fault("NG104", "`exit` is not in this compiler yet", path, help, on_key=True)
            return False
        help = FOREIGN.get(kind, {}).get(key)
        if help is not None:
            what = "the model" if kind == "model" else f"{kind}s"
            self.fault("NG103", f"`{key}` is not a key of {what}", path, help, True)
        return help is None

    def inputs(self, found: Any, path: KeyPath) -> tuple[str, ...]:
        if not isinstance(found, list) or not found or not all(isinstance(n, str) for n in found):
            self.fault(
                "NG101",
                f"`inputs` is a list of names, found {kind_of_value(found)}",
                path,
                'write `inputs = ["x"]`',
            )
            return ("x",)
        for place, name in enumerate(found):
            ids = name in ("tokens", "positions")  # handed down under their own name
            if name in found[:place]:
                self.fault(
                    "NG107", f"the input `{name}` stands twice", (*path, place), "name each input once"
                )
            elif not ids:
                self.usable(name, (*path, place))
        return tuple(dict.fromkeys(found))

    def args(self, found: Any, path: KeyPath) -> dict[str, Equation]:
        if not isinstance(found, dict):
            help = "write `args = { kernel = 3 }`"
            self.fault("NG101", f"`args` is a table of defaults, found {kind_of_value(found)}", path, help)
            return {}
        taken = ("inputs", "args", "weights")
        named = {k: v for k, v in found.items() if self.usable(k, (*path, k), taken, attribute=False)}
        read = {k: self.equation(k, v, (*path, k)) for k, v in named.items()}
        return {k: v for k, v in read.items() if v is not None}

    def count(
        self, wanted: str, kind: str, body: dict, path: KeyPath, inputs: tuple[str, ...]
    ) -> tuple[Equation | None, str]:
        """Read how many layers or turns, and under which key; a slip of it is told as one fault, and read on."""
        key = wanted
        if key not in body:
            slip = closest(key, (k for k, v in body.items() if k not in inputs and isinstance(v, str | int)))
            if slip is None:
                help = 'say how many: `layers = "depth"`' if kind == "stack" else "say how often: `times = 4`"
                self.fault("NG102", f"the key `{wanted}` is missing", path, help)
                return None, key
            message = f"`{slip}` is not a key of {kind}s, and `{wanted}` is missing"
            self.fault("NG103", message, (*path, slip), f"did you mean `{wanted}`?", True)
            key = slip
        return self.equation(wanted, body[key], (*path, key)), key

    def choice(self, name: str, value: dict, path: KeyPath) -> Choice:
        rules: list[Rule] = []
        rests = 0
        for module, layers in value.items():
            at = (*path, module)
            if layers == "rest":
                rests += 1
                if rests > 1:
                    self.fault("NG321", '`"rest"` is claimed twice', at, "only one module can have the rest")
                    continue
                rules.append(Rule(module, None, at))
            elif (rule := self.equation(module, layers, at)) is not None:
                rules.append(Rule(module, rule, at))
        if not value:
            self.fault(
                "NG102",
                f"the choice `{name}` names no module",
                path,
                'write `{ attention = [1], mlp = "rest" }`',
            )
        return Choice(name, tuple(rules), path, whole=0 < len(rules) == len(value))
