"""The throw-away company that `dirbridge demo` and the tests run against."""
