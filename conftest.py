"""Settings for tests and for the kernels of notebooks, which inherit this environment."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

# Slowest first: side by side, two processes then end at about the same time. All other files follow in their order.
SLOWEST = (
    "test_every_model.py",
    "test_marking.py",
    "test_training.py",
    "test_compare.py",
    "test_cluster.py",
    "test_executors.py",
    "test_prototyping.py",
    "test_several_processes.py",
    "11_do_the_edges_learn.ipynb",
    "14_pkdot.ipynb",
    "16_your_own_clip.ipynb",
    "09_train_on_gpu.ipynb",
    "15_your_variant.ipynb",
    "test_browser.py",
    "test_book.py",
    "test_models.py",
    "test_pkdot.py",
    "test_edge_audit.py",
    "test_readme.py",
    "12_rivals.ipynb",
    "05_distillation.ipynb",
    "03_shared_and_private.ipynb",
    "02_one_modality.ipynb",
    "10_reading_the_model.ipynb",
    "06_graph_distillation.ipynb",
)


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collectstart(collector):
    if collector.fspath and collector.fspath.ext == ".ipynb":
        collector.skip_compare += ("stderr",)
