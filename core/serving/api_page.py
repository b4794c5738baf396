"""The prediction API as an OpenAPI document, and as a page that is made of it. Nothing comes from a foreign host."""

from html import escape
from typing import Any, Final

from core.images import MAX_PIXELS
from core.serving.api_formats import FORMATS
from core.serving.queue import SECONDS
from core.serving.upload import UploadLimits

_VERSION: Final = "1.0.0"
_MEGAPIXELS: Final = MAX_PIXELS // 1_000_000

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #22222b; --dim: #5c5c6b; --ground: #ffffff; --raised: #f3f3f7; --line: #d9d9e3;
  --accent: #5b4bb7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e9f0; --dim: #a9a9b8; --ground: #17171d; --raised: #23232c;
  --line: #3a3a47; --accent: #b3a6f6; } }
body { margin: 0 auto; max-width: 54rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; } h2 { margin: 2.5rem 0 .25rem; font: 600 1.1rem ui-monospace, monospace; }
h2 span { color: var(--accent); } p { margin: .25rem 0 .75rem; } a { color: var(--accent); }
pre { overflow-x: auto; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--raised); font: .875rem/1.5 ui-monospace, monospace; }
table { width: 100%; border-collapse: collapse; margin: .5rem 0 1rem; font-size: .925rem; }
td { padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td:first-child { width: 8rem; font-family: ui-monospace, monospace; } .dim { color: var(--dim); }
form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; padding: .75rem 1rem;
  border: 1px solid var(--line); border-radius: .4rem; }
button, select, input { font: inherit; } button { padding: .25rem 1rem; }
"""


def document(address: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API at `address`, "http://127.0.0.1:8502/"."""
    address = address.rstrip("/")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Maskloop",
            "version": _VERSION,
            "description": "Send a picture, get the mask that a trained model predicts.",
        },
        "servers": [{"url": address}],
        "paths": {
            "/predict": {"post": _predict(address)},
            "/models": {"get": _get(address, "/models", "The models with their labels and quality", _json("Models"))},
            "/healthz": {"get": _get(address, "/healthz", "Whether the server answers", _json())},
            "/metrics": {"get": _get(address, "/metrics", "Counters for Prometheus", {"text/plain": {}})},
        },
        "components": {
            "schemas": {
                "Error": _object(message={"type": "string"}, hint={"type": "string"}),
                "Areas": _object(
                    model={"type": "string"},
                    picture={"type": "string"},
                    width={"type": "integer"},
                    height={"type": "integer"},
                    areas=_list(
                        name={"type": "string"}, pixels={"type": "integer"}, share={"type": "number", "maximum": 1}
                    ),
                ),
                "Models": _object(
                    models=_list(
                        name={"type": "string"},
                        labels=_list(name={"type": "string"}, color={"type": "string"}),
                        window={"type": "integer", "description": "side of a prediction window in pixels"},
                        multiple_of={"type": "integer"},
                        metrics={"type": "object"},
                        created={"type": "string"},
                    )
                ),
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def page(address: str) -> str:
    """The document as HTML, with a form to try it. Its lines can be copied as they are."""
    described = document(address)
    info = described["info"]
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{info["title"]} API</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{info['title']} API</h1><p>{info['description']}</p>",
        '<p class="dim">The same for programs: <a href="openapi.json">openapi.json</a>. Where the server asks for a',
        'token, add <code>-H "Authorization: Bearer $MASKLOOP_TOKEN"</code> to each line.</p>',
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts += _section(method, path, operation)
    return "\n".join([*parts, "</main></body></html>"])


def _section(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    parts = [f"<h2><span>{method.upper()}</span> {path}</h2><p>{escape(operation['summary'])}.</p>"]
    if "requestBody" in operation:
        parts += [_rows(_fields(operation)), _form()]
    samples = "\n".join(sample["source"] for sample in operation["x-codeSamples"])
    parts.append(f"<pre>{escape(samples)}</pre>")
    failures = {code: told["description"] for code, told in operation["responses"].items() if code != "200"}
    return [*parts, _rows(failures)] if failures else parts


def _fields(operation: dict[str, Any]) -> dict[str, str]:
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    return {name: field["description"] for name, field in schema["properties"].items()}


def _form() -> str:
    options = "".join(f"<option>{name}</option>" for name in FORMATS)
    return (
        '<form action="predict" method="post" enctype="multipart/form-data">'
        '<input type="file" name="image" aria-label="Picture" required>'
        f'<select name="format" aria-label="Format">{options}</select><button>Predict</button></form>'
    )


def _rows(told: dict[str, str]) -> str:
    return (
        f"<table>{''.join(f'<tr><td>{name}</td><td>{escape(text)}</td></tr>' for name, text in told.items())}</table>"
    )


def _predict(address: str) -> dict[str, Any]:
    about = "; ".join(f"{name}: {format.about}" for name, format in FORMATS.items())
    format_schema = {"type": "string", "enum": list(FORMATS), "default": "png"}
    format_about = f"the form of the answer. {about}"
    model_about = "a name of /models; the first of them if it is not given"
    media_types: dict[str, Any] = {format.media_type: {} for format in FORMATS.values()}
    curl = "curl -F image=@picture.jpg"
    fields = {
        "image": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "the picture as a file: JPEG, PNG, TIFF, WebP or BMP of any size",
        },
        "format": {**format_schema, "description": format_about},
        "model": {"type": "string", "description": model_about},
    }
    return {
        "summary": "The mask of a picture",
        "operationId": "predict",
        "parameters": [
            {"name": "format", "in": "query", "schema": format_schema, "description": format_about},
            {"name": "model", "in": "query", "schema": {"type": "string"}, "description": model_about},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object", "required": ["image"], "properties": fields}}
            },
        },
        "responses": {
            "200": {"description": "The answer in the form asked for", "content": {**media_types, **_json("Areas")}},
            **{code: {"description": told, "content": _json("Error")} for code, told in _FAILURES.items()},
        },
        "x-codeSamples": _samples(
            f"{curl} {address}/predict -o mask.png",
            f'{curl} "{address}/predict?format=overlay" -o overlay.jpg',
            f"{curl} -F format=labelme {address}/predict -o picture.json",
            f'{curl} "{address}/predict?format=json"',
        ),
    }


_FAILURES: Final = {
    "400": "The request is not a form with a file in the field image, or the format is unknown",
    "401": "The token is missing or wrong",
    "404": "There is no such model",
    "408": "The picture took too long to come in",
    "413": f"The request is larger than {UploadLimits().size / 1e6:g} MB, or the picture than {_MEGAPIXELS} megapixels",
    "415": "The file is not a picture",
    "422": "The picture is broken",
    "429": "Too many wait for this model; the header Retry-After says when to come back",
    "503": f"The model cannot be loaded, or the prediction took more than {SECONDS:g} s",
}


def _get(address: str, path: str, summary: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": path[1:],
        "responses": {"200": {"description": summary, "content": content}},
        "x-codeSamples": _samples(f"curl {address}{path}"),
    }


def _samples(*lines: str) -> list[dict[str, str]]:
    return [{"lang": "Shell", "source": line} for line in lines]


def _json(schema: str | None = None) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}} if schema else {}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": _object(**properties)}
