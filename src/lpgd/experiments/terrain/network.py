"""A small convolutional network from images to costs."""

from torch import Tensor, nn


class CostReader(nn.Module):
    """Costs >= 0 of the tiles of images: (B, H, W, 3) bytes to (B, tiles)."""

    def __init__(self, tiles: tuple[int, int], channels: int) -> None:
        super().__init__()
        self._layers = nn.Sequential(
            nn.Conv2d(3, channels, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(tiles),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 1, 1),
            nn.Softplus(),
            nn.Flatten(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the costs."""
        return self._layers(images.permute(0, 3, 1, 2).float() / 128 - 1)
