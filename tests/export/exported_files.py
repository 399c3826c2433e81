"""What the exported files of the tests come from."""

from __future__ import annotations

from pathlib import Path

THRESHOLD = {"score": 0.5, "precision": 0.75, "recall": 0.5, "f1": 0.6, "found": "best F1 on val"}
BEST = Path("runs/mine/best.pt")
