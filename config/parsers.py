from typing import Any, BinaryIO

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class Utf8JsonParser(JSONParser):
    """JSON is UTF-8 (RFC 8259); a charset that the request names is not looked at."""

    def parse(
        self,
        stream: BinaryIO,
        media_type: str | None = None,
        parser_context: dict[str, Any] | None = None,
    ) -> Any:
        context = (parser_context or {}) | {"encoding": "utf-8"}
        try:
            return super().parse(stream, media_type, context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
