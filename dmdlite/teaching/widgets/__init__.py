"""Things a student can move, one file each: a pure `view(state)` and a few lines that bind it to controls."""
