"""Speed and memory of dmdlite, beside the published code where there is a checkout of it: `make bench`."""
