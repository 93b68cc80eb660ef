"""What ``import ssefw`` gives: stores to ask, and calculations to start, in a few lines of Python.

Nothing here is science: each function calls one of another room, as a command of ``ssefw`` does.
"""
