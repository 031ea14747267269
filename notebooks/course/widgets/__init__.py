"""Things a student can move, one file each: a pure `view(state)` and a few lines that bind it to controls."""

# A box would stretch a picture over the whole page; this is the size in which it is drawn (7 inches of 110 dots).
PICTURE = {"width": "770px", "max_width": "100%", "align_self": "flex-start"}
