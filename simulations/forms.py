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
            attrs={
                "rows": 12,
                "maxlength": False,
                "autofocus": True,
                "data-limit": Simulation.QUERY_LIMIT,
            }
        ),
    )

    def clean_query(self) -> str:
        # Browsers send every line end as two characters.
        return self.cleaned_data["query"].replace("\r\n", "\n")
