"""A stand-alone server that speaks OpenAI's Responses and Assistants protocols.

It serves the demo without a key, the tests, the load benchmarks and the fault drills.
It imports nothing of the project, and the project imports nothing of it.
"""
