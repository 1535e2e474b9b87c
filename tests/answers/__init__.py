"""Answers to the exercises: what their checks must reject, and what they must accept.

For each chapter a module with ``answers(names)``: of the functions that the chapter
defines it makes two dictionaries, the wrong answers, each with a piece of what the
reader is told, and the right ones, in different styles. ``NEEDS`` are the functions
that stand in the chapter beside its check.
"""
