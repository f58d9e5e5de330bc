"""Commands that run although an app in front of this one has them too, and that derive from both.

Django looks for them here, as in an app, once `inheritance.take_over` has told it to.
"""
