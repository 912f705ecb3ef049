import uuid
from typing import Any

from django import forms

from accounts.models import User
from config.forms import LinesField
from knowledge.search.query import MAX_LENGTH, MAX_WORDS, split_words
from simulations.models import Assistant, Feedback, Simulation, Status
from simulations.services import digest


class SubmitForm(forms.Form):
    """A question. Its one-time token makes sending the same form again ask nothing new."""

    token = forms.CharField(widget=forms.HiddenInput, initial=uuid.uuid4, required=False)
    query = LinesField(
        label="Your question",
        help_text=f"The first {Simulation.QUERY_LIMIT:,} characters are sent, about four pages. "
        "What follows them is cut off, and the simulation says so.",
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

    @property
    def idempotency_key(self) -> str:
        """For double clicks, reloads and the Back button; a text that was edited is another one."""
        token, query = self.cleaned_data["token"], self.cleaned_data["query"]
        chosen = [str(choice.pk) for choice in self.choices.values()]
        return f"form-{digest(token, query, *chosen)}" if token else ""

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen beside the question."""
        return {}


class NewQuestionForm(SubmitForm):
    """With a choice of the assistant, where there is one."""

    assistant = forms.ModelChoiceField(
        Assistant.objects.none(),
        required=False,
        empty_label=None,
        help_text="Each has a model and instructions of its own.",
        error_messages={"invalid_choice": "This assistant takes no questions. Choose another one."},
    )
    field_order = ["token", "assistant", "query"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        active = Assistant.objects.active().order_by("-is_default", "name")
        self.fields["assistant"].queryset = active
        if active.count() < 2:
            del self.fields["assistant"]

    @property
    def choices(self) -> dict[str, Any]:
        assistant = self.cleaned_data.get("assistant")
        return {"assistant": assistant} if assistant else {}


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


class FeedbackForm(forms.Form):
    is_useful = forms.TypedChoiceField(
        choices=[("yes", "Useful"), ("no", "Not useful")],
        coerce=lambda value: value == "yes",
        error_messages={"required": "Say whether the answer was useful."},
    )
    reason = LinesField(
        label="Why?",
        help_text="Curators read it beside the articles that were sent with the question.",
        required=False,
        max_length=Feedback.REASON_LIMIT,
        error_messages={"max_length": f"Shorten it to {Feedback.REASON_LIMIT:,} characters."},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class FilterForm(forms.Form):
    """What the list is to show; everything is optional, and who sees all may name an owner."""

    ACTIVE = "ACTIVE"
    # What waits and what runs are one to whoever looks for it.
    STATES = [
        ("", "All"),
        (ACTIVE, "Active"),
        *((status.value, status.label) for status in [Status.COMPLETED, Status.FAILED]),
        (Status.CANCELLED.value, Status.CANCELLED.label),
    ]

    q = forms.CharField(
        label="Search the questions",
        required=False,
        max_length=MAX_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search questions"}),
    )
    status = forms.ChoiceField(
        choices=STATES,
        required=False,
        error_messages={"invalid_choice": "There is no such status. Choose one of those above."},
    )
    owner = forms.ModelChoiceField(
        User.objects.all(),
        to_field_name="username",
        required=False,
        error_messages={"invalid_choice": "Nobody has this username. Write it as it is shown."},
        widget=forms.TextInput(attrs={"placeholder": "Owner", "list": "owners"}),
    )

    def __init__(self, *args: Any, sees_all: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not sees_all:
            del self.fields["owner"]

    def clean_q(self) -> list[str]:
        """Its words."""
        text = self.cleaned_data["q"]
        words = split_words(text)
        if text and not 0 < len(words) <= MAX_WORDS:
            raise forms.ValidationError(f"Give 1 to {MAX_WORDS} words to look for.")
        return words

    @property
    def is_filtering(self) -> bool:
        return any(self.data.get(name) for name in self.fields)
