"""The tables as other people's programs read them: a matrix of readers, versions, stores and states of the lake.

`scripts/readers.sh` is its command. samples.py has the records, lakes.py makes lakes of them, reference.py says what
their tables hold, questions.py what is asked of every reader, compare.py judges the answers, matrix.py runs it all and
document.py writes docs/readers.md. A reader answers in a process and a venv of its own
(process.py, answer.py and adapters/).
"""
