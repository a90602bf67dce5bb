"""Where work comes in: the Faust application with its batch readers, and HTTP for operators."""
