import numpy as np

from tlcourse import training


class TestTrainFromScratch:
    def test_one_seed_gives_one_model(self):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (40, 16, 16, 1), dtype=np.uint8), np.arange(40) % 2
        a, b, c = (training.train_from_scratch(x, y, 2, seed, steps=2) for seed in (0, 0, 1))
        kernels = [model.get_layer("head").kernel.numpy() for model in (a, b, c)]
        assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[0], kernels[2])
