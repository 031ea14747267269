from dmdlite.data.pickles import read_pickle as read_file  # noqa: F401
