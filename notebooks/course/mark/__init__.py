"""Marks what students hand in; for teachers, and not in the student's edition."""
