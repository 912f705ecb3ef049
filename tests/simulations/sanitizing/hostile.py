"""Patterns that cost a backtracking expression the square, or the cube, of their length."""

# Each repeats its middle part between a beginning and an end that keep a match just out of reach.
PATTERNS = {
    "newlines": ("", "\n", ""),
    "newlines around a letter": ("x", "\n", "x"),
    "newlines before a half phrase": ("", "\n", "Executive Summar"),
    "newlines before a header": ("x", "\n", "Executive Summary"),
    "newlines after a header": ("Executive Summary", "\n", "x"),
    "newlines before a disclaimer": ("x", "\n", "Note on Risk"),
    "spaces": ("", " ", ""),
    "spaces before a header": ("x", " ", "Executive Summary"),
    "spaces after a header": ("Executive Summary", " ", "x"),
    "spaces after Red Team": ("Red Team", " ", "x"),
    "spaces after Red Team and a dash": ("Red Team -", " ", "x"),
    "spaces after a header and a colon": ("Executive Summary:", " ", "x"),
    "spaces before a quoted disclaimer": ("x", " ", "> ** Note on Risk"),
    "carriage returns": ("", "\r", "x"),
    "carriage return pairs": ("", "\r\n", "x"),
    "line separators": ("x", "\u2028", "x"),
    "hashes": ("", "#", ""),
    "hashes before a header": ("", "#", " Executive Summary"),
    "hash lines": ("", "#\n", "x"),
    "quote marks": ("", ">", ""),
    "quote lines": ("", "\n> ", "x"),
    "bold marks": ("", "\n**", "x"),
    "digits": ("", "1", ""),
    "digits before a header": ("x", "1", ". Executive Summary"),
    "numbers": ("", "1.", ""),
    "number lines": ("", "\n1. ", "x"),
    "headers with more on the line": ("", "Executive Summary x", ""),
    "headers with more on the next line": ("", "What It Means  \n\n x", ""),
    "headers": ("", "\n\n## 1. What to Watch:\n", ""),
    "headers without a break": ("", "What to Watch", ""),
    "mid-text headers": ("", "Interpretive Note - ", ""),
    "Red Teams": ("", "Red Team - ", "x"),
    "Red Teams on lines": ("", "Red Team\nConsideration x\n", ""),
    "disclaimers without a blank line": ("", "\nNote on Risk", ""),
    "disclaimers in mid-line": ("x", "Note on Risk ", ""),
    "disclaimers with blank lines": ("", "\n\n> **Risk disclaimer: x", ""),
    "both disclaimers": ("", "\nNote on Risk\n\nRisk disclaimer", ""),
    "first letters": ("", "Ex Si Wh Fo Re In No Ri ", ""),
    "half phrases": ("", "Executive Summar", ""),
    "every mark": ("", "\n # 1. > ** : - — – ", "Red Team x"),
    "astral characters": ("", "\U0001f600", ""),
    "prose": ("", "The grid held through the night, and crews were out by dawn.\n", ""),
}


def hostile_text(name: str, length: int) -> str:
    start, middle, end = PATTERNS[name]
    return start + middle * (length // len(middle)) + end
