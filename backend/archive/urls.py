"""Addresses of the archive: DICOMweb (twice: whole, and behind a scope) and its page."""

from django.urls import URLPattern, URLResolver, include, path

from backend.archive import pages, qido, rendered, source_pages, wado, wado_uri
from backend.archive.grants import listed
from backend.archive.remotes import pages as remotes
from backend.archive.uploads import pages as uploads

_SERIES = "studies/<str:study>/series/<str:series>"
_INSTANCE = f"{_SERIES}/instances/<str:sop>"
_FILE = "archive/upload/files/<uuid:uploaded_file>"

dicomweb = [
    path("studies", qido.studies),
    path("series", qido.series),
    path("instances", qido.instances),
    path("studies/<str:study>", wado.study),
    path("studies/<str:study>/metadata", wado.study_metadata),
    path("studies/<str:study>/thumbnail", rendered.study_thumbnail),
    path("studies/<str:study>/rendered", rendered.study_rendered),
    path("studies/<str:study>/series", qido.series),
    path("studies/<str:study>/instances", qido.instances),
    path(_SERIES, wado.series),
    path(f"{_SERIES}/metadata", wado.series_metadata),
    path(f"{_SERIES}/thumbnail", rendered.series_thumbnail),
    path(f"{_SERIES}/rendered", rendered.series_rendered),
    path(f"{_SERIES}/instances", listed(qido.instances)),
    path(_INSTANCE, wado.instance),
    path(f"{_INSTANCE}/metadata", wado.instance_metadata),
    path(f"{_INSTANCE}/thumbnail", rendered.thumbnail),
    path(f"{_INSTANCE}/rendered", rendered.rendered),
    path(f"{_INSTANCE}/frames/<str:numbers>", wado.frames),
    path(f"{_INSTANCE}/frames/<str:numbers>/rendered", rendered.rendered),
    path(f"{_INSTANCE}/frames/<str:number>/thumbnail", rendered.thumbnail),
    path(f"{_INSTANCE}/bulkdata/<path:path>", wado.bulkdata),
    path("wado", wado_uri.retrieve),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("dicom-web/", include(dicomweb)),
    path("dicom-web/<slug:scope>/<uuid:scope_id>/", include(dicomweb)),
    path("wado", wado_uri.retrieve),
    path("archive/", pages.archive, name="archive"),
    path("archive/upload", uploads.upload, name="archive-upload"),
    path("archive/upload/batches", uploads.batches, name="archive-upload-batches"),
    path("archive/upload/several", uploads.several, name="archive-upload-several"),
    path("archive/upload/begin", uploads.begin, name="archive-upload-begin"),
    path(_FILE, uploads.piece, name="archive-upload-piece"),
    path(f"{_FILE}/take", uploads.take, name="archive-upload-take"),
    path("archive/upload/close", uploads.close, name="archive-upload-close"),
    path("archive/sources/", source_pages.sources, name="archive-sources"),
    path("archive/sources/<uuid:source>", source_pages.switch, name="archive-source"),
    path("archive/review/<uuid:kept>", source_pages.review, name="archive-review"),
    path("archive/review/<uuid:kept>/<int:number>", source_pages.picture, name="archive-picture"),
    path("archive/remotes/", remotes.remotes, name="remotes"),
    path("archive/remotes/<slug:remote>/", remotes.remote, name="remote"),
    path("archive/remotes/<slug:remote>/change", remotes.change, name="remote-change"),
    path("archive/remotes/<slug:remote>/remove", remotes.remove, name="remote-remove"),
    path("archive/remotes/<slug:remote>/test", remotes.test, name="remote-test"),
    path("archive/remotes/<slug:remote>/search", remotes.search, name="remote-search"),
    path("archive/remotes/<slug:remote>/series", remotes.series, name="remote-series"),
    path("archive/remotes/<slug:remote>/pull", remotes.pull, name="remote-pull"),
    path("archive/remotes/<slug:remote>/push", remotes.push, name="remote-push"),
    path("archive/remotes/<slug:remote>/studies", remotes.studies, name="remote-studies"),
    path("archive/remotes/<slug:remote>/transfers", remotes.transfers, name="remote-transfers"),
    path(
        "archive/transfers/<uuid:transfer>/<slug:action>",
        remotes.change_transfer,
        name="transfer-change",
    ),
]
