from django import forms
from django.conf import settings

from simulations.models import Assistant, Tool
from simulations.providers import ProviderError, get_provider, sends_instructions
from simulations.turns.failures import knows_not


class AssistantForm(forms.ModelForm):
    """Asks the provider whether it knows the model or remote assistant that is new here.

    `doubt`: why that could not be found out, in a sentence; it is no reason not to save.
    """

    doubt = ""

    tools = forms.MultipleChoiceField(
        choices=Tool.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="What it may call. Articles are searched only for users who may read them.",
    )

    class Meta:
        model = Assistant
        fields = [
            "name",
            "is_active",
            "model",
            "remote_id",
            "instructions",
            "max_output_tokens",
            "reasoning_effort",
            "temperature",
            "tools",
        ]

    def _post_clean(self) -> None:
        """Once all else is right with it: asking takes up to some seconds."""
        super()._post_clean()
        names_model = sends_instructions(settings.OPENAI_PROTOCOL)
        field = "model" if names_model else "remote_id"
        is_new = field in self.changed_data or self.instance.pk is None
        if is_new and not self.errors and settings.OPENAI_CONFIGURED:
            assistant = self.instance
            asked_for = assistant.model_name if names_model else assistant.remote_assistant_id
            self._ask_provider(field, asked_for)

    def _ask_provider(self, field: str, asked_for: str) -> None:
        try:
            get_provider(settings.OPENAI_PROTOCOL).find_assistant(asked_for)
        except ProviderError as error:
            if knows_not(error, asked_for):
                self.add_error(field, f"The provider does not know it. It says: {error.message}")
            else:
                self.doubt = (
                    f"The provider could not say whether it knows “{asked_for}” ({error.code})."
                )
