"""Run a program that a language model wrote, and say whether it passes its tests, without it being able to do harm.

**Why a pass cannot be forged.** Code and tests never share a process. The tests run in a judge, the code in a process
of its own, and `candidate(...)` in a test is a call through a pipe whose answer is decoded into exact built-in values.
So exit statuses, printed markers, patched built-ins, frames, garbage, threads and exit handlers decide nothing: there
is no secret to find, and no line that says "passed" within reach. The code's process was forked before the judge read
the tests, so that expected values are not in its memory either. What the code controls is what its function returns
or raises; the only way to pass is to return what the tests ask for.

**Why no harm is done.** `isolation.py` lists the walls and tries them before anything is run. Where they do not hold,
nothing is run and there is no score. Each program has fresh processes, which are killed as a group when its verdict is
there or its time is up.

**What remains possible.** A program can tell the tests' calls apart by their arguments and answer by rote; it can use
its seconds, memory and scratch folder to the full; and it can attack the kernel through the calls that are left. It
can list shared libraries and read the standard library, and without namespaces learn sizes and dates of files whose
names it guesses. Tests are trusted with the verdict, not with the machine: the judge stands behind the same walls.

**What is not supported.** Arguments and results that are no plain values (functions, iterators, classes of the
program's own), changes that a function makes to its arguments, and programs that start threads or processes.
"""
