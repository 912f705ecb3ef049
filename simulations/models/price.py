"""What a provider asks for tokens, by model and from which day on."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from accounts.audit import Audited
from simulations.models.assistant import NO_SPACES

MILLION = 1_000_000
NOT_NEGATIVE = MinValueValidator(Decimal(0), "Give 0 or more.")


class Price(Audited):
    """For a million tokens, in `settings.USAGE_CURRENCY`, until the model's next one begins."""

    model = models.CharField(
        max_length=255,
        validators=[NO_SPACES],
        help_text="As runs ask for it, such as gpt-5.1; on the assistants protocol the id of the "
        "remote assistant.",
    )
    valid_from = models.DateField(
        help_text="For runs requested on this day (UTC) or later, until the model’s next price "
        "begins."
    )
    # SQLite keeps decimals as floats, which are exact to 15 digits.
    input_price = models.DecimalField(
        "per million input tokens", max_digits=12, decimal_places=6, validators=[NOT_NEGATIVE]
    )
    output_price = models.DecimalField(
        "per million output tokens", max_digits=12, decimal_places=6, validators=[NOT_NEGATIVE]
    )

    class Meta:
        ordering = ["model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "valid_from"],
                name="price_one_a_day",
                violation_error_message="This model has a price from that day already: change "
                "that one, or choose another day.",
            ),
            models.CheckConstraint(
                condition=Q(input_price__gte=0, output_price__gte=0), name="price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from}"

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        return (self.input_price * input_tokens + self.output_price * output_tokens) / MILLION
