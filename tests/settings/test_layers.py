"""The six layers, their order and their origins, as measured on the real application."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runbooks.errors import UserError
from runbooks.settings import Layer, get_settings, load_settings, read_layers
from runbooks.settings.loader import export_env_files

TARGET = "local-demo"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "env").mkdir()
    base = {"comfyui-url": "http://localhost:1", "comfyui-output-dir": "~/out", "comfyui-timeout": 30}
    (tmp_path / "config" / "base.json").write_text(json.dumps(base, indent=2))
    (tmp_path / "config" / f"{TARGET}.json").write_text("{}")
    return tmp_path


def write(root: Path, layer: Layer, port: int) -> dict[str, str]:
    """Set comfyui-url in one layer; what goes into the process environment is returned."""
    url = f"http://localhost:{port}"
    match layer:
        case Layer.BASE_JSON:
            pass  # the fixture's value, port 1
        case Layer.TARGET_JSON:
            (root / "config" / f"{TARGET}.json").write_text(json.dumps({"comfyui-url": url}))
        case Layer.ENVIRONMENT:
            return {"COMFYUI_URL": url}
        case _:
            name = {Layer.ENV_SHARED: ".env.shared", Layer.ENV_TARGET: f".env.{TARGET}", Layer.ENV_OVERRIDE: ".env"}[
                layer
            ]
            (root / "env" / name).write_text(f"# why\n\nCOMFYUI_URL={url}\n")
    return {}


@pytest.mark.parametrize("winner", list(Layer))
def test_a_higher_layer_wins_over_all_lower_ones(root: Path, winner: Layer) -> None:
    environ: dict[str, str] = {}
    for layer in Layer:
        if layer <= winner:
            environ |= write(root, layer, int(layer))
    loaded = load_settings(root, TARGET, environ)
    assert loaded.settings.comfyui_url == f"http://localhost:{int(winner)}"
    assert loaded.layers.effective("comfyui-url").origin.layer is winner
    assert [value.origin.layer for value in loaded.layers.shadowed("comfyui-url")] == list(Layer)[: winner - 1]


def test_an_origin_names_file_and_line(root: Path) -> None:
    environ = write(root, Layer.ENV_TARGET, 4) | write(root, Layer.ENVIRONMENT, 5)
    values = read_layers(root, TARGET, environ).values["comfyui-url"]
    assert [str(value.origin) for value in values] == [
        "config/base.json:2",
        "env/.env.local-demo:3",
        "environment variable COMFYUI_URL",
    ]


def test_a_variable_overrides_only_keys_that_the_json_files_have(root: Path) -> None:
    layers = read_layers(root, TARGET, {"REDIS_URL": "redis://elsewhere"})
    assert "redis-url" not in layers.values


def test_a_dotenv_at_the_root_is_ignored(root: Path) -> None:
    (root / ".env").write_text("COMFYUI_URL=http://localhost:9\n")
    assert load_settings(root, TARGET, {}).settings.comfyui_url == "http://localhost:1"


def test_a_tilde_is_not_expanded(root: Path) -> None:
    assert load_settings(root, TARGET, {}).settings.comfyui_output_dir == "~/out"


def test_a_key_that_no_layer_sets_keeps_its_default_and_has_no_origin(root: Path) -> None:
    loaded = load_settings(root, TARGET, {})
    assert loaded.settings.comfyui_max_wait_time == 900
    assert loaded.origin("comfyui-max-wait-time") is None


def test_reading_the_layers_does_not_touch_the_environment(root: Path) -> None:
    write(root, Layer.ENV_OVERRIDE, 6)
    before = dict(os.environ)
    load_settings(root, TARGET, {})
    assert dict(os.environ) == before


def test_get_settings_keeps_the_old_value_after_the_file_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr(os, "environ", {"ENV_TARGET": TARGET})
    get_settings.cache_clear()
    write(root, Layer.ENV_TARGET, 4)
    assert get_settings().comfyui_url == "http://localhost:4"
    write(root, Layer.ENV_TARGET, 44)
    assert get_settings().comfyui_url == "http://localhost:4"
    get_settings.cache_clear()  # not enough: the first call put the file's value into the environment
    assert get_settings().comfyui_url == "http://localhost:4"
    get_settings.cache_clear()


def test_the_target_file_beats_the_shared_file_when_both_are_exported(root: Path) -> None:
    write(root, Layer.ENV_SHARED, 3)
    write(root, Layer.ENV_TARGET, 4)
    environ: dict[str, str] = {}
    export_env_files(root, TARGET, environ)
    assert environ["COMFYUI_URL"] == "http://localhost:4"


def test_an_exported_value_survives_the_shared_file_but_not_env_dotenv(root: Path) -> None:
    write(root, Layer.ENV_SHARED, 3)
    environ = {"COMFYUI_URL": "http://localhost:5"}
    export_env_files(root, TARGET, environ)
    assert environ["COMFYUI_URL"] == "http://localhost:5"
    write(root, Layer.ENV_OVERRIDE, 6)
    export_env_files(root, TARGET, environ)
    assert environ["COMFYUI_URL"] == "http://localhost:6"


def test_the_makefile_exports_the_shared_and_the_target_file_but_not_env_dotenv(root: Path) -> None:
    (root / "env" / ".env.shared").write_text("A=shared\nB=shared\n")
    (root / "env" / f".env.{TARGET}").write_text("B=target\n")
    (root / "env" / ".env").write_text("C=override\n")
    layers = read_layers(root, TARGET, {})
    assert layers.exports == {"A": "shared", "B": "target"}
    assert layers.variables >= {"A", "B", "C", "COMFYUI_URL"}


def test_an_unknown_target_is_answered_with_those_that_exist(root: Path) -> None:
    with pytest.raises(UserError, match=r"ENV_TARGET is 'prod', .* Use one of: local-demo\."):
        load_settings(root, "prod", {})


def test_a_missing_target_says_how_to_set_it(root: Path) -> None:
    with pytest.raises(UserError, match=r"ENV_TARGET is not set\. .*export ENV_TARGET=local-demo"):
        load_settings(root, environ={})


def test_a_folder_without_config_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no .*base\.json\. Run this in the folder"):
        load_settings(tmp_path, TARGET, {})


def test_broken_json_names_file_line_and_column(root: Path) -> None:
    (root / "config" / "base.json").write_text('{\n  "comfyui-url": http\n}')
    with pytest.raises(UserError, match=r"base\.json:2:18 is not JSON"):
        load_settings(root, TARGET, {})


def test_json_that_is_not_an_object_is_refused(root: Path) -> None:
    (root / "config" / "base.json").write_text("[]")
    with pytest.raises(UserError, match=r"base\.json:1 holds a list"):
        load_settings(root, TARGET, {})


def test_an_env_line_without_a_value_names_file_and_line(root: Path) -> None:
    (root / "env" / ".env.shared").write_text("# fine\n\nCOMFYUI_URL http://localhost:1\n")
    with pytest.raises(UserError, match=r"\.env\.shared:3 is 'COMFYUI_URL http://localhost:1', expected KEY=value"):
        load_settings(root, TARGET, {})


def test_an_unreadable_env_file_is_named_with_the_reason(root: Path) -> None:
    (root / "env" / ".env.shared").mkdir()
    with pytest.raises(UserError, match=r"\.env\.shared cannot be read: is a directory"):
        load_settings(root, TARGET, {})


def test_an_env_file_that_is_not_text_is_named(root: Path) -> None:
    (root / "env" / ".env.shared").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(UserError, match=r"\.env\.shared is not UTF-8"):
        load_settings(root, TARGET, {})


def test_a_bad_value_names_origin_key_and_what_was_expected(root: Path) -> None:
    (root / "env" / ".env.shared").write_text("COMFYUI_URL=localhost:8189\n")
    with pytest.raises(
        UserError, match=r"^env/\.env\.shared:1: comfyui-url is 'localhost:8189'; expected a URL such as"
    ):
        load_settings(root, TARGET, {})


def test_quotes_inside_a_json_value_are_not_silently_dropped(root: Path) -> None:
    (root / "config" / f"{TARGET}.json").write_text('{"comfyui-url": "\\"http://localhost:8189\\""}')
    with pytest.raises(UserError, match=r"local-demo\.json:1: comfyui-url is .*expected a URL"):
        load_settings(root, TARGET, {})


def test_a_number_that_is_none_names_its_variable(root: Path) -> None:
    with pytest.raises(UserError, match=r"^environment variable COMFYUI_TIMEOUT: comfyui-timeout is 'soon'; "):
        load_settings(root, TARGET, {"COMFYUI_TIMEOUT": "soon"})


def test_a_key_that_is_needed_and_set_nowhere_is_named(root: Path) -> None:
    (root / "config" / "base.json").write_text('{"comfyui-url": "http://localhost:1"}')
    with pytest.raises(UserError, match=r"No layer sets comfyui-output-dir\. Add it to "):
        load_settings(root, TARGET, {})
