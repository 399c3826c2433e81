"""Suspected label errors: labels that contradict the detections of a model, ranked by how sure that is."""

from anchorloc.doctor.suspects.label_suspects import KINDS, LabelSuspects, Suspect, find_suspects

__all__ = ["KINDS", "LabelSuspects", "Suspect", "find_suspects"]
