"""PyTorch's tutorial of transfer learning: the network as a fixed feature extractor.

Source: Chilamkurthy, Transfer Learning for Computer Vision Tutorial
(https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html).
"""

import contextlib
import importlib.util
import io

import numpy as np

from tlcourse.models import lite
from tlcourse.models.scaling import MODES

BACKBONE = "efficientnet-lite0"


def available() -> bool:
    """Whether PyTorch and the network in PyTorch are installed; neither comes with the course."""
    return all(importlib.util.find_spec(name) for name in ("torch", "efficientnet_lite_pytorch"))


class Tutorial:
    """A frozen network inside the training loop, SGD with momentum, a rate that falls in steps.

    The loop and the settings are the tutorial's; the network, its weights, the images, their size
    and the batch are those of the other sides. Its rate of 0.001 is for batches of 4 and grows here
    with the batch. The tutorial trains in training mode, frozen or not, so BatchNormalization
    moves. It has no augmentation here, and no validation after each epoch.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, size: int, batch: int):
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        self.torch, self.size, self.batch, self.classes = torch, size, batch, int(y.max()) + 1
        with contextlib.redirect_stdout(io.StringIO()):  # it says what it has loaded
            self.model = EfficientNet.from_pretrained(
                BACKBONE, str(lite.SCALES[BACKBONE].weights_path()), num_classes=self.classes,
                image_size=size, dropout_rate=0.0, drop_connect_rate=0.0,
            )  # fmt: skip
        for parameter in self.model.parameters():
            parameter.requires_grad = False
        self.start = {name: value.clone() for name, value in self.model.state_dict().items()}
        pairs = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y).long())
        self.loader = torch.utils.data.DataLoader(pairs, batch_size=batch, shuffle=True)
        self.forget()

    def forget(self) -> None:
        """Back to before the first step."""
        self.torch.manual_seed(0)
        self.model.load_state_dict(self.start)
        self.model._fc = self.torch.nn.Linear(self.model._fc.in_features, self.classes)
        rate = 0.001 * self.batch / 4
        self.optimizer = self.torch.optim.SGD(self.model._fc.parameters(), rate, momentum=0.9)
        self.schedule = self.torch.optim.lr_scheduler.StepLR(self.optimizer, 7, gamma=0.1)

    def fit(self, epochs: int) -> None:
        for _ in range(epochs):
            self.model.train()
            for images, labels in self.loader:
                self.optimizer.zero_grad()
                scores = self.model(self._ready(images))
                self.torch.nn.functional.cross_entropy(scores, labels).backward()
                self.optimizer.step()
            self.schedule.step()

    def right(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which of some images it gets right, 0 or 1."""
        self.model.eval()
        with self.torch.no_grad():
            said = [
                self.model(self._ready(self.torch.from_numpy(x[i : i + self.batch]))).argmax(1)
                for i in range(0, len(x), self.batch)
            ]
        return self.torch.cat(said).numpy() == y

    def _ready(self, images):
        """Resized, grey as RGB, and scaled, channels first."""
        pixels = images.permute(0, 3, 1, 2).float()
        pixels = self.torch.nn.functional.interpolate(pixels, (self.size,) * 2, mode="bilinear")
        scaling = MODES["lite"]
        return ((pixels - scaling.offset[0]) / scaling.divisor[0]).expand(-1, 3, -1, -1)
