"""What a person does on the instance in one word: back up now, bring a snapshot back, look how it stands.

Each is made of the units and the commands that the instance runs anyway, so that nothing is done in two ways.
"""
