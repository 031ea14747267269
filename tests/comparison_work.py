"""What the workers of test_comparison_parts do; in a file of its own, because each of them has to import it."""

import os

import torch


def work(shared, task):
    name, seed = task
    if name == "bad":
        raise ValueError(f"no good\nwith {seed}")
    if name == "odd":
        raise KeyError("surprise")
    if name == "dies":
        os._exit(7)
    return shared + seed, torch.get_num_threads()
