import io
import json
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from core.errors import ReadError
from core.formats import source as source_module
from core.formats.source import Source, open_source, source_of_uploads
from tests.samples import picture


def packed(members: dict[str, bytes], *, compress: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def names(source: Source) -> list[str]:
    return [file.name for file in source.files]


def opened(data: bytes) -> Source:
    return source_of_uploads([("up.zip", data)])


def test_a_folder_is_read_with_its_subfolders_in_natural_order(tmp_path: Path) -> None:
    for name in ("b/10.png", "b/2.png", "a.json", ".hidden/x.png", "b/.DS_Store", "Thumbs.db", "__MACOSX/y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    source = open_source(tmp_path)
    assert names(source) == ["a.json", "b/2.png", "b/10.png"]
    assert source.files[1].read() == b"b/2.png"
    assert source.files[1].size == 7
    assert [file.name for file in source.pictures()] == ["b/2.png", "b/10.png"]


def test_a_link_to_nowhere_is_said_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    source = open_source(tmp_path)
    assert names(source) == ["a.png"]
    assert "b.png cannot be read" in source.refused[0]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="is not there"):
        open_source(tmp_path / "nothing")


def test_a_labelme_file_brings_its_picture(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(picture(1))
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [], "imagePath": "pictures\\a.png"}))
    assert names(open_source(tmp_path / "a.json")) == ["a.json", "a.png"]
    assert names(open_source(tmp_path / "pictures" / "a.png")) == ["a.png"]


def test_a_json_file_that_names_no_picture_comes_alone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1, 2")
    assert names(open_source(tmp_path / "a.json")) == ["a.json"]


def test_a_zip_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "set.bin").write_bytes(packed({"x/a.png": b"a", "x/": b"", "b.json": b"{}"}))
    source = open_source(tmp_path / "set.bin")
    assert names(source) == ["b.json", "x/a.png"]
    assert source.files[1].read() == b"a"
    assert source.files[1].read() == b"a"  # each time anew


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
def test_a_member_that_leads_out_of_the_folder_is_refused_and_the_rest_is_read(name: str) -> None:
    source = opened(packed({name: b"x", "good.png": b"y"}))
    assert names(source) == ["good.png"]
    assert "leads out of the folder" in source.refused[0]


def test_a_link_in_an_archive_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    source = opened(buffer.getvalue())
    assert not source.files
    assert "it is a link" in source.refused[0]


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(packed({"a.png": b"secret"}))
    directory = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[directory + 8] |= 1
    assert "encrypted" in opened(bytes(data)).refused[0]


@pytest.mark.parametrize("compress", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_unpack_without_a_bound_are_refused(compress: int) -> None:
    assert "ordinary zip" in opened(packed({"a.png": b"x" * 99}, compress=compress)).refused[0]


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    source = opened(packed({"bomb.png": bytes(51 << 20), "good.png": b"y"}))
    assert names(source) == ["good.png"]
    assert "as only a bomb does" in source.refused[0]


def declared(data: bytes, size: int) -> bytes:
    """The archive with another unpacked size in the header of its only member."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, changed.index(b"PK\x01\x02") + 24, size)
    struct.pack_into("<I", changed, 22, size)
    return bytes(changed)


def test_a_member_over_the_limit_is_refused() -> None:
    assert "the limit is 2.0 GB" in opened(declared(packed({"a.png": b"x" * 99}), 3 << 30)).refused[0]


def test_a_header_that_lies_about_the_size_is_not_trusted() -> None:
    honest = packed({"a.png": b"x" * 5000})
    for size in (10, 9000):
        file = opened(declared(honest, size)).files[0]
        with pytest.raises(ReadError, match=r"a\.png .* inside the archive|more than the archive"):
            file.read()


def test_an_archive_over_the_total_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MAX_TOTAL", 100)
    with pytest.raises(ReadError, match="would unpack to more than"):
        open_zip_at(packed({"a.png": b"x" * 60, "b.png": b"x" * 60}))


def open_zip_at(data: bytes) -> Source:
    return Source("", tuple(source_module._open_zip(io.BytesIO(data), "up.zip", "")[0]))


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source_module, "MAX_FILES", 2)
    with pytest.raises(ReadError, match="holds 3 files; the limit is 2"):
        open_zip_at(packed({f"{i}.png": b"" for i in range(3)}))
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(ReadError, match="the limit is 2"):
        open_source(tmp_path)


def test_a_damaged_archive_is_said(tmp_path: Path) -> None:
    whole = packed({"a.png": b"x" * 999})
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    with pytest.raises(ReadError, match=r"cut\.zip is a damaged archive"):
        open_source(tmp_path / "cut.zip")
    assert "damaged archive" in opened(whole[:-30]).refused[0]


def test_a_damaged_member_costs_only_itself() -> None:
    data = bytearray(packed({"a.png": b"abcdefgh", "b.png": b"good"}, compress=zipfile.ZIP_STORED))
    data[data.index(b"abcdefgh")] = 0
    bad, good = opened(bytes(data)).files
    with pytest.raises(ReadError, match=r"a\.png is damaged"):
        bad.read()
    assert good.read() == b"good"


def test_an_archive_inside_of_an_archive_is_not_opened() -> None:
    source = opened(packed({"inner.zip": packed({"a.png": b"a"})}))
    assert not source.files
    assert "import it by itself" in source.refused[0]


@pytest.mark.parametrize(("name", "encoding"), [("Müll.png", "cp437"), ("裂缝.png", "utf-8"), ("裂缝.png", "gb2312")])
def test_names_without_the_utf8_flag_are_read_as_they_were_meant(name: str, encoding: str) -> None:
    raw = name.encode(encoding)
    data = packed({"#" * len(raw): b"a"}).replace(b"#" * len(raw), raw)
    assert names(opened(data)) == [name]


def test_names_with_the_utf8_flag_are_composed() -> None:
    assert names(opened(packed({"u\u0308.png": b"a"}))) == ["ü.png"]


def test_uploads_come_as_bytes_or_as_open_files() -> None:
    source = source_of_uploads([("b.png", io.BytesIO(b"bb")), ("a.json", b"{}")])
    assert [(file.name, file.size, file.read()) for file in source.files] == [("a.json", 2, b"{}"), ("b.png", 2, b"bb")]
    assert source.title == "2 files"


def test_uploads_of_one_name_are_kept_apart_with_those_beside_them() -> None:
    source = source_of_uploads([("a.png", b"1"), ("a.json", b"2"), ("a.png", b"3"), ("a.json", b"4")])
    assert {file.name: file.read() for file in source.files} == {
        "a.png": b"1",
        "a.json": b"2",
        "2/a.png": b"3",
        "2/a.json": b"4",
    }


def test_two_uploaded_archives_lie_in_folders_of_their_names() -> None:
    archives = [("images.zip", packed({"a.png": b"1"})), ("masks.zip", io.BytesIO(packed({"a.png": b"2"})))]
    assert names(source_of_uploads(archives)) == ["images/a.png", "masks/a.png"]


def test_an_upload_never_keeps_a_path_that_leads_out() -> None:
    assert names(source_of_uploads([("../../a.png", b"1"), ("C:\\Users\\me\\b.png", b"2")])) == ["a.png", "b.png"]


def test_a_picture_without_a_suffix_is_known_by_its_first_bytes() -> None:
    source = source_of_uploads([("scan", picture(1)), ("README", b"hello")])
    assert [file.name for file in source.pictures()] == ["scan"]
