"""The applications that docs/synchronous.md shows serve requests. Their packages are here for the type checkers."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import django
import pytest
from django.conf import settings

from docket import Docket, Worker
from tests.house.tree import ROOT
from tests.types.documents import programs

_, FLASK, DJANGO = programs((ROOT / "docs" / "synchronous.md").read_text(encoding="utf-8"))


def run(name: str, code: str) -> Any:
    module = sys.modules[name] = ModuleType(name)  # where annotations are looked up
    exec(compile(code.replace("redis://localhost:6379/0", f"memory://{name}"), name, "exec"), vars(module))
    return module


def test_the_flask_application_adds_shows_and_cancels() -> None:
    shop = run("flask_shop", FLASK)
    client = shop.app.test_client()
    url = "/orders/7/receipt"
    assert client.get(url).status_code == 404
    assert client.post(url).json == {"key": "receipt-7", "disposition": "scheduled"}
    assert client.post(url).json["disposition"] == "already_scheduled"
    shop.run_tasks()
    assert client.get(url).json == {"state": "completed", "receipt": "receipt of 7 sent"}
    assert (client.delete(url).status_code, client.delete("/orders/8/receipt").status_code) == (409, 404)
    client.post("/orders/9/receipt")
    assert client.delete("/orders/9/receipt").status_code == 202
    shop.docket.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_django_application_adds_what_is_committed(tmp_path: Any) -> None:
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
    )
    django.setup()
    from django.core import mail
    from django.core.management import call_command
    from django.http import Http404
    from django.test import RequestFactory

    call_command("migrate", verbosity=0)
    shop, request = run("django_shop", DJANGO), RequestFactory()
    mail.outbox = []
    with pytest.raises(Http404):
        shop.status(request.get("/"), 1)
    assert shop.register(request.post("/", {"name": "Jane", "email": "j@x.org"})).content == b'{"user": 1}'
    assert shop.status(request.get("/"), 1).content == b'{"state": "queued", "error": null}'
    shop.docket.run(Worker(shop.docket.docket).run_until_finished)
    assert shop.status(request.get("/"), 1).content == b'{"state": "completed", "error": null}'
    assert [message.body for message in mail.outbox] == ["Hello, Jane!"]
    assert isinstance(shop.docket.docket, Docket)
    shop.docket.close()
