"""Models are registered, verified, trusted, made the default and retired; each is an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from backend.accounts.models import User
from backend.audit.models import Event
from backend.errors import BadInput, NotAllowed, WrongState
from backend.jobs import model_acts, registry, services
from backend.jobs.model_files import folders_with_models, put_shipped_models
from backend.jobs.models import ModelVersion, Run, WorkerSession
from backend.jobs.selectors import default_model
from backend.jobs.tasks import verify_model
from tests.jobs.odd_models import ODD_MODELS
from tests.jobs.threshold import write_model

MakeRun = Callable[..., Run]


@pytest.fixture
def models(settings, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """`CONCORD_MODELS` of this test."""
    settings.MODELS = tmp_path / "models"
    settings.MODELS.mkdir()
    return tmp_path / "models"


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("models-admin")


@pytest.fixture
def manager(db: None) -> Iterator[User]:
    """Someone the rooms above let look at models and have them verified."""
    user = User.objects.create_user("models-manager")
    registry.opens_runs_page.append(opens := lambda who: who == user)
    registry.manages_models.append(opens)
    yield user
    registry.opens_runs_page.remove(opens)
    registry.manages_models.remove(opens)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def registered(models: Path, admin: User, name: str = "tried") -> ModelVersion:
    """A model that was registered on the page and verified in the work process."""
    write_model(models, name)
    model = model_acts.register_folder(name=name, actor=admin)
    verify_model(str(model.pk))
    model.refresh_from_db()
    return model


def test_the_same_weights_described_otherwise_need_a_version_of_their_own(
    models: Path, admin: User
) -> None:
    model = registered(models, admin)
    path = models / "tried" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "input": {"window_hu": [0, 1]}}))

    with pytest.raises(WrongState, match="is not the one that tried 1 was registered with"):
        model_acts.register_folder(name="tried", actor=admin)
    model.refresh_from_db()
    assert model.verified is not None


@pytest.mark.parametrize(("text", "said"), ODD_MODELS.values(), ids=ODD_MODELS)
def test_an_odd_model_json_is_refused_with_what_is_wrong(
    models: Path, admin: User, text: str, said: str
) -> None:
    (models / "odd").mkdir()
    (models / "odd" / "model.json").write_text(text)

    with pytest.raises(BadInput, match=said) as refused:
        model_acts.register_folder(name="odd", actor=admin)
    assert refused.value.code == "MODEL_DAMAGED"


def test_a_folder_name_longer_than_any_is_no_folder(models: Path, admin: User) -> None:
    with pytest.raises(BadInput, match="not the name of a folder"):
        model_acts.register_folder(name="n" * 300, actor=admin)


@pytest.mark.parametrize("files", [[["w.bin", "0" * 64]], {"w.bin": [1]}, None])
def test_a_model_once_registered_with_odd_files_has_its_page_and_is_found_damaged(
    models: Path, admin: User, files: Any
) -> None:
    model = registered(models, admin)
    model.manifest = {**model.manifest, "files": files}
    model.save(update_fields=["manifest"])

    assert browser(admin).get(f"/models/{model.pk}/").status_code == 200
    verify_model(str(model.pk))
    model.refresh_from_db()
    assert "is not the one that was registered" in model.fault


def test_a_registered_model_takes_no_run_until_every_hash_matched(
    models: Path, admin: User, make_run: MakeRun
) -> None:
    write_model(models, "new")

    model = model_acts.register_folder(name="new", actor=admin)

    assert model.checking == 0.0
    with pytest.raises(WrongState, match="hashes were not verified yet"):
        make_run(model=model)
    verify_model(str(model.pk))
    model.refresh_from_db()
    assert model.checked["threshold.json"]["state"] == "verified"
    assert make_run(model=model).state == "queued"
    acts = list(Event.objects.filter(subject_id=str(model.pk)).values_list("action", flat=True))
    assert acts == ["model.registered", "model.verification_asked", "model.verified"]


def test_a_file_that_changed_is_named_with_the_cure_and_waiting_runs_are_refused(
    models: Path, admin: User, make_run: MakeRun
) -> None:
    model = registered(models, admin)
    waiting = make_run(model=model)
    (models / "tried" / "threshold.json").write_text("{}")

    verify_model(str(model.pk))

    model.refresh_from_db()
    waiting.refresh_from_db()
    assert model.verified is None
    assert model.checked["threshold.json"]["state"] == "mismatch"
    assert "threshold.json of the model in tried is not the file that was registered" in model.fault
    assert "Put the registered file back into that folder" in model.fault
    assert waiting.state == "dead"
    assert model.fault in waiting.message
    assert waiting.message.endswith("The case can be read without it.")
    with pytest.raises(WrongState, match="not runnable"):
        make_run(model=model)


def test_a_run_that_waits_for_a_damaged_model_is_refused_when_it_is_claimed(
    models: Path, admin: User, make_run: MakeRun, session: WorkerSession
) -> None:
    model = registered(models, admin)
    run = make_run(model=model)
    ModelVersion.objects.filter(pk=model.pk).update(verified=None, fault="weights are gone.")

    with pytest.raises(WrongState, match=r"weights are gone\."):
        services.claim(run=run.pk, session=session)

    run.refresh_from_db()
    assert (run.state, run.attempt) == ("dead", 0)
    assert "weights are gone." in run.message


def test_a_missing_file_and_a_changed_model_json_are_found(models: Path, admin: User) -> None:
    model = registered(models, admin)
    manifest = models / "tried" / "model.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"notice": "for diagnosis"}))
    verify_model(str(model.pk))
    model.refresh_from_db()
    assert "model.json of tried is not the one that was registered" in model.fault

    manifest.write_text(json.dumps(said))
    (models / "tried" / "threshold.json").unlink()
    verify_model(str(model.pk))
    model.refresh_from_db()
    assert "threshold.json of the model in tried is missing" in model.fault


def test_a_file_that_was_put_back_makes_the_model_runnable_again(
    models: Path, admin: User, make_run: MakeRun
) -> None:
    model = registered(models, admin)
    file = models / "tried" / "threshold.json"
    was = file.read_bytes()
    file.write_text("{}")
    verify_model(str(model.pk))
    file.write_bytes(was)

    model_acts.request_verification(model=model.pk, actor=admin)
    verify_model(str(model.pk))

    model.refresh_from_db()
    assert (model.fault, model.verified is None) == ("", False)
    assert make_run(model=model).state == "queued"


@pytest.mark.parametrize("name", ["", ".", "..", "../elsewhere", "a/b", "/etc", "nothing", "link"])
def test_only_a_folder_right_below_the_models_folder_is_registered(
    models: Path, admin: User, tmp_path: Path, name: str
) -> None:
    write_model(tmp_path, "elsewhere")
    (models / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadInput, match="below CONCORD_MODELS"):
        model_acts.register_folder(name=name, actor=admin)
    assert folders_with_models() == []


def test_a_folder_of_a_registered_model_is_not_taken_by_another(models: Path, admin: User) -> None:
    registered(models, admin)
    manifest = models / "tried" / "model.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "2"}))

    with pytest.raises(WrongState, match="not retired"):
        model_acts.register_folder(name="tried", actor=admin)


def test_trust_needs_an_administrator_and_a_reason(
    models: Path, admin: User, manager: User, make_run: MakeRun, session: WorkerSession
) -> None:
    from backend.jobs.consumers import lease_message

    model = registered(models, admin)
    with pytest.raises(NotAllowed):
        model_acts.trust(model=model.pk, trusted=True, reason="mine", actor=manager)
    with pytest.raises(BadInput, match="needs a reason"):
        model_acts.trust(model=model.pk, trusted=True, reason=" ", actor=admin)
    run = make_run(model=model)
    assert lease_message(services.claim(run=run.pk, session=session))["model"]["trusted"] is False

    model_acts.trust(model=model.pk, trusted=True, reason="we wrote it", actor=admin)

    run = make_run(model=model)
    assert lease_message(services.claim(run=run.pk, session=session))["model"]["trusted"] is True
    event = Event.objects.get(action="model.trusted")
    assert (event.reason, event.actor) == ("we wrote it", admin)


def test_a_default_is_made_and_not_retired_while_it_is_one(models: Path, admin: User) -> None:
    ModelVersion.objects.update(is_default=False)
    first, second = registered(models, admin, "one"), registered(models, admin, "two")
    model_acts.make_default(model=first.pk, actor=admin)
    assert default_model() == first
    with pytest.raises(WrongState, match="is the default of every protocol"):
        model_acts.retire(model=first.pk, reason="old", actor=admin)

    model_acts.make_default(model=second.pk, actor=admin)
    model_acts.retire(model=first.pk, reason="old", actor=admin)

    assert default_model() == second
    first.refresh_from_db()
    assert first.retired is not None
    assert Event.objects.get(action="model.retired").reason == "old"
    with pytest.raises(WrongState, match="is retired"):
        model_acts.make_default(model=first.pk, actor=admin)


def test_a_damaged_default_pre_segments_nothing(models: Path, admin: User) -> None:
    ModelVersion.objects.update(is_default=False)
    model = registered(models, admin)
    model_acts.make_default(model=model.pk, actor=admin)
    (models / "tried" / "threshold.json").write_text("{}")
    verify_model(str(model.pk))

    assert default_model() is None


def test_the_list_and_the_page_say_where_a_model_stands(
    models: Path, admin: User, manager: User
) -> None:
    model = registered(models, admin)
    write_model(models, "not-yet")
    (models / "tried" / "CARD.md").write_text("# Tried\n\nFinds **balls** <script>x</script>")
    mine, theirs = browser(admin), browser(manager)

    assert f'data-model="{model.pk}" data-state="verified"' in theirs.get("/models/").text
    assert "<option>not-yet</option>" in mine.get("/models/").text
    assert "not-yet" not in theirs.get("/models/").text
    page = theirs.get(f"/models/{model.pk}/").text
    assert "Finds <strong>balls</strong> &lt;script&gt;x&lt;/script&gt;" in page
    assert 'data-file="threshold.json" data-state="verified"' in page
    assert "Retire</button>" not in page
    assert "Retire</button>" in mine.get(f"/models/{model.pk}/").text


def test_only_administrators_register_trust_choose_and_retire(
    models: Path, admin: User, manager: User
) -> None:
    model = registered(models, admin)
    write_model(models, "another")
    theirs, nobody = browser(manager), browser(User.objects.create_user("models-nobody"))
    said = {"folder": "another", "reason": "mine", "trusted": "yes"}

    for verb in ("trust", "default", "retire"):
        assert theirs.post(f"/models/{model.pk}/{verb}", said).status_code == 403
        assert nobody.post(f"/models/{model.pk}/{verb}", said).status_code == 404
    assert theirs.post("/models/register", said).status_code == 403
    assert nobody.post("/models/register", said).status_code == 404
    assert nobody.post(f"/models/{model.pk}/verify").status_code == 404
    assert theirs.post(f"/models/{model.pk}/verify").status_code == 302
    assert nobody.get("/models/").status_code == 404
    model.refresh_from_db()
    assert (model.trusted, model.is_default, model.retired) == (False, False, None)
    assert ModelVersion.objects.filter(folder="another").count() == 0


def test_a_card_shows_pictures_of_its_own_folder_alone(
    models: Path, admin: User, tmp_path: Path
) -> None:
    from PIL import Image

    model = registered(models, admin)
    Image.new("L", (4, 4)).save(models / "tried" / "curve.png")
    Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    (models / "tried" / "linked.png").symlink_to(tmp_path / "secret.png")
    (models / "tried" / "page.html").write_text("<script>x</script>")
    (models / "tried" / "CARD.md").write_text(
        "![curve](curve.png) ![away](../../secret.png) ![far](https://example.org/x.png)"
    )
    client = browser(admin)

    page = client.get(f"/models/{model.pk}/").text
    assert f'<img src="/models/{model.pk}/pictures/curve.png" alt="curve"' in page
    assert "secret.png" not in page
    assert "example.org" not in page
    assert (
        client.get(f"/models/{model.pk}/pictures/curve.png").headers["Content-Type"] == "image/png"
    )
    for name in ("linked.png", "page.html", "model.json", "..%2f..%2fsecret.png", "no.png"):
        assert client.get(f"/models/{model.pk}/pictures/{name}").status_code == 404


@pytest.mark.django_db
def test_what_is_shipped_is_put_where_models_lie_renewed_and_nothing_else(
    models: Path, settings: Any
) -> None:
    write_model(models, "dropped")  # Somebody's own: an administrator's to register.
    shipped = models / "foveal-ln-ct"
    assert put_shipped_models() == [shipped]
    assert services.register_model(folder=shipped, actor=None).verified
    (shipped / "model.json").write_text("{}")
    (shipped / "weights.safetensors").write_bytes(b"of an older version")
    assert put_shipped_models() == [shipped]
    assert services.register_model(folder=shipped, actor=None).verified
    settings.MODELS = models / "no-folder"
    settings.MODELS.write_text("")
    with pytest.raises(BadInput, match="cannot be put into"):
        put_shipped_models()
