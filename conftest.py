"""Settings that hold for the tests and for the notebooks that are tested."""

import os

# Kernels inherit these: no progress bars in compared outputs, and one thread unless
# told otherwise, since a chapter sets its own number.
os.environ["TQDM_DISABLE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
