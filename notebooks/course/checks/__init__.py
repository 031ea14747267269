"""Marks the exercises: each check takes the student's function, says what is wrong with it, or that it is right.

One file holds the checks of one notebook, and has its name. Stubs raise NotImplementedError, which counts as "not
attempted yet", so that a notebook runs from top to bottom before anybody has solved anything.
"""
