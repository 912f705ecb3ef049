from typing import Any

from django import forms

from simulations.models import Simulation


class SubmitForm(forms.Form):
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
