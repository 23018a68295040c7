"""Uploads, views, user data and settings, beyond what the recordings hold."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from typing import Any

import pytest
from PIL import Image

from runbooks.kernie.testing import RunningMock
from tests.kernie.workflows import node, run, run_well, saved, saving


def ask(
    mock: RunningMock, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    request = urllib.request.Request(mock.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer
    except urllib.error.HTTPError as error:
        with error:
            error.read()
        return error.code, error


def upload(mock: RunningMock, content: bytes, filename: str = "x.png", to: str = "image", **fields: str) -> int:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    head = (
        f'--b\r\nContent-Disposition: form-data; name="image"; filename="{filename}"\r\nContent-Type: image/png\r\n\r\n'
    )
    body = "".join(parts).encode() + head.encode() + content + b"\r\n--b--\r\n"
    return ask(mock, f"/upload/{to}", "POST", body, **{"Content-Type": "multipart/form-data; boundary=b"})[0]


def png(colour: Any, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (8, 8), colour).save(out, "PNG")
    return out.getvalue()


def test_the_same_bytes_again_keep_the_name(kernie: RunningMock) -> None:
    for colour in ("red", "red", "blue", "green", "blue"):
        assert upload(kernie, png(colour)) == 200
    assert sorted(path.name for path in kernie.input_dir.iterdir()) == ["x (1).png", "x (2).png", "x.png"]


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "..", "a/../../x.png"])
def test_an_upload_cannot_leave_its_folder(name: str, kernie: RunningMock) -> None:
    before = set(kernie.input_dir.parents[1].rglob("*"))
    upload(kernie, png("red"), name)
    assert upload(kernie, png("red"), subfolder="../..") == 400
    written = set(kernie.input_dir.parents[1].rglob("*")) - before
    assert all(kernie.input_dir in path.parents for path in written)


def test_a_mask_gives_its_transparency_to_the_original(kernie: RunningMock) -> None:
    upload(kernie, png("red"), "original.png")
    reference = '{"filename": "original.png", "type": "input", "subfolder": ""}'
    assert upload(kernie, png((0, 0, 0, 40), "RGBA"), "mask.png", "mask", original_ref=reference) == 200
    outside = '{"filename": "../original.png", "type": "input"}'
    assert upload(kernie, png((0, 0, 0, 40), "RGBA"), "never.png", "mask", original_ref=outside) == 200
    assert not (kernie.input_dir / "never.png").exists()
    with Image.open(kernie.input_dir / "mask.png") as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0, 40)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "sub/../../secret.png", "secret.png [output]"])
def test_a_node_reads_nothing_outside_its_folder(name: str, kernie: RunningMock) -> None:
    (kernie.input_dir.parent / "secret.png").write_bytes(png("red"))
    prompt = {"1": node("LoadImage", image=name), "2": node("PreviewImage", images=["1", 0])}
    with pytest.raises(urllib.error.HTTPError) as refused:
        kernie.post("/prompt", {"prompt": prompt})
    assert refused.value.code == 400
    refused.value.close()


def test_channels_of_an_uploaded_picture_become_masks(kernie: RunningMock) -> None:
    upload(kernie, png((255, 0, 0, 0), "RGBA"), "clear.png")
    prompt = {
        "1": node("LoadImageMask", image="clear.png", channel="alpha"),
        "2": node("MaskToImage", mask=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix="mask"),
    }
    with Image.open(saved(kernie, run_well(kernie, prompt))[0]) as picture:
        assert picture.getpixel((0, 0)) == (255, 255, 255)


def test_a_file_that_is_no_picture_fails_the_prompt_alone(kernie: RunningMock) -> None:
    upload(kernie, b"not a picture")
    prompt = {"1": node("LoadImage", image="x.png"), "2": node("PreviewImage", images=["1", 0])}
    error = dict(run(kernie, prompt)["status"]["messages"])["execution_error"]
    assert error["exception_type"] == "PIL.UnidentifiedImageError"


def test_an_etag_saves_sending_the_file_again(shared: RunningMock) -> None:
    (path,) = saved(shared, run_well(shared, saving(21)))
    _, answer = ask(shared, f"/view?filename={path.name}")
    assert ask(shared, f"/view?filename={path.name}", **{"If-None-Match": answer.headers["ETag"]})[0] == 304


@pytest.mark.parametrize("query", ["channel=a", "channel=rgb", "preview=jpeg;200", "preview=webp;x", "preview=bmp;1"])
def test_every_wish_for_a_view_is_answered_with_a_picture(query: str, shared: RunningMock) -> None:
    (path,) = saved(shared, run_well(shared, saving(22)))
    with urllib.request.urlopen(f"{shared.url}/view?filename={path.name}&{query}", timeout=10) as answer:
        content = answer.read()
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()


def test_an_svg_is_shown_in_an_img_and_downloaded_everywhere_else(shared: RunningMock) -> None:
    (shared.input_dir / 'a "b".svg').write_text("<svg/>")
    path = "/view?type=input&filename=a%20%22b%22.svg"
    _, shown = ask(shared, path, "GET", None, **{"Sec-Fetch-Dest": "image"})
    _, downloaded = ask(shared, path)
    assert shown.headers["Content-Type"] == "image/svg+xml"
    assert downloaded.headers["Content-Disposition"] == 'attachment; filename="a \\"b\\".svg"'
    assert downloaded.headers["Content-Type"] == "application/octet-stream"


def test_settings_are_kept(kernie: RunningMock) -> None:
    assert kernie.get("/users") == {"storage": "server", "migrated": False}
    assert kernie.get("/settings") == {}
    assert kernie.get("/settings/Comfy.Unset") is None
    kernie.post("/settings", {"Comfy.A": 1, "Comfy.B": [2]})
    kernie.post("/api/settings/Comfy.A", "three")
    assert kernie.get("/settings") == {"Comfy.A": "three", "Comfy.B": [2]}
    assert kernie.get("/users") == {"storage": "server", "migrated": True}


def test_user_data_is_written_listed_moved_and_deleted(kernie: RunningMock) -> None:
    assert ask(kernie, "/userdata/workflows%2Fa.json", "POST", b"{}")[0] == 200
    assert ask(kernie, "/userdata/workflows%2Fa.json?overwrite=false", "POST", b"{}")[0] == 409
    assert kernie.get("/userdata/workflows%2Fa.json") == {}
    assert kernie.get("/userdata?dir=workflows") == ["a.json"]
    assert kernie.get("/userdata?dir=workflows&split=true") == [["a.json", "a.json"]]
    assert kernie.get("/v2/userdata")[0]["type"] == "directory"
    assert ask(kernie, "/userdata/workflows%2Fa.json/move/workflows%2Fb%2Fc.json", "POST", b"")[0] == 200
    (about,) = kernie.get("/userdata?dir=workflows&recurse=true&full_info=true")
    assert (about["path"], about["size"]) == ("b/c.json", 2)
    assert ask(kernie, "/userdata/workflows%2Fb%2Fc.json", "DELETE")[0] == 204
    assert ask(kernie, "/userdata/workflows%2Fb%2Fc.json", "DELETE")[0] == 404


def test_the_newer_list_goes_all_the_way_down_folders_first(kernie: RunningMock) -> None:
    assert kernie.get("/v2/userdata") == []
    for name in ("b.txt", "A.txt", "deep%2Fer%2Fc.txt", ".hidden%2Fd.txt"):
        ask(kernie, f"/userdata/{name}", "POST", b"12345")
    found = [(each["type"], each["path"]) for each in kernie.get("/v2/userdata")]
    folders = [("directory", ".hidden"), ("directory", "deep"), ("directory", "deep/er")]
    files = [("file", path) for path in ("A.txt", "b.txt", "deep/er/c.txt", ".hidden/d.txt")]
    assert found == [*folders, *files]
    assert [each["path"] for each in kernie.get("/v2/userdata?path=deep")] == ["deep/er", "deep/er/c.txt"]
    assert ask(kernie, "/v2/userdata?path=b.txt")[0] == 400
    assert kernie.get("/userdata?dir=.&recurse=true") == ["A.txt", "b.txt", "deep/er/c.txt"], "hidden ones are left out"


@pytest.mark.parametrize(
    ("name", "kind", "disposition"),
    [
        ("a.json", "application/json", "attachment"),
        ("a.html", "application/octet-stream", "attachment"),
        ("user.css", "text/css", "inline"),
        ("other.css", "application/octet-stream", "attachment"),
    ],
)
def test_user_data_is_for_download(name: str, kind: str, disposition: str, kernie: RunningMock) -> None:
    ask(kernie, f"/userdata/{name}", "POST", b"{}")
    status, answer = ask(kernie, f"/userdata/{name}")
    told = {key: answer.headers[key] for key in ("Content-Type", "Content-Disposition", "X-Content-Type-Options")}
    assert (status, list(told.values())) == (200, [kind, disposition, "nosniff"])


def test_a_name_that_no_file_can_have_is_refused(kernie: RunningMock) -> None:
    assert ask(kernie, f"/userdata/{'x' * 300}", "POST", b"")[0] == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/userdata", 400),
        ("/userdata?dir=../..", 403),
        ("/userdata?dir=missing", 404),
        ("/userdata/..%2F..%2Fsecret", 403),
        ("/userdata/missing", 404),
        ("/v2/userdata?path=../..", 400),
        ("/v2/userdata?path=missing", 404),
    ],
)
def test_user_data_outside_or_missing_is_refused(path: str, status: int, shared: RunningMock) -> None:
    assert ask(shared, path)[0] == status


@pytest.mark.parametrize("path", ["/upload/image", "/userdata/x.png"])
def test_who_reads_a_file_while_it_is_replaced_reads_the_old_one_to_its_end(path: str, kernie: RunningMock) -> None:
    def write(content: bytes) -> None:
        if "upload" in path:
            assert upload(kernie, content, overwrite="true") == 200
        else:
            assert ask(kernie, path, "POST", content)[0] == 200

    old, new = png("red"), png("blue")[:20]
    write(old)
    (written,) = kernie.input_dir.parent.rglob("x.png")
    with written.open("rb") as reader:
        write(new)
        assert reader.read() == old
    assert written.read_bytes() == new
    assert [each.name for each in written.parent.iterdir()] == ["x.png"]
