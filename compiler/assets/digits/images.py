"""Makes the images and labels in this folder.

    pip install numpy scikit-learn
    python compiler/assets/digits/images.py
"""

import pathlib

import numpy as np
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).parent
TEST_IMAGES = 360

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.images))
for split, rows in (("test", order[:TEST_IMAGES]), ("train", order[TEST_IMAGES:])):
    (HERE / f"{split}_images.bin").write_bytes(digits.images[rows].astype(np.uint8).tobytes())
    (HERE / f"{split}_labels.bin").write_bytes(digits.target[rows].astype(np.uint8).tobytes())
