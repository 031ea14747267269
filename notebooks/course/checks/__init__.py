"""Marks the exercises: each check takes the student's function and says what is wrong with it, or that it is right.

Each file holds the checks of the notebook whose name it has. Stubs raise NotImplementedError, which counts as "not
attempted yet", so a notebook runs from top to bottom before any exercise is solved.
"""
