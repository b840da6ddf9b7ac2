"""The class of the real CTCF model in ../shared/human, as a user would write it."""

from torch import Tensor, nn


class CTCF(nn.Module):
    """(n, 4, 1000) one-hot -> (n, 1) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv1d(4, 60, 15), nn.Conv1d(60, 60, 15), nn.Conv1d(60, 15, 15)
        self.pool, self.out = nn.MaxPool1d(35), nn.Linear(405, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.pool(self.c3(self.c2(self.c1(x).relu()).relu()).relu()).flatten(1))
