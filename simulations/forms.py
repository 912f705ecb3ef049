import uuid
from typing import Any

from django import forms

from simulations.models import Simulation
from simulations.services import digest


class SubmitForm(forms.Form):
    """A question. Its one-time token makes sending the same form again ask nothing new."""

    token = forms.CharField(widget=forms.HiddenInput, initial=uuid.uuid4, required=False)
    query = forms.CharField(
        label="Your question",
        help_text=f"Up to {Simulation.QUERY_LIMIT:,} characters are sent; the rest is cut off.",
        error_messages={
            "required": "Write the question you want answered.",
        },
        widget=forms.Textarea(
            attrs={"rows": 12, "maxlength": False, "data-limit": Simulation.QUERY_LIMIT}
        ),
    )

    def __init__(self, *args: Any, autofocus: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["query"].widget.attrs["autofocus"] = autofocus

    def clean_query(self) -> str:
        # Browsers send every line end as two characters.
        return self.cleaned_data["query"].replace("\r\n", "\n")

    @property
    def idempotency_key(self) -> str:
        """For double clicks, reloads and the Back button; a text that was edited is another one."""
        token, query = self.cleaned_data["token"], self.cleaned_data["query"]
        return f"form-{digest(token, query)}" if token else ""


class FollowUpForm(SubmitForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        query = self.fields["query"]
        query.label = "Follow-up question"
        query.help_text = (
            "The assistant remembers this conversation. "
            "While it is still answering, your question waits for its turn."
        )
        query.widget.attrs["rows"] = 4
