"""Import and export on the admin's pages, with a preview before anything is written."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from import_export.admin import ImportExportMixin
from import_export.forms import ConfirmImportForm, ExportForm, ImportForm
from import_export.results import Result, RowResult
from import_export.tmp_storages import TempFolderStorage

from knowledge.exchange.files import UnreadableFile, check_size
from knowledge.exchange.formats import CsvFormat, JsonFormat
from knowledge.importing import problems_of

UPLOAD_PREFIX = "sitrep-import-"
UPLOAD_LIFETIME = 3600  # seconds between upload and confirmation
GONE = "The uploaded file is no longer there. Upload it again."


class UploadStorage(TempFolderStorage):
    """Between preview and confirmation. What nobody confirms is removed by a later upload."""

    def save(self, data: bytes) -> None:
        remove_old_uploads()
        with tempfile.NamedTemporaryFile(prefix=UPLOAD_PREFIX, delete=False) as file:
            file.write(data)
            self.name = os.path.basename(file.name)


def remove_old_uploads() -> None:
    oldest = time.time() - UPLOAD_LIFETIME
    for path in Path(tempfile.gettempdir()).glob(f"{UPLOAD_PREFIX}*"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:  # another upload was faster
            continue


class UploadForm(ImportForm):
    """The file's name says its format."""

    media = forms.Media()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["import_file"].label = "File"
        self.fields["import_file"].help_text = "CSV or JSON, such as an export of this page."
        self.fields["import_file"].widget.attrs = {"accept": ".csv,.json"}
        self.fields["format"].required = False
        self.fields["format"].widget = forms.HiddenInput()

    def clean_import_file(self) -> UploadedFile:
        file = self.cleaned_data["import_file"]
        try:
            check_size(file.size)
        except UnreadableFile as error:
            raise forms.ValidationError(str(error)) from error
        return file

    def clean(self) -> dict[str, Any]:
        if file := self.cleaned_data.get("import_file"):
            ending = Path(file.name).suffix.lower()
            if ending not in ENDINGS:
                self.add_error("import_file", "Choose a file whose name ends in .csv or .json.")
            else:
                self.cleaned_data["format"] = ENDINGS[ending]
        return self.cleaned_data


class ConfirmForm(ConfirmImportForm):
    import_file_name = forms.RegexField(
        rf"\A{UPLOAD_PREFIX}\w+\Z", widget=forms.HiddenInput(), error_messages={"invalid": GONE}
    )
    format = forms.ChoiceField(choices=[("0", "CSV"), ("1", "JSON")], widget=forms.HiddenInput())
    resource = forms.ChoiceField(choices=[("0", "0")], widget=forms.HiddenInput(), required=False)


class FormatForm(ExportForm):
    """All fields are exported: a file with some of them is more easily made by hand."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("0", "CSV, for spreadsheets"), ("1", "JSON")]
        self.fields["format"] = forms.ChoiceField(
            choices=choices, initial="0", widget=forms.RadioSelect
        )


FORMATS = [CsvFormat, JsonFormat]
ENDINGS = {".csv": "0", ".json": "1"}
FIRST_ROWS = {"0": ("row", 2), "1": ("item", 1)}


class ExchangeMixin(ImportExportMixin):
    """For admins of curated objects: give `resource_classes` with one resource."""

    import_formats = FORMATS
    export_formats = FORMATS
    import_form_class = UploadForm
    confirm_form_class = ConfirmForm
    export_form_class = FormatForm
    tmp_storage_class = UploadStorage

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_import_data_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return {"rollback_on_validation_errors": True}

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        response = super().import_action(request, **kwargs)
        context = response.context_data
        if result := context.get("result"):
            label, first = FIRST_ROWS[context["form"].cleaned_data["format"]]
            places = [f"{label} {number}" for number, _ in enumerate(result.rows, start=first)]
            context["problems"] = list(problems_of(result, places))
            context["rows"] = [row for row in result.valid_rows() if not row.is_skip()]
            context["totals"] = counts(result)
        return response

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return super().process_import(request, **kwargs)
        except (FileNotFoundError, UnreadableFile):
            return self._again(request, GONE)

    def process_result(self, result: Result, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or result.has_validation_errors():
            message = "Nothing was imported: what is stored has changed since. Try again."
            return self._again(request, message)
        return super().process_result(result, request)

    def _again(self, request: HttpRequest, message: str) -> HttpResponse:
        messages.error(request, message)
        return HttpResponseRedirect(reverse("admin:{}_{}_import".format(*self.get_model_info())))

    def add_data_read_fail_error_to_form(self, form: forms.Form, e: Exception) -> None:
        if not isinstance(e, UnreadableFile):
            raise e
        form.add_error("import_file", str(e))

    def add_success_message(self, result: Result, request: HttpRequest) -> None:
        messages.success(request, f"Imported: {counts(result)}.")

    def _create_log_entry(self, user_pk: int, rows: list[Any], *args: Any) -> None:
        _import_type, action_flag = args
        LogEntry.objects.log_actions(user_pk, rows, action_flag, "Imported from a file.")


def counts(result: Result) -> str:
    totals = result.totals
    return (
        f"{totals[RowResult.IMPORT_TYPE_NEW]} new, {totals[RowResult.IMPORT_TYPE_UPDATE]} changed, "
        f"{totals[RowResult.IMPORT_TYPE_SKIP]} unchanged"
    )
