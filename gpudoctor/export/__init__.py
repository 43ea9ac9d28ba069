"""The launch plan in the words of other tools: one file a tool, all of them pure."""
