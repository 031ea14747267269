"""For each check wrong answers that it has to see through; one file for each notebook, by its name."""
