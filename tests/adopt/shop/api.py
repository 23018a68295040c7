from fastapi import FastAPI
from settings import get_settings  # type: ignore[import-not-found]

from runbooks.drift.fastapi import report_settings

app = FastAPI()
report_settings(app, get_settings, name="shop", every=0.4)


@app.get("/warehouse")
def warehouse() -> str:
    return str(get_settings().warehouse_url)
