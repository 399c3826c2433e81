"""The promises of SECURITY.md that no other test holds, and that the tests it names exist."""

from __future__ import annotations

import io
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from anchorloc.checkpoint import load_checkpoint, load_weights
from anchorloc.compare import run_record
from anchorloc.config import read_yaml
from anchorloc.data.formats.voc import parse_xml
from anchorloc.engine.state.saved_settings import refuse_overrides
from anchorloc.errors import InputError
from anchorloc.files import read_json
from tests.signed_archives import with_checksum

ROOT = Path(__file__).resolve().parents[1]
ZEROS = bytes(50_000_000)


def compressed(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_bomb_is_refused_by_the_sizes_it_states(tmp_path: Path) -> None:
    """In its tensors, or in its pickle; signed or not."""
    path = tmp_path / "best.pt"
    for name in ("best/data/0", "best/data.pkl"):
        archive = compressed({"best/data.pkl": b"\x80\x02}q\x00.", "best/version": b"3", name: ZEROS})
        for content in (archive, with_checksum(archive)):
            path.write_bytes(content)
            assert len(content) < 200_000
            with pytest.raises(InputError, match=r"unpack to [\d,]*50,000,\d\d\d"):
                load_weights(path)
            refuse_overrides(path, ["decode.nms_iou=0.5"])  # reads the settings alone, if it can
    with pytest.raises(InputError, match="unpack to"):
        load_checkpoint(path)


def test_matched_detections_are_bounded_by_the_size_they_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of a study's folder."""
    monkeypatch.setattr(run_record, "MAX_UNPACKED", 50_000)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it is unpacked"))
    np.savez_compressed(tmp_path / run_record.OUTCOMES, rows=np.zeros(50_001, np.int8))
    assert (tmp_path / run_record.OUTCOMES).stat().st_size < 1000
    with pytest.raises(InputError, match=r"outcomes.npz is damaged; remove it and record.json"):
        run_record.read_match_result(tmp_path)


def test_a_tensor_that_repeats_its_numbers_is_refused(tmp_path: Path) -> None:
    """A few bytes that would become gigabytes where they are first computed with."""
    path = tmp_path / "weights.pt"
    torch.save({"head.weight": torch.zeros(1).expand(10**6, 10**6)}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"head\.weight repeats its numbers to 1,000,000,000,000"):
        load_weights(path)


def test_depth_and_references_of_text_files_are_bounded(tmp_path: Path) -> None:
    start, path = time.perf_counter(), tmp_path / "file"
    path.write_text("[" * 1_000_000)
    with pytest.raises(InputError, match=r"nested too deeply|not valid JSON"):
        read_json(path)
    path.write_text("a: " + "[" * 100_000)
    with pytest.raises(InputError):
        read_yaml(path)
    path.write_text("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
    with pytest.raises(InputError, match="aliases"):
        read_yaml(path)
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    path.write_text(f'<!DOCTYPE a [<!ENTITY e0 "lol">{entities}]><annotation>&e11;</annotation>')
    with pytest.raises(InputError, match="is not XML"):
        parse_xml(path)
    path.write_text('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><annotation>&e;</annotation>')
    with pytest.raises(InputError, match="is not XML"):
        parse_xml(path)
    assert time.perf_counter() - start < 60


def test_the_tests_that_security_md_names_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) >= 10
    for file, function in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, f"{file}::{function}"
