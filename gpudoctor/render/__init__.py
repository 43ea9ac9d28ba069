"""Turns reports and resolutions into text and JSON; decides nothing."""
