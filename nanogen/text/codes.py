"""The codes of diagnostics: title, first sentence and severity of each, once; explanations.toml says more."""

from __future__ import annotations

from attrs import frozen


@frozen
class Code:
    title: str
    explanation: str
    severity: str = "error"


BLOCKS = {  # by the first digit
    "NG0": "text",
    "NG1": "tables and keys",
    "NG2": "names",
    "NG3": "sizes and shapes",
    "NG4": "whole models",
    "NG5": "weights that come from elsewhere",
    "NG6": "advice: legal, and surely a slip",
    "NG7": "runs",
}

CODES: dict[str, Code] = {
    "NG001": Code(
        "a file cannot be read", "The file is absent, not UTF-8, too large, or not allowed to be read."
    ),
    "NG002": Code("a string is not closed", "A TOML string in plain quotes ends on the line it begins."),
    "NG003": Code(
        "text that is not TOML", "The file breaks the grammar of TOML 1.0; nothing else was checked."
    ),
    "NG004": Code("a key given twice", "TOML keeps one value a key, and so a spec has one equation a name."),
    "NG011": Code(
        "text that is not an equation", "Equations have calls, arithmetic, names, numbers and subscripts."
    ),
    "NG101": Code("a value of the wrong kind", "The key holds another kind of value than it should."),
    "NG102": Code("a key is missing", "The table needs this key."),
    "NG103": Code("an unknown key", "No table of this kind has such a key or table in it."),
    "NG104": Code(
        "a part of the language that is still to come", "This compiler knows the word and refuses it by name."
    ),
    "NG105": Code(
        "a language that is too new", "The spec asks for a newer language than this compiler reads."
    ),
    "NG106": Code("a name that cannot be used", "Names are identifiers, and a few words are taken."),
    "NG107": Code("one name, two meanings", "A value, an argument or a module may not have a dim's name."),
    "NG108": Code(
        "an override of nothing", "`--set` takes a dim and a TOML value, `--match` a dim that matters."
    ),
    "NG111": Code("a number was expected", "Sizes, facts and settings are numbers; this is something else."),
    "NG112": Code("arguments that do not fit", "A call gives too many, too few, or repeated arguments."),
    "NG113": Code("an unknown setting", "The primitive or module has no setting of this name."),
    "NG114": Code("an unknown word", "The setting is one of a few words."),
    "NG115": Code(
        "an initial law that is none", "Laws are zeros, ones, eye, normal, trunc, uniform, and arithmetic."
    ),
    "NG201": Code("an unknown name", "No equation, input, argument or dim has this name here."),
    "NG202": Code("an unknown call", "No primitive, module or stack has this name."),
    "NG203": Code("equations in a circle", "Each of these equations waits for the other."),
    "NG204": Code(
        "a number where a value belongs", "Tensors and numbers are different things: this is a number."
    ),
    "NG205": Code(
        "two owners in one equation", "An equation owns the parameters of one call, so that paths are plain."
    ),
    "NG206": Code("an equation without a result", "The table must define this name."),
    "NG207": Code(
        "a value where a number belongs",
        "Sizes and settings are known before any token is: they are numbers.",
    ),
    "NG208": Code(
        "nothing to read inside", "What is read inside is a call of a module or stack with its own equation."
    ),
    "NG301": Code("channels that do not split evenly", "`split` makes parts of equal size."),
    "NG302": Code("arithmetic without a result", "The numbers given have no finite result."),
    "NG303": Code("a size that is no size", "Sizes are whole numbers of at least 1."),
    "NG304": Code(
        "a value of the wrong kind for a primitive", "Ids are looked up; features are computed with."
    ),
    "NG305": Code("a parameter without a start", "`parameter` needs `init=`."),
    "NG306": Code("a setting out of range", "The setting has bounds."),
    "NG307": Code("channels that form no pairs", "`rope` turns channels two by two."),
    "NG308": Code("values that do not join", "Joined values agree in all axes but the last."),
    "NG309": Code("a subscript out of range", "A slice lies within its axis."),
    "NG310": Code("shapes that do not broadcast", "Axes are equal, 1, or absent, counted from the last."),
    "NG311": Code("values without heads", "`attend` takes two feature axes: heads, and channels of a head."),
    "NG312": Code("heads that do not match", "Queries, keys and values agree as `attend` says."),
    "NG313": Code("a layer that changes its shape", "What leaves a layer has the shape of what entered it."),
    "NG314": Code("logits of the wrong width", "`logits` has one feature axis of `vocab` channels."),
    "NG315": Code(
        "a pattern that does not fit", "`einsum` has a letter for each axis of each value, and of its result."
    ),
    "NG316": Code(
        "weights that cannot be shared", "Shared weights have an owner, and one shape for all that use them."
    ),
    "NG321": Code("a layer claimed twice", "Each layer has exactly one module of a choice."),
    "NG322": Code("a layer claimed by none", "Each layer has exactly one module of a choice."),
    "NG323": Code("a layer that does not exist", "Layers count from 0."),
    "NG324": Code(
        "a list made for another number of layers", "A literal list of layers holds for the file as written."
    ),
    "NG401": Code(
        "a count that is not the expected one", "`[expect]` states published numbers that must hold."
    ),
    "NG402": Code("something that is never used", "Nothing reads it: a slip, or a leftover.", "warning"),
    "NG403": Code("a division that leaves a rest", "`//` drops what is left over.", "warning"),
    "NG404": Code(
        "a model that is too large to count", "The spec asks for more layers or parameters than can be real."
    ),
    "NG501": Code(
        "an import line that cannot be read",
        "Left stands the path of parameters, right a published tensor and what is cut from it.",
    ),
    "NG502": Code("a parameter that no import line fills", "An import table has a line for every parameter."),
    "NG503": Code("a parameter that two import lines fill", "Every parameter has one line of a table."),
    "NG511": Code("a published tensor that is missing", "A line names a tensor that the file does not have."),
    "NG512": Code("a published tensor that no line reads", "A table reads or ignores all that a file has."),
    "NG513": Code(
        "a published tensor of another shape", "What fills a parameter has its shape, axes of 1 aside."
    ),
    "NG514": Code(
        "a published tensor read twice, or in part",
        "Every number of a tensor that is read goes to one place.",
    ),
    "NG515": Code("published numbers that are no weights", "Weights are floating-point numbers."),
    "NG601": Code(
        "a reach that no row is long enough for",
        "A window, a kernel or a shift reaches further than `context`.",
        "warning",
    ),
    "NG602": Code(
        "heads that fill no tile",
        "Matrix units multiply tiles; these heads leave a part of each empty.",
        "warning",
    ),
    "NG603": Code(
        "matrices whose rows are not aligned",
        "Matrix units read rows of 8 numbers; this size leaves a rest.",
        "warning",
    ),
    "NG604": Code(
        "zeros behind zeros", "Two factors start at zero, and neither can ever move the other.", "warning"
    ),
    "NG605": Code("a norm of zeros", "At step 0 this norm has nothing but zeros to divide.", "warning"),
    "NG606": Code(
        "an eps out of proportion", "`eps` is small beside the squares it guards, and not zero.", "warning"
    ),
    "NG607": Code(
        "queries and keys turned differently",
        "Rotary positions work where queries and keys are turned alike.",
        "warning",
    ),
    "NG608": Code(
        "channels turned before they are split",
        "Rotary pairs stand in one head; here they are made across heads.",
        "warning",
    ),
    "NG609": Code(
        "layers without a way around",
        "What enters a layer of a deep stack also has to leave it unchanged, in a sum.",
        "warning",
    ),
    "NG701": Code(
        "a stage that no one defines", "`uses` names a kind of stage; `needs` names stages of this run."
    ),
    "NG702": Code("stages in a circle", "Each of these stages needs the other."),
    "NG703": Code("a stage that lacks what it reads", "This kind of stage reads the folder of another kind."),
    "NG704": Code("a setting of a stage", "The value is not one that this setting can have."),
    "NG705": Code(
        "a run that this machine cannot hold",
        "Memory, disk, a folder or a package that the run needs is not here.",
    ),
    "NG706": Code(
        "a run that may not be what was meant",
        "It runs, and something that was asked for is cut short, repeated or left out.",
        "warning",
    ),
}
