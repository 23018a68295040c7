"""The shop with a page of its own for whatever path, and, where it is told so, one that is called /status."""

import os

from fastapi import Depends, FastAPI, Header, HTTPException
from settings import get_settings  # type: ignore[import-not-found]

from runbooks.drift.fastapi import report_settings


def login(x_login: str = Header("")) -> None:
    if x_login != "let me in":
        raise HTTPException(401)


app = FastAPI()
report_settings(app, get_settings, name="shop", dependencies=[Depends(login)])

if os.environ.get("OWN_STATUS"):

    @app.get("/status")
    def status() -> str:
        return "our own"


@app.get("/{path:path}")
def anything(path: str) -> str:
    return f"shop {path}"
