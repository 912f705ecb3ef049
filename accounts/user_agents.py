"""Names for the User-Agent that a browser sends, for people to recognise theirs by."""

# In this order: each also names those after it.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Macintosh": "Mac",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def name_browser(user_agent: str) -> str:
    """Such as "Firefox on Linux"; of a program that is none of these, nothing it says is shown."""
    browser = first_named(BROWSERS, user_agent) or "Another browser"
    system = first_named(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def first_named(names: dict[str, str], user_agent: str) -> str:
    return next((name for sign, name in names.items() if sign in user_agent), "")
