from celery import Celery
from settings import get_settings  # type: ignore[import-not-found]

from runbooks.drift.celery import report_settings

app = Celery("shop", broker="filesystem://")
folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "queue"}
app.conf.update(broker_transport_options={**folders, "polling_interval": 0.05}, task_ignore_result=True)
report_settings(app, get_settings)


@app.task  # type: ignore[untyped-decorator]
def pack() -> None:
    get_settings()
